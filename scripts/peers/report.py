"""The table of a measurement, for people and for programs."""

import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess

from .measure import ROOT

PACKAGES = ["torch", "jax", "jaxlib", "optax", "scikit-learn", "dynamax", "gymnasium", "numpy"]


def machine():
    """Where and with what the numbers were measured."""
    cpu = pathlib.Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())

    def said(*command):
        return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": model,
        "cores": os.cpu_count(),
        "load before": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "revision": said("git", "rev-parse", "--short", "HEAD"),
        "rustc": said("rustc", "--version").split()[1],
        "python": platform.python_version(),
    } | {package: importlib.metadata.version(package) for package in PACKAGES}


def number(value):
    """Three significant digits, without an exponent from a hundredth to a million."""
    if value == 0:
        return "0"
    if not 1e-2 <= abs(value) < 1e6:
        return f"{value:.1e}"
    digits = max(0, 2 - int(f"{abs(value):e}".split("e")[1]))
    return f"{value:,.{digits}f}"


def table(comparisons):
    """Markdown: one table per benchmark, one line per case and contestant."""
    text = []
    for benchmark in dict.fromkeys(comparison.benchmark for comparison in comparisons):
        own = [comparison for comparison in comparisons if comparison.benchmark == benchmark]
        text += [f"\n## {benchmark}\n", "| case | who | median | fastest–slowest | ours / theirs | target | |"]
        text += ["|---|---|---:|---:|---:|---:|---|"]
        for comparison in own:
            text += lines(comparison)
        gaps = [
            f"- {comparison.case}: {what} differ by {gap:.1e} (accepted: {limit:.0e})" + ("" if gap <= limit else " **NO**")
            for comparison in own
            for what, (gap, limit) in comparison.agreement.items()
        ]
        text += ["\nAgreement:\n", *gaps] if gaps else []
    return "\n".join(text) + "\n"


def lines(comparison):
    for name in [comparison.ours, *(name for name in comparison.values if name != comparison.ours)]:
        values, target = comparison.values[name], comparison.targets.get(name)
        spread = f"{number(min(values))}–{number(max(values))}" if len(values) > 1 else ""
        ratio = "" if name == comparison.ours else number(comparison.ratio(name))
        reached = "" if target is None else "reached" if comparison.ratio(name) <= target else "**missed**"
        case = comparison.case if name == comparison.ours else ""
        yield (
            f"| {case} | {name} | {number(comparison.median(name))} {comparison.unit} | {spread} | {ratio} "
            f"| {'' if target is None else '≤ ' + number(target)} | {reached} |"
        )


def write(folder, facts, comparisons, command):
    """`peers.md` and `peers.json`."""
    head = [
        "# latent-lab and its peers\n",
        f"Measured by `{command}`: the same work in each, everyone in turn round after round; medians over the rounds.",
        "Ratios are of medians, and below 1 latent-lab takes less. Times on one machine only compare with each other.\n",
        "| | |\n|---|---|",
        *(f"| {key} | {value} |" for key, value in facts.items()),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "peers.md").write_text("\n".join(head) + "\n" + table(comparisons))
    document = {"command": command, "facts": facts, "comparisons": [c.document() for c in comparisons]}
    (folder / "peers.json").write_text(json.dumps(document, indent=1) + "\n")
