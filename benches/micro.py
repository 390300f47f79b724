"""Measures the parts of an auth check one by one: time with divan, instructions with callgrind."""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main():
    built = subprocess.run(
        ["cargo", "bench", "--locked", "--bench", "micro", "--no-run", "--message-format=json"],
        check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    ).stdout
    messages = [json.loads(line) for line in built.splitlines()]
    program = next(
        message["executable"]
        for message in messages
        if message.get("target", {}).get("name") == "micro" and message.get("executable")
    )
    report = subprocess.run([program, "--bench"], check=True, capture_output=True, text=True).stdout
    print(report)
    for name in re.findall(r"─ (\w+)", report):
        # The difference of two runs does not contain the setup.
        few = count_instructions(program, name, 1_000)
        many = count_instructions(program, name, 2_000)
        print(f"  {name:<24} {(many - few) / 1_000:>8.0f} instructions")


def count_instructions(program, name, iterations):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, "--bench", name]
    command += ["--sample-count", "1", "--sample-size", str(iterations)]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    return int(re.search(r"Collected : (\d+)", report)[1])


if __name__ == "__main__":
    main()
