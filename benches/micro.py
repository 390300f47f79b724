"""The parts of a check, each alone: time by divan, instructions by callgrind."""

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
    made = [json.loads(line) for line in built.splitlines()]
    program = next(m["executable"] for m in made if m.get("target", {}).get("name") == "micro" and m.get("executable"))
    said = subprocess.run([program, "--bench"], check=True, capture_output=True, text=True).stdout
    print(said)
    for name in re.findall(r"─ (\w+)", said):
        # What two thousand take more than one thousand; the setting up is the same.
        few, many = instructions(program, name, 1_000), instructions(program, name, 2_000)
        print(f"  {name:<24} {(many - few) / 1_000:>8.0f} instructions")


def instructions(program, name, count):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, "--bench", name]
    command += ["--sample-count", "1", "--sample-size", str(count)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    return int(re.search(r"Collected : (\d+)", said)[1])


if __name__ == "__main__":
    main()
