#!/usr/bin/env python3
"""Services that do the same job, started on this machine so that their requests per second can be measured in the same run.

As a program: starts a PostgreSQL of its own, then each peer in turn, and prints what wrk counts. As a module: `oidc_provider`,
`knox` and `better_auth` are context managers that yield a running `Peer`. Needs node, npm, python3-venv, wrk and PostgreSQL.
"""

import argparse
import base64
import http.client
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
INSTALLED = HERE.parents[1] / "target" / "peers"
PYTHON = INSTALLED / "venv" / "bin" / "python"

# Every request is made before the run; wrk then picks at random.
LUA = """\
local requests = {{}}
function init()
  for token in io.lines("{tokens}") do
    local function fill(text) return (text:gsub("TOKEN", token)) end
    requests[#requests + 1] = wrk.format("{method}", nil, {{{headers}}}, {body})
  end
end
function request() return requests[math.random(#requests)] end
"""


@dataclass
class Question:
    """How a peer is asked about a token, `TOKEN` standing for it, and what is in its 200 when the token is good."""

    method: str
    path: str
    headers: dict[str, str]
    body: str
    answer: str

    def lua(self, tokens: Path) -> str:
        headers = ", ".join(f'["{name}"] = fill("{value}")' for name, value in self.headers.items())
        body = f'fill("{self.body}")' if self.body else "nil"
        return LUA.format(tokens=tokens, method=self.method, headers=headers, body=body)


@dataclass
class Peer:
    port: int
    question: Question
    folder: Path
    process: subprocess.Popen

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.question.path}"

    @property
    def lua(self) -> Path:
        return self.folder / "load.lua"

    @property
    def pids(self) -> list[int]:
        return tree(self.process.pid)

    def check(self):
        """Asks about up to 200 of the tokens, and one that was never issued."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.connect()  # a peer listens once its tokens are written
            tokens = (self.folder / "tokens").read_text().split()
            for token in random.sample(tokens, min(200, len(tokens))):
                if not self._accepts(connection, token):
                    raise AssertionError(f"{self.url} refuses a good token")
            if self._accepts(connection, "0" * len(tokens[0])):
                raise AssertionError(f"{self.url} accepts a token that was never issued")
        finally:
            connection.close()

    def _accepts(self, connection, token: str) -> bool:
        q = self.question
        headers = {name: value.replace("TOKEN", token) for name, value in q.headers.items()}
        connection.request(q.method, q.path, q.body.replace("TOKEN", token) or None, headers)
        response = connection.getresponse()
        return q.answer in response.read().decode() and response.status == 200


def install():
    """Brings the locked packages into target/peers, where they are not there yet."""
    wanted = "".join((HERE / name).read_text() for name in ("package-lock.json", "requirements.txt"))
    mark = INSTALLED / "installed"
    if mark.exists() and mark.read_text() == wanted:
        return
    print("installing the peers", file=sys.stderr)
    shutil.rmtree(INSTALLED, ignore_errors=True)
    INSTALLED.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, INSTALLED)
    npm = ["nice", "npm", "ci", "--loglevel=error", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(npm, cwd=INSTALLED, check=True, stdout=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", PYTHON.parents[1]], check=True)
    pip = ["nice", PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", HERE / "requirements.txt"], check=True)
    mark.write_text(wanted)


@contextmanager
def oidc_provider():
    """npm oidc-provider: introspection, in memory, one process."""
    question = Question(
        method="POST",
        path="/token/introspection",
        headers={
            "Authorization": "Basic " + base64.b64encode(b"api:secret").decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        },
        body="token=TOKEN",
        answer='"active":true',
    )
    with serve(question, "exec node oidc.js") as peer:
        yield peer


@contextmanager
def knox(database_url: str):
    """django-rest-knox: who is it, gunicorn with 2 processes of 4 threads, on an empty PostgreSQL database."""
    question = Question("GET", "/me", {"Authorization": "Token TOKEN"}, "", '"username":"user')
    command = f"{PYTHON} knox_app.py && exec {PYTHON} -m gunicorn --workers 2 --threads 4 --no-control-socket knox_app"
    with serve(question, command, database_url) as peer:
        yield peer


@contextmanager
def better_auth(database_url: str):
    """npm better-auth: its API key plugin, one process, on an empty PostgreSQL database."""
    question = Question("GET", "/verify", {"X-Api-Key": "TOKEN"}, "", '"valid":true')
    with serve(question, "exec node better_auth.js", database_url) as peer:
        yield peer


@contextmanager
def serve(question: Question, command: str, database_url: str = ""):
    """Runs a shell command as a peer, from the moment it answers correctly."""
    install()
    for source in (*HERE.glob("*.js"), *HERE.glob("*_app.py")):
        shutil.copy(source, INSTALLED)  # node looks for packages beside the program
    port = free_port()
    with TemporaryDirectory(prefix="peer") as name:
        folder = Path(name)
        log = folder / "log"
        environment = os.environ | {
            "DATABASE_URL": database_url,
            "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}",
            "NODE_ENV": "production",
            "PORT": str(port),
            "TOKENS": str(folder / "tokens"),
        }
        process = spawn(["sh", "-c", command], log, cwd=INSTALLED, env=environment)
        peer = Peer(port, question, folder, process)
        peer.lua.write_text(question.lua(folder / "tokens"))
        try:
            wait_until(peer.check, process, log)
            yield peer
        finally:
            stop(process, signal.SIGTERM)


@contextmanager
def postgres():
    """A PostgreSQL with default settings in a temporary folder; yields a function that creates a database and returns its URL."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    with TemporaryDirectory(prefix="peers-pg") as name:
        data, log, port = Path(name, "data"), Path(name, "log"), free_port()
        # PostgreSQL refuses to run as root.
        other = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if other:
            shutil.chown(name, "postgres", "postgres")
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(initdb, cwd=name, check=True, stdout=subprocess.DEVNULL, **other)
        server = [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", name]
        process = spawn(server, log, cwd=name, **other)
        here = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]

        def database(name: str) -> str:
            subprocess.run([programs / "createdb", *here, name], check=True, stderr=subprocess.PIPE)
            return f"postgres://postgres@127.0.0.1:{port}/{name}"

        try:
            wait_until(lambda: subprocess.run([programs / "pg_isready", "-q", *here], check=True), process, log)
            yield database
        finally:
            stop(process, signal.SIGINT)


def spawn(command, log: Path, **options) -> subprocess.Popen:
    """Starts a program in a process group of its own."""
    with log.open("w") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **options
        )


def wait_until(ready, process: subprocess.Popen, log: Path, seconds: float = 120):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ready()
        except (OSError, http.client.HTTPException, AssertionError, subprocess.CalledProcessError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.args} did not start:\n{log.read_text()}") from error
            time.sleep(0.1)


def stop(process: subprocess.Popen, how: signal.Signals):
    """Ends the process group that `spawn` made: politely, then for certain."""
    try:
        os.kill(process.pid, how)
        process.wait(10)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def tree(root: int) -> list[int]:
    """The ids of a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # gone meanwhile
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def load(peer: Peer, seconds: int) -> float:
    """Requests per second under wrk. Fails on an answer that is not a 2xx, and if the peer's word on its tokens has changed since
    the start: a refusal can be a 200."""
    command = ["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", peer.lua, peer.url]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in report or "Socket errors" in report:
        raise AssertionError(report)
    peer.check()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", report)[1])


def main():
    parser = argparse.ArgumentParser(description="requests per second of services that do the same job")
    parser.add_argument("--seconds", type=int, default=5, help="length of each run")
    seconds = parser.parse_args().seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    install()
    with postgres() as database:
        for name, start in {
            "oidc-provider": oidc_provider,
            "django-rest-knox": lambda: knox(database("knox")),
            "better-auth": lambda: better_auth(database("better_auth")),
        }.items():
            with start() as peer:
                load(peer, 1)  # warm-up
                print(f"{name:20}{load(peer, seconds):10,.0f} req/s", flush=True)


if __name__ == "__main__":
    main()
