"""Processes that work on request, rounds in which each has a turn, and their results."""

import json
import pathlib
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target/release/latent-lab"


class Worker:
    """A process that answers requests, one line of JSON each; started by the first one."""

    def __init__(self, command):
        self.command, self.process = [str(part) for part in command], None

    def ask(self, job, **request):
        self.send(job, **request)
        return self.receive()

    def send(self, job, **request):
        if self.process is None:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
            )
        self.process.stdin.write(json.dumps({"job": job, **request}) + "\n")
        self.process.stdin.flush()

    def receive(self):
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            sys.exit(f"{' '.join(self.command)}: {answer['error']}")
        return answer

    def peak_memory(self):
        """The most memory that the process has held so far, bytes."""
        return peak_memory(self.process.pid)

    def stop(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


def peer(name):
    return Worker([sys.executable, "-m", "peers.worker", name])


def latent_lab():
    """The library's own side, as `cargo build --bench peers` has just left it."""
    command = ["cargo", "build", "--release", "--bench", "peers", "--message-format", "json", "--quiet"]
    lines = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.splitlines()
    messages = [json.loads(line) for line in lines]
    built = [m["executable"] for m in messages if m.get("target", {}).get("name") == "peers" and m.get("executable")]
    return Worker([built[0], "serve"])


def peak_memory(pid):
    """VmHWM of a running process, bytes; 0 once it is gone."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def run_program(*arguments, memory=False):
    """Wall time of one call of the program, s; with `memory`, its largest memory, bytes, looked at every few ms."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [PROGRAM, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT
    )
    peak = 0
    while memory and process.poll() is None:
        peak = max(peak, peak_memory(process.pid))
        time.sleep(0.002)
    _, error = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode != 0:
        sys.exit(f"latent-lab {arguments} failed: {error.decode()}")
    return peak if memory else seconds


def rounds(contestants, repeats):
    """Everyone in turn, `repeats` times over, after one turn each that does not count: what each returned, by name."""
    for turn in contestants.values():
        turn()
    results = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, turn in contestants.items():
            results[name].append(turn())
    return results


@dataclass
class Comparison:
    """One line of work, measured for `ours` and for others; less is better."""

    benchmark: str
    case: str
    unit: str
    values: dict  # name → measured values, one per round
    ours: str
    targets: dict = field(default_factory=dict)  # name → largest accepted ratio of medians ours / its
    agreement: dict = field(default_factory=dict)  # what → (largest gap found, largest accepted one)

    def median(self, name):
        return statistics.median(self.values[name])

    def ratio(self, name):
        return self.median(self.ours) / self.median(name)

    def agrees(self):
        return all(gap <= limit for gap, limit in self.agreement.values())

    def reached(self):
        return all(self.ratio(name) <= target for name, target in self.targets.items())

    def document(self):
        others = [name for name in self.values if name != self.ours]
        return asdict(self) | {
            "medians": {name: self.median(name) for name in self.values},
            "ratios": {name: self.ratio(name) for name in others},
        }
