"""latent-lab against its peers: the same work in each, interleaved, in one run.

`python -m peers` measures; `python -m peers.worker NAME` is one peer, which works on requests from standard input.
A benchmark is a file of this folder and a line in `__main__.py`; a peer is a file and a line in `worker.py`.
"""
