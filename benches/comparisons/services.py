"""Other services that do the same job, started on this machine and measured in the same run.

The context managers `oidc_provider`, `knox` and `better_auth` yield a running `Service`. As a program
(`python3 -m benches.comparisons.services`), the module measures each service with a PostgreSQL server of its own.
Requires node, npm, python3-venv, wrk and PostgreSQL.
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
INSTALLED = HERE.parents[1] / "target" / "comparisons"
PYTHON = INSTALLED / "venv" / "bin" / "python"

# wrk formats all requests before the run, and sends them at random.
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
class Check:
    """The request that checks a token, with the placeholder `TOKEN`, and a part of the response for a valid token."""

    method: str
    path: str
    headers: dict[str, str]
    body: str
    accepted: str

    def lua(self, tokens: Path) -> str:
        headers = ", ".join(f'["{name}"] = fill("{value}")' for name, value in self.headers.items())
        body = f'fill("{self.body}")' if self.body else "nil"
        return LUA.format(tokens=tokens, method=self.method, headers=headers, body=body)


@dataclass
class Service:
    """A running service."""

    port: int
    request: Check
    folder: Path
    process: subprocess.Popen

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.request.path}"

    @property
    def lua(self) -> Path:
        return self.folder / "load.lua"

    @property
    def pids(self) -> list[int]:
        return descendants(self.process.pid)

    def check(self):
        """Checks up to 200 of the tokens, and one that was never issued."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.connect()  # a service listens once its tokens are written
            tokens = (self.folder / "tokens").read_text().split()
            for token in random.sample(tokens, min(200, len(tokens))):
                if not self._accepts(connection, token):
                    raise AssertionError(f"{self.url} rejects a valid token")
            if self._accepts(connection, "0" * len(tokens[0])):
                raise AssertionError(f"{self.url} accepts a token that was never issued")
        finally:
            connection.close()

    def _accepts(self, connection, token: str) -> bool:
        check = self.request
        headers = {name: value.replace("TOKEN", token) for name, value in check.headers.items()}
        connection.request(check.method, check.path, check.body.replace("TOKEN", token) or None, headers)
        response = connection.getresponse()
        return check.accepted in response.read().decode() and response.status == 200


def install():
    """Installs the locked packages into target/comparisons unless they are there."""
    wanted = "".join((HERE / name).read_text() for name in ("package-lock.json", "requirements.txt"))
    stamp = INSTALLED / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("installing the services to compare with", file=sys.stderr)
    shutil.rmtree(INSTALLED, ignore_errors=True)
    INSTALLED.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, INSTALLED)
    npm = ["nice", "npm", "ci", "--loglevel=error", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(npm, cwd=INSTALLED, check=True, stdout=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", PYTHON.parents[1]], check=True)
    pip = ["nice", PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", HERE / "requirements.txt"], check=True)
    stamp.write_text(wanted)


@contextmanager
def oidc_provider():
    """npm oidc-provider: introspection with in-memory storage, one process."""
    check = Check(
        method="POST",
        path="/token/introspection",
        headers={
            "Authorization": "Basic " + base64.b64encode(b"api:secret").decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        },
        body="token=TOKEN",
        accepted='"active":true',
    )
    with serve(check, "exec node oidc.js") as service:
        yield service


@contextmanager
def knox(database_url: str):
    """django-rest-knox: a view that returns the user, gunicorn with 2 processes of 4 threads, a PostgreSQL database."""
    check = Check("GET", "/me", {"Authorization": "Token TOKEN"}, "", '"username":"user')
    command = f"{PYTHON} knox_app.py && exec {PYTHON} -m gunicorn --workers 2 --threads 4 --no-control-socket knox_app"
    with serve(check, command, database_url) as service:
        yield service


@contextmanager
def better_auth(database_url: str):
    """npm better-auth: the API key plugin, one process, a PostgreSQL database."""
    check = Check("GET", "/verify", {"X-Api-Key": "TOKEN"}, "", '"valid":true')
    with serve(check, "exec node better_auth.js", database_url) as service:
        yield service


@contextmanager
def serve(check: Check, command: str, database_url: str = ""):
    """Runs a shell command as a service, and yields it once it responds correctly."""
    install()
    for source in (*HERE.glob("*.js"), *HERE.glob("*_app.py")):
        shutil.copy(source, INSTALLED)  # node resolves packages relative to the program
    port = free_port()
    with TemporaryDirectory(prefix="comparison") as name:
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
        service = Service(port, check, folder, process)
        service.lua.write_text(check.lua(folder / "tokens"))
        try:
            wait_until(service.check, process, log)
            yield service
        finally:
            stop(process, signal.SIGTERM)


@contextmanager
def postgres():
    """Starts PostgreSQL with default settings. Yields a function that creates a database and returns its URL."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    with TemporaryDirectory(prefix="comparison-pg") as name:
        data, log, port = Path(name, "data"), Path(name, "log"), free_port()
        # PostgreSQL refuses to run as root.
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if as_user:
            shutil.chown(name, "postgres", "postgres")
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(initdb, cwd=name, check=True, stdout=subprocess.DEVNULL, **as_user)
        server = [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", name]
        process = spawn(server, log, cwd=name, **as_user)
        connection = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]

        def database(name: str) -> str:
            subprocess.run([programs / "createdb", *connection, name], check=True, stderr=subprocess.PIPE)
            return f"postgres://postgres@127.0.0.1:{port}/{name}"

        try:
            wait_until(lambda: subprocess.run([programs / "pg_isready", "-q", *connection], check=True), process, log)
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


def stop(process: subprocess.Popen, stop_signal: signal.Signals):
    """Stops the process group of `spawn` with a signal, and kills it after ten seconds."""
    try:
        os.kill(process.pid, stop_signal)
        process.wait(10)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def descendants(root: int) -> list[int]:
    """Returns a process id and those of its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # the process has exited
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def load(service: Service, seconds: int) -> float:
    """Returns the requests per second under wrk.

    Fails on any response but 2xx. A rejection can be a 200, so the tokens are checked again after the run.
    """
    command = ["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", service.lua, service.url]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in report or "Socket errors" in report:
        raise AssertionError(report)
    service.check()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", report)[1])


def main():
    parser = argparse.ArgumentParser(description="requests per second of services that do the same job")
    parser.add_argument("--seconds", type=int, default=5, help="length of each run")
    seconds = parser.parse_args().seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # runs the exit handlers, which stop the programs
    install()
    with postgres() as database:
        for name, start in {
            "oidc-provider": oidc_provider,
            "django-rest-knox": lambda: knox(database("knox")),
            "better-auth": lambda: better_auth(database("better_auth")),
        }.items():
            with start() as service:
                load(service, 1)  # warm-up
                print(f"{name:20}{load(service, seconds):10,.0f} req/s", flush=True)


if __name__ == "__main__":
    main()
