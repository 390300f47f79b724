"""Shared by all scenarios: starting and stopping programs, a PostgreSQL server, load, and the CPU time it takes."""

import os
import random
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RELEASE = ROOT / "target" / "release"
TICKS = os.sysconf("SC_CLK_TCK")


def descendants(pid):
    """Returns a process id and those of its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += descendants(int(child))
    return found


def cpu_seconds(pids):
    total = 0
    for root in pids:
        for pid in descendants(root):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            # User and system time, including those of children that have exited.
            total += sum(int(fields[at]) for at in (11, 12, 13, 14))
    return total / TICKS


def memory_mb(pid, field="Pss"):
    """Returns a field of smaps_rollup."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M)[1]) / 1024


def peak_mb(pid):
    """Returns the peak resident memory since the start of the process."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class Program:
    """A running program. It has started once it prints its URL; leaving the context stops it."""

    def __init__(self, command, env=None):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.process = subprocess.Popen(
            command, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        self.pid = self.process.pid
        try:
            self.url = self.wait_for(r"(?:listening on |\"message\":\"listening\".*\"url\":\")(http://[^\s\"]+)")
        except BaseException:
            self.__exit__()
            raise

    def wait_for(self, pattern, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(pattern, Path(self.log.name).read_text())
            if found:
                return found[1]
            time.sleep(0.02)
        raise RuntimeError(Path(self.log.name).read_text())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def baseline_axum():
    return Program([RELEASE / "examples" / "baseline_axum", "0"])


def tokenward(database, **settings):
    """Starts the service. A setting `cache__mode` is the environment variable TOKENWARD_CACHE__MODE."""
    env = {
        "TOKENWARD_DATABASE__URL": database,
        "TOKENWARD_LISTEN__HTTP": "127.0.0.1:0",
        # The load exceeds the default rate limits.
        "TOKENWARD_RATE_LIMITS__TOKEN_CREATION_PER_MINUTE": "0",
        "TOKENWARD_RATE_LIMITS__FAILED_LOGINS_PER_IP": "0",
        "TOKENWARD_RATE_LIMITS__REJECTED_TOKENS_PER_IP_PER_MINUTE": "0",
        "TOKENWARD_ADMIN_EMAIL": "admin@example.com",
        "TOKENWARD_ADMIN_PASSWORD": "correct horse battery staple",
        **{f"TOKENWARD_{key.upper()}": str(value) for key, value in settings.items()},
    }
    return Program([RELEASE / "tokenward", "serve"], env)


class Postgres:
    """A PostgreSQL server in a temporary folder, on the loopback interface."""

    def __enter__(self):
        self.programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.folder = tempfile.TemporaryDirectory(prefix="tokenward-bench")
        os.chmod(self.folder.name, 0o777)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        data = f"{self.folder.name}/data"
        self.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder.name}"
        options += " -c shared_buffers=4GB -c max_wal_size=8GB -c max_connections=200"
        self.run("pg_ctl", "-D", data, "-l", f"{self.folder.name}/log", "-o", options, "-w", "start")
        self.pid = int(Path(f"{data}/postmaster.pid").read_text().split()[0])
        return self

    def __exit__(self, *_):
        self.run("pg_ctl", "-D", f"{self.folder.name}/data", "-m", "immediate", "-w", "stop")
        self.folder.cleanup()

    def run(self, program, *arguments):
        demote = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        subprocess.run([*demote, self.programs / program, *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def create(self, name):
        self.sql("postgres", f"create database {name}")
        return self.url(name)

    def url(self, name):
        return f"postgres://postgres@127.0.0.1:{self.port}/{name}"

    def sql(self, database, *statements, copy=None):
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.url(database)]
        for statement in statements:
            command += ["-c", statement]
        stdin = open(copy, "rb") if copy else subprocess.DEVNULL
        return subprocess.run(command, check=True, stdin=stdin, capture_output=True, text=True).stdout.strip()

    def pgbench(self, database, script, clients, seconds):
        """Runs a script with pgbench. The CPU time is that of PostgreSQL and of pgbench."""
        file = Path(self.folder.name) / "script.sql"
        file.write_text(script)
        before, times_before = cpu_seconds([self.pid]), os.times()
        command = ["pgbench", "-n", "-M", "prepared", f"-c{clients}", "-j2", f"-T{seconds}", "-f", file, self.url(database)]
        report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rate = float(re.search(r"tps = ([\d.]+) \(without", report)[1])
        count = int(re.search(r"transactions actually processed: (\d+)", report)[1])
        times = os.times()
        cpu = cpu_seconds([self.pid]) - before + times.children_user - times_before.children_user
        cpu += times.children_system - times_before.children_system
        return Run(rate, cpu / count * 1e6)

    def round_trip(self, database):
        """Returns the median and the 99th percentile of `select 1` in seconds, at 200 queries per second."""
        file = Path(self.folder.name) / "script.sql"
        file.write_text("select 1;")
        with tempfile.TemporaryDirectory() as folder:
            command = ["pgbench", "-n", "-M", "prepared", "-c1", "-T3", "-R200", "-l", "-f", file, self.url(database)]
            subprocess.run(command, check=True, capture_output=True, cwd=folder)
            lines = [line.split() for log in Path(folder).glob("pgbench_log*") for line in log.read_text().splitlines()]
        # The latency without the schedule lag of the transaction.
        times = sorted(int(line[2]) - int(line[6]) for line in lines)
        return times[len(times) // 2] / 1e6, times[len(times) * 99 // 100] / 1e6


@dataclass
class Run:
    """One run: requests per second, CPU time per request in µs, and the 99th percentile of the latency in ms."""

    rate: float
    cpu: float
    p99: float = 0.0


@dataclass
class Target:
    """A URL under load, with the processes whose CPU time counts."""

    name: str
    url: str
    lua: Path
    pids: list = field(default_factory=list)
    connections: int = 64

    def run(self, seconds):
        before = cpu_seconds(self.pids)
        command = ["wrk", "-t1", f"-c{self.connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", self.lua, self.url]
        report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        cpu = cpu_seconds(self.pids) - before
        if re.search(r"Non-2xx|Socket errors", report):
            raise RuntimeError(f"{self.name}: {report}")
        count = int(re.search(r"(\d+) requests in", report)[1])
        if count == 0:
            raise RuntimeError(f"{self.name}: no response in {seconds} s")
        value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", report).groups()
        p99 = float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]
        return Run(float(re.search(r"Requests/sec:\s+([\d.]+)", report)[1]), cpu / count * 1e6, p99)


class Rounds:
    """Runs in random order within each round. Ratios are taken within a round, so that noise affects both sides."""

    def __init__(self, runs, rounds):
        self.runs = {name: [] for name in runs}
        for run in runs.values():
            run()  # warm-up
        rng = random.Random(42)
        for _ in range(rounds):
            for name in rng.sample(list(runs), len(runs)):
                self.runs[name].append(runs[name]())

    def median(self, name, field="rate"):
        return statistics.median(getattr(run, field) for run in self.runs[name])

    def ratio(self, name, baseline, field="rate"):
        """Returns the median, the minimum and the maximum of the ratios of all rounds."""
        ratios = [getattr(a, field) / getattr(b, field) for a, b in zip(self.runs[name], self.runs[baseline])]
        return statistics.median(ratios), min(ratios), max(ratios)

    def print(self):
        for name in self.runs:
            rate, cpu, p99 = (self.median(name, field) for field in ("rate", "cpu", "p99"))
            print(f"      {name:<28} {rate:>10,.0f}/s   cpu {cpu:7.2f} µs   p99 {p99:6.2f} ms")


def format_ratio(ratio):
    median, minimum, maximum = ratio
    return f"{median:.3f} [{minimum:.3f}-{maximum:.3f}]"


def print_result(scenario, label, value, goal):
    print(f"  #{scenario:<3} {label:<58} {value:<24} goal {goal}", flush=True)
