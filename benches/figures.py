"""The figures; the eleventh is in `pages`. Each prints its lines; what they mean stands in docs/performance.md."""

import base64
import contextlib
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlparse

from data import BY_BEARER, IN_TURN, Tokens
from harness import RELEASE, Rounds, Run, Target, bare, figure, memory_mb, peak_mb, show, tokenward
from pages import pages

LOOK_UP = """\\set n random(1, {count})
select t.digest, t.id, t.created_at, t.expires_at, p.id, p.workspace_id, p.email, p.name, p.is_admin, p.is_platform_admin,
  p.is_disabled, p.token_access, s.value from token t join person p on p.id = t.person_id
  left join setting s on s.workspace_id = t.workspace_id and s.key = 'feature.apiAccessTokens.enabled'
  where t.digest = sha256(convert_to(:n::text, 'UTF8'))
"""


class Bench:
    """What the figures share: the database server, a folder, and how long to measure."""

    def __init__(self, postgres, folder, rounds, seconds, tokens):
        self.postgres, self.folder = postgres, folder
        self.rounds, self.seconds, self.tokens = rounds, seconds, tokens
        self.stores = {}

    def store(self, hot, filler=0, people=1_000):
        """A store with so many tokens; made once."""
        key = (hot, filler, people)
        if key not in self.stores:
            name = f"b{len(self.stores)}"
            url = self.postgres.create(name)
            with tokenward(url):
                pass
            self.stores[key] = (name, url, Tokens(self.postgres, name, self.folder, hot, filler, people))
        return self.stores[key]

    def compare(self, *targets, seconds=0):
        """Runs the targets in turn, each at least this long."""
        runs = {target.name: lambda target=target: target.run(max(self.seconds, seconds)) for target in targets}
        return Rounds(runs, self.rounds)


def check_and_introspection(bench):
    """#1 and #2: what a check costs beside a server that does nothing."""
    _, url, tokens = bench.store(10_000)
    with tokenward(url) as service, bare() as nothing:
        pids = [service.pid, bench.postgres.pid]
        checks, questions = tokens.checks(), tokens.questions()
        rounds = bench.compare(
            Target("bare GET", nothing.url, checks, [nothing.pid]),
            Target("check", service.url, checks, pids),
            Target("bare POST", nothing.url, questions, [nothing.pid]),
            Target("introspection", service.url, questions, pids),
        )
    rounds.tell()
    figure(1, "check, cached ÷ bare axum", show(rounds.ratio("check", "bare GET")), "0.92 (floor 0.80)")
    figure(1, "  processor ÷ bare axum's", show(rounds.ratio("check", "bare GET", "cpu")), "1.10 (floor 1.25)")
    figure(2, "introspection, cached ÷ bare axum", show(rounds.ratio("introspection", "bare GET")), "0.80 (floor 0.65)")
    figure(2, "  ÷ bare axum that reads the same body", show(rounds.ratio("introspection", "bare POST")), "-")
    return rounds


def uncached(bench, count):
    """Checks that read the store each time, beside pgbench with the same statement."""
    name, url, tokens = bench.store(min(count, 1_000_000), filler=count)
    with tokenward(url, cache__mode="off") as service:
        target = Target("check", service.url, tokens.checks(), [service.pid, bench.postgres.pid])
        script = LOOK_UP.format(count=min(count, 1_000_000))  # as many as are asked for over HTTP
        return Rounds(
            {
                "pgbench -c8": lambda: bench.postgres.pgbench(name, script, 8, bench.seconds),
                "check, uncached": lambda: target.run(bench.seconds),
            },
            bench.rounds,
        )


def uncached_check(bench):
    """#3"""
    rounds = uncached(bench, bench.tokens)
    rounds.tell()
    what = f"check, uncached, {bench.tokens:,} tokens and as many more ÷ pgbench"
    figure(3, what, show(rounds.ratio("check, uncached", "pgbench -c8")), "1.15 (floor 0.41)")
    figure(3, "  processor ÷ pgbench's", show(rounds.ratio("check, uncached", "pgbench -c8", "cpu")), "-")


def size(bench):
    """#4: the same with a thousand tokens and with many."""
    counts = [1_000, bench.tokens]
    stores = [bench.store(min(count, 1_000_000), filler=count) for count in counts]
    roomy = {"cache__max_tokens": 2_000_000, "cache__max_megabytes": 1_024, "listen__metrics": "127.0.0.1:0"}
    with tokenward(stores[0][1], **roomy) as small, tokenward(stores[1][1], **roomy) as large:
        targets, creations = [], []
        for service, (_, _, tokens), count in zip((small, large), stores, counts):
            learn(service, tokens, min(count, 1_000_000))
            pids = [service.pid, bench.postgres.pid]
            targets += [
                Target(f"check, {count:,}", service.url, tokens.checks(), pids),
                Target(f"list, {count:,}", service.url, tokens.lists(), pids, 8),
            ]
            creations.append(Target(f"create, {count:,}", service.url, tokens.creations(), pids, 16))
        rounds = bench.compare(*targets)
        relative = [uncached(bench, count).ratio("check, uncached", "pgbench -c8")[0] for count in counts]
        count, size = bench.postgres.sql(
            stores[1][0], "select count(*) from token", "select pg_total_relation_size('token')"
        ).split()
        made = bench.compare(*creations)  # last, as the small store does not stay small
    rounds.tell()
    made.tell()
    for what, among, goal in (("check", rounds, "0.85 (floor 0.71)"), ("create", made, "0.8"), ("list", rounds, "0.9")):
        ratio = among.ratio(f"{what}, {counts[1]:,}", f"{what}, {counts[0]:,}")
        figure(4, f"{what}, {counts[1]:,} tokens ÷ 1,000", show(ratio), goal)
    figure(4, f"uncached ÷ pgbench, {counts[1]:,} ÷ 1,000", f"{relative[1] / relative[0]:.3f}", "1.0")
    figure(4, "bytes of table and indexes for each token", f"{int(size) / int(count):.0f}", "-")


def learn(service, tokens, count):
    """Sends each value in turn, until the service knows so many."""
    command = ["wrk", "-t1", "-c64", "-d600s", "--timeout", "30s", "-s", tokens.checks(choose=IN_TURN), service.url]
    load = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while load.poll() is None and known_tokens(service) < count:
            time.sleep(0.5)
    finally:
        load.terminate()
        load.wait()


class Client:
    """One connection that sends one request after another."""

    def __init__(self, url, bearer):
        address = urlparse(url)
        self.connection = http.client.HTTPConnection(address.hostname, address.port)
        self.headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}

    def send(self, method, path, body=None):
        self.connection.request(method, path, body, self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def deletion(bench):
    """#5: making tokens, and deleting them while other nodes know them."""
    name, url, tokens = bench.store(10_000)
    with tokenward(url) as service:
        made = Target("create by Bearer", service.url, tokens.creations(), [service.pid, bench.postgres.pid], 16).run(bench.seconds)
        figure(5, "create by Bearer", f"{made.rate:,.0f}/s", "-")
    medians = {}
    for count in (1, 2, 4):
        with contextlib.ExitStack() as running:
            nodes = [running.enter_context(tokenward(url, listen__metrics="127.0.0.1:0")) for _ in range(count)]
            unit, slow = bench.postgres.round_trip(name)
            took = deletions(nodes, tokens.first(), 300)
            medians[count] = statistics.median(took)
            median, p99 = (1e3 * t for t in (statistics.median(took), statistics.quantiles(took, n=100)[98]))
            figure(5, f"DELETE, {count} nodes, in units of select 1 ({1e3 * unit:.2f} ms, its p99 {slow / unit:.1f})",
                   f"median {median / unit / 1e3:.1f}, p99 {p99 / unit / 1e3:.1f}", "-")
            figure(5, "  its wait for the other nodes", waits(nodes[0], unit), "p99 ≤ 10")
            more = (medians[count] - medians[1]) / unit
            figure(5, "  its median beyond that with one node", f"{more:.1f}", "-")


def deletions(nodes, bearer, count):
    clients = [Client(node.url, bearer) for node in nodes]
    took = []
    for _ in range(count):
        status, body = clients[0].send("POST", "/v4/apiAccessTokens", '{"lifetimeSeconds": 3600}')
        assert status == 201, body
        made = json.loads(body)
        for node in nodes:
            assert Client(node.url, made["tokenValue"]).send("GET", "/v4/auth")[0] == 200
        begun = time.perf_counter()
        assert clients[0].send("DELETE", f"/v4/apiAccessTokens/{made['tokenInfo']['tokenId']}")[0] == 204
        took.append(time.perf_counter() - begun)
        for node in nodes:
            assert Client(node.url, made["tokenValue"]).send("GET", "/v4/auth")[0] == 401, "a stale accept"
    return took


def waits(node, unit):
    """What the node itself says of its waits, from its histogram."""
    url = node.wait_for(r"telling figures on (http://\S+)")
    address = urlparse(url)
    connection = http.client.HTTPConnection(address.hostname, address.port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    buckets = [(float(end), int(n)) for end, n in re.findall(r'revocation_wait_seconds_bucket\{le="([\d.]+|\+Inf)"\} (\d+)', text)]
    total = buckets[-1][1]  # of the last, which has no end
    end = {p: next(end for end, n in buckets if n >= p * total) for p in (0.5, 0.99)}
    return f"median ≤ {end[0.5] / unit:.1f}, p99 ≤ {end[0.99] / unit:.1f}"


def memory(bench):
    """#6: what a known token takes."""
    for people in (1_000, 100_000):
        _, url, tokens = bench.store(1_000_000, people=people)
        with tokenward(url, cache__max_tokens=2_000_000, cache__max_megabytes=1_024, listen__metrics="127.0.0.1:0") as service:
            with_few = Target("", service.url, tokens.lua("few", BY_BEARER, path="/v4/auth"), [])
            with_few.run(1)
            before, known = [memory_mb(service.pid, of) for of in ("Rss", "Pss")], known_tokens(service)
            learn(service, tokens, 1_000_000)
            after, now = [memory_mb(service.pid, of) for of in ("Rss", "Pss")], known_tokens(service)
        rss, pss = ((b - a) * 1024 * 1024 / (now - known) for a, b in zip(before, after))
        figure(6, f"bytes for each of {now:,} known tokens, {people:,} people", f"RSS {rss:.0f}, PSS {pss:.0f}", "≤ 112 (floor 236)")


def known_tokens(service):
    address = urlparse(service.wait_for(r"telling figures on (http://\S+)"))
    connection = http.client.HTTPConnection(address.hostname, address.port)
    connection.request("GET", "/metrics")
    return int(re.search(r"tokenward_cache_tokens (\d+)", connection.getresponse().read().decode())[1])


def last_use(bench):
    """#7: introspection notes a use or does not, by configuration."""
    _, url, tokens = bench.store(10_000)
    off = {"delegate__introspection_counts_as_use": "false"}
    with tokenward(url) as on, tokenward(url, **off) as without:
        questions = tokens.questions()
        rounds = bench.compare(
            Target("noted", on.url, questions, [on.pid, bench.postgres.pid]),
            Target("not noted", without.url, questions, [without.pid, bench.postgres.pid]),
            # Uses are written every ten seconds: a shorter run would measure none of it, or that of the run before.
            seconds=30,
        )
    rounds.tell()
    figure(7, "lastUsed on ÷ off, introspection", show(rounds.ratio("noted", "not noted")), "0.97 (floor 0.95)")


def sign_in(bench):
    """#8: passwords, and checks while they are hashed."""
    _, url, tokens = bench.store(10_000)
    cores = len(os.sched_getaffinity(0))
    basic = base64.b64encode(b"admin@example.com:correct horse battery staple").decode()
    script = bench.folder / "basic.lua"
    script.write_text(f'wrk.path = "/v4/people/current"\nwrk.headers["Authorization"] = "Basic {basic}"\n')
    with tokenward(url) as service:
        idle = memory_mb(service.pid, "Rss")
        few, many = (
            Target(f"sign-in, {count} at once", service.url, script, [service.pid, bench.postgres.pid], count) for count in (2, 32)
        )
        alone = lambda: float(subprocess.check_output([RELEASE / "examples" / "bare_argon2", str(bench.seconds)]))
        runs = {target.name: lambda target=target: target.run(bench.seconds) for target in (few, many)}
        rounds = Rounds({"library": lambda: Run(alone(), 1), **runs}, bench.rounds)
        most = peak_mb(service.pid)
        check = Target("checks, permits idle", service.url, tokens.checks(), [service.pid], 8)
        checks = Rounds(
            {check.name: lambda: check.run(bench.seconds), "checks, permits busy": lambda: beside(many, check, bench.seconds)},
            bench.rounds,
        )
    rounds.tell()
    for target in (few, many):
        figure(8, f"{target.name} ÷ the bare library", show(rounds.ratio(target.name, "library")), "0.97 (floor 0.85)")
    figure(8, "memory under 32 at once ÷ permits × m", f"{(most - idle) / (cores * 19):.2f}", "1.2 (floor 2)")
    checks.tell()
    slower = checks.ratio("checks, permits busy", check.name, "p99")
    figure(8, "p99 of checks while all permits are busy ÷ idle", show(slower), "2 (floor 5)")


def beside(load, measured, seconds):
    """A run with another load before, during and after it."""
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(load.run, seconds + 2)
        time.sleep(1)
        run = measured.run(seconds)
        loading.result()
    return run


def peers(bench):
    """#9: services that do the same job, in the same run."""
    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    import run as peers

    _, url, tokens = bench.store(10_000)
    peers.install()
    with tokenward(url) as service, tokenward(url, cache__mode="off") as uncached, peers.oidc_provider() as oidc:
        with peers.knox(bench.postgres.create("knox")) as knox, peers.better_auth(bench.postgres.create("better")) as better:
            pids = [service.pid, bench.postgres.pid]
            rounds = bench.compare(
                Target("check", service.url, tokens.checks(), pids),
                Target("introspection", service.url, tokens.questions(), pids),
                # Two of the peers read PostgreSQL for each request: this is what we do then.
                Target("uncached check", uncached.url, tokens.checks(), [uncached.pid, bench.postgres.pid]),
                *(Target(name, peer.url, peer.lua, list(peer.pids)) for name, peer in
                  (("oidc-provider", oidc), ("django-rest-knox", knox), ("better-auth", better))),
            )
            for peer in (oidc, knox, better):
                peer.check()  # a refusal can be a 200
    rounds.tell()
    figure(9, "introspection ÷ oidc-provider", show(rounds.ratio("introspection", "oidc-provider")), "≥ 19")
    figure(9, "check ÷ django-rest-knox", show(rounds.ratio("check", "django-rest-knox")), "≥ 178")
    figure(9, "check ÷ better-auth", show(rounds.ratio("check", "better-auth")), "≥ 136")
    for peer in ("django-rest-knox", "better-auth"):
        figure(9, f"  uncached check ÷ {peer}", show(rounds.ratio("uncached check", peer)), "-")


def idle(bench):
    """#10: memory of a service that does nothing yet."""
    for name, url in (("PostgreSQL", bench.postgres.create("idle")), ("SQLite", f"sqlite:{bench.folder}/idle.db")):
        for start in ("first start", "later start"):
            with tokenward(url) as service:
                # The memory of the first password's hash is given back after ten seconds.
                time.sleep(15)
                rss, pss = memory_mb(service.pid, "Rss"), memory_mb(service.pid, "Pss")
            figure(10, f"idle, {name}, {start}", f"RSS {rss:.1f} MB, PSS {pss:.1f} MB", "≤ 12 MB (floor 15)")


FIGURES = {
    1: check_and_introspection,
    2: check_and_introspection,
    3: uncached_check,
    4: size,
    5: deletion,
    6: memory,
    7: last_use,
    8: sign_in,
    9: peers,
    10: idle,
    11: pages,
}
