#!/usr/bin/env python3
"""Measures the figures that are named by their numbers, or all of them, and prints them beside their goals."""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from figures import FIGURES, Bench
from harness import Postgres


def output(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def machine():
    """One line for whoever compares."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())[1]
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) // 1024 // 1024
    wrk = re.search(r"wrk (\S+)", subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout)[1]
    return (
        f"{date.today()}, {cpu}, {os.cpu_count()} cores, {memory} GiB, Linux {os.uname().release}, "
        f"{output('rustc', '--version')}, {output('pgbench', '--version')}, wrk {wrk}"
    )


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("figure", nargs="*", type=int, choices=[*FIGURES, []], help="1 to 11; all where none is named")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=5, help="of one run")
    arguments.add_argument("--tokens", type=int, default=1_000_000, help="in the large store of figures 3 and 4")
    given = arguments.parse_args()
    wanted = dict.fromkeys(FIGURES[number] for number in given.figure or FIGURES)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    print(machine(), flush=True)
    with Postgres() as postgres, tempfile.TemporaryDirectory(prefix="tokenward-bench") as folder:
        bench = Bench(postgres, Path(folder), given.rounds, given.seconds, given.tokens)
        for measure in wanted:
            measure(bench)


if __name__ == "__main__":
    main()
