"""Measures everything, or what `--only` names, and stores the table under results/benchmarks/."""

import argparse
import pathlib
import sys
import tempfile

from . import environments, mixture, network, program, report, sequence, state_space, vae
from .measure import ROOT, latent_lab

BENCHMARKS = {
    "network": network,
    "vae": vae,
    "sequence": sequence,
    "mixture": mixture,
    "state_space": state_space,
    "environments": environments,
    "program": program,
}


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench_peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one minute of short runs: agreement, and rough ratios")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="this benchmark; may be repeated")
    parser.add_argument(
        "--out", type=pathlib.Path, help="folder of peers.md and peers.json; results/benchmarks, or nowhere if not all ran"
    )
    arguments = parser.parse_args()
    facts, ours, comparisons = report.machine(), latent_lab(), []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only or BENCHMARKS:
            for comparison in BENCHMARKS[name].measure(ours, pathlib.Path(folder), arguments.quick):
                comparisons.append(comparison)
                print("\n".join(report.lines(comparison)), flush=True)
    ours.stop()
    complete = not arguments.quick and not arguments.only
    if out := arguments.out or (ROOT / "results/benchmarks" if complete else None):
        report.write(out, facts, comparisons, " ".join(["scripts/bench_peers", *sys.argv[1:]]))
    print(report.table(comparisons))
    if not all(comparison.agrees() for comparison in comparisons):
        sys.exit("the results do not agree, so the times mean nothing")
    missed = [f"{c.benchmark}, {c.case}" for c in comparisons if not c.reached()]
    print("all targets reached" if not missed else "targets missed:\n" + "\n".join(f"- {line}" for line in missed))


if __name__ == "__main__":
    main()
