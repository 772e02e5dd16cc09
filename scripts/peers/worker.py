"""One peer as a process: a JSON request per line of standard input, a line of JSON in answer to each.

`peers serve`, the library's own side (`benches/peers/`), speaks the same way. A request names a `job`; the answer has the
`seconds` of the work alone, without imports, reading, or compilation.
"""

import importlib
import json
import sys

# What each peer is imported from, so that none pays for the others.
PEERS = {
    "jax": "peers.network_jax",
    "torch": "peers.network_torch",
    "vae_jax": "peers.vae_jax",
    "vae_torch": "peers.vae_torch",
    "sequence_jax": "peers.sequence_jax",
    "sklearn": "peers.mixture_sklearn",
    "dynamax": "peers.state_space_dynamax",
    "gymnasium": "peers.environments_gymnasium",
}


def main():
    jobs = importlib.import_module(PEERS[sys.argv[1]]).JOBS
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = jobs[request.pop("job")](**request)
        except Exception as error:  # the other side decides what to do about it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
