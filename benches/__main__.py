"""Measures the given scenarios, or all of them, and prints each result beside its goal."""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from .harness import Postgres
from .scenarios import SCENARIOS, Bench


def output(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def machine():
    """Describes the machine and the tools in one line."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())[1]
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) // 1024 // 1024
    wrk = re.search(r"wrk (\S+)", subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout)[1]
    return (
        f"{date.today()}, {cpu}, {os.cpu_count()} cores, {memory} GiB, Linux {os.uname().release}, "
        f"{output('rustc', '--version')}, {output('pgbench', '--version')}, wrk {wrk}"
    )


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("scenario", nargs="*", type=int, choices=[*SCENARIOS, []], metavar="SCENARIO", help="1 to 11 (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each scenario (default: 5)")
    parser.add_argument("--seconds", type=int, default=5, help="length of one run (default: 5)")
    parser.add_argument("--tokens", type=int, default=1_000_000, help="tokens in the large store of scenarios 3 and 4")
    arguments = parser.parse_args()
    # Scenarios that are measured together have one function.
    selected = dict.fromkeys(SCENARIOS[number] for number in arguments.scenario or SCENARIOS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # runs the exit handlers, which stop the programs
    print(machine(), flush=True)
    with Postgres() as postgres, tempfile.TemporaryDirectory(prefix="tokenward-bench") as folder:
        bench = Bench(postgres, Path(folder), arguments.rounds, arguments.seconds, arguments.tokens)
        for measure in selected:
            measure(bench)


if __name__ == "__main__":
    main()
