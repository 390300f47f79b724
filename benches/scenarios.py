"""The scenarios of docs/explanation/performance.md, which explains the results. The eleventh is in `pages`."""

import base64
import contextlib
import http.client
import json
import os
import re
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlparse

from .comparisons import services
from .data import GET_BY_BEARER, IN_TURN, Tokens
from .harness import (
    RELEASE,
    Rounds,
    Run,
    Target,
    baseline_axum,
    format_ratio,
    memory_mb,
    peak_mb,
    print_result,
    tokenward,
)
from .pages import pages

# The query of an uncached check, for a token of `FILLER` in data.py.
LOOKUP = """\\set n random(1, {count})
select t.digest, t.id, t.created_at, t.expires_at, p.id, p.workspace_id, p.email, p.name, p.is_admin, p.is_platform_admin,
  p.is_disabled, p.token_access, s.value from token t join person p on p.id = t.person_id
  left join setting s on s.workspace_id = t.workspace_id and s.key = 'feature.apiAccessTokens.enabled'
  where t.digest = sha256(convert_to(:n::text, 'UTF8'))
"""


class Bench:
    """Shared by the scenarios: the database server, a folder, and the length of the measurements."""

    def __init__(self, postgres, folder, rounds, seconds, tokens):
        self.postgres, self.folder = postgres, folder
        self.rounds, self.seconds, self.tokens = rounds, seconds, tokens
        self.stores = {}

    def store(self, hot, filler=0, people=1_000):
        """Returns a database with this many tokens, and creates it on the first call."""
        key = (hot, filler, people)
        if key not in self.stores:
            name = f"b{len(self.stores)}"
            url = self.postgres.create(name)
            with tokenward(url):
                pass
            self.stores[key] = (name, url, Tokens(self.postgres, name, self.folder, hot, filler, people))
        return self.stores[key]

    def compare(self, *targets, seconds=0):
        """Runs the targets in turn, each for at least `seconds`."""
        runs = {target.name: lambda target=target: target.run(max(self.seconds, seconds)) for target in targets}
        return Rounds(runs, self.rounds)


def check_and_introspection(bench):
    """Scenarios 1 and 2: cached checks and introspection, compared with a server that does nothing."""
    _, url, tokens = bench.store(10_000)
    with tokenward(url) as service, baseline_axum() as baseline:
        pids = [service.pid, bench.postgres.pid]
        checks, introspections = tokens.checks(), tokens.introspections()
        rounds = bench.compare(
            Target("baseline GET", baseline.url, checks, [baseline.pid]),
            Target("check", service.url, checks, pids),
            Target("baseline POST", baseline.url, introspections, [baseline.pid]),
            Target("introspection", service.url, introspections, pids),
        )
    rounds.print()
    print_result(1, "check, cached ÷ bare axum", format_ratio(rounds.ratio("check", "baseline GET")), "0.92 (floor 0.80)")
    print_result(1, "  CPU ÷ bare axum", format_ratio(rounds.ratio("check", "baseline GET", "cpu")), "1.10 (floor 1.25)")
    print_result(2, "introspection, cached ÷ bare axum", format_ratio(rounds.ratio("introspection", "baseline GET")), "0.80 (floor 0.65)")
    print_result(2, "  ÷ bare axum reading the same body", format_ratio(rounds.ratio("introspection", "baseline POST")), "-")
    return rounds


def uncached(bench, count):
    """Runs checks that query the database each time, and pgbench with the same query."""
    name, url, tokens = bench.store(min(count, 1_000_000), filler=count)
    with tokenward(url, cache__mode="off") as service:
        target = Target("check", service.url, tokens.checks(), [service.pid, bench.postgres.pid])
        script = LOOKUP.format(count=min(count, 1_000_000))  # as many different tokens as over HTTP
        return Rounds(
            {
                "pgbench -c8": lambda: bench.postgres.pgbench(name, script, 8, bench.seconds),
                "check, uncached": lambda: target.run(bench.seconds),
            },
            bench.rounds,
        )


def uncached_check(bench):
    """Scenario 3: uncached checks, compared with pgbench."""
    rounds = uncached(bench, bench.tokens)
    rounds.print()
    label = f"check, uncached, {bench.tokens:,} tokens and as many more ÷ pgbench"
    print_result(3, label, format_ratio(rounds.ratio("check, uncached", "pgbench -c8")), "1.15 (floor 0.41)")
    print_result(3, "  CPU ÷ pgbench", format_ratio(rounds.ratio("check, uncached", "pgbench -c8", "cpu")), "-")


def size(bench):
    """Scenario 4: a thousand tokens, compared with many."""
    counts = [1_000, bench.tokens]
    stores = [bench.store(min(count, 1_000_000), filler=count) for count in counts]
    settings = {"cache__max_tokens": 2_000_000, "cache__max_size_mib": 1_024, "listen__metrics": "127.0.0.1:0"}
    with tokenward(stores[0][1], **settings) as small, tokenward(stores[1][1], **settings) as large:
        targets, creations = [], []
        for service, (_, _, tokens), count in zip((small, large), stores, counts):
            fill_cache(service, tokens, min(count, 1_000_000))
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
        created = bench.compare(*creations)  # last, because it makes the small store large
    rounds.print()
    created.print()
    for name, results, goal in (("check", rounds, "0.85 (floor 0.71)"), ("create", created, "0.8"), ("list", rounds, "0.9")):
        ratio = results.ratio(f"{name}, {counts[1]:,}", f"{name}, {counts[0]:,}")
        print_result(4, f"{name}, {counts[1]:,} tokens ÷ 1,000", format_ratio(ratio), goal)
    print_result(4, f"uncached ÷ pgbench, {counts[1]:,} ÷ 1,000", f"{relative[1] / relative[0]:.3f}", "1.0")
    print_result(4, "bytes of table and indexes per token", f"{int(size) / int(count):.0f}", "-")


def fill_cache(service, tokens, count):
    """Sends every token in turn until this many are cached."""
    command = ["wrk", "-t1", "-c64", "-d600s", "--timeout", "30s", "-s", tokens.checks(order=IN_TURN), service.url]
    load = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while load.poll() is None and cached_tokens(service) < count:
            time.sleep(0.5)
    finally:
        load.terminate()
        load.wait()


class Client:
    """A client that sends its requests one after another on one connection."""

    def __init__(self, url, bearer):
        address = urlparse(url)
        self.connection = http.client.HTTPConnection(address.hostname, address.port)
        self.headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}

    def send(self, method, path, body=None):
        self.connection.request(method, path, body, self.headers)
        response = self.connection.getresponse()
        return response.status, response.read()


def deletion(bench):
    """Scenario 5: creating tokens, and deleting them while other nodes have them in their caches."""
    name, url, tokens = bench.store(10_000)
    with tokenward(url) as service:
        target = Target("create by bearer", service.url, tokens.creations(), [service.pid, bench.postgres.pid], 16)
        print_result(5, "create by bearer", f"{target.run(bench.seconds).rate:,.0f}/s", "-")
    medians = {}
    for count in (1, 2, 4):
        with contextlib.ExitStack() as running:
            nodes = [running.enter_context(tokenward(url, listen__metrics="127.0.0.1:0")) for _ in range(count)]
            unit, unit_p99 = bench.postgres.round_trip(name)
            times = deletions(nodes, tokens.first(), 300)
            medians[count] = statistics.median(times)
            p99 = statistics.quantiles(times, n=100)[98]
            print_result(
                5,
                f"DELETE, {count} nodes, in units of select 1 ({1e3 * unit:.2f} ms, p99 {unit_p99 / unit:.1f})",
                f"median {medians[count] / unit:.1f}, p99 {p99 / unit:.1f}",
                "-",
            )
            print_result(5, "  revocation barrier", barrier_times(nodes[0], unit), "p99 ≤ 10")
            more = (medians[count] - medians[1]) / unit
            print_result(5, "  median more than with one node", f"{more:.1f}", "-")


def deletions(nodes, bearer, count):
    """Returns the times of deletions through the first node. Every node has the token in its cache before."""
    clients = [Client(node.url, bearer) for node in nodes]
    times = []
    for _ in range(count):
        status, body = clients[0].send("POST", "/v4/apiAccessTokens", '{"lifetimeSeconds": 3600}')
        assert status == 201, body
        token = json.loads(body)
        for node in nodes:
            assert Client(node.url, token["tokenValue"]).send("GET", "/v4/auth")[0] == 200
        start = time.perf_counter()
        assert clients[0].send("DELETE", f"/v4/apiAccessTokens/{token['tokenInfo']['tokenId']}")[0] == 204
        times.append(time.perf_counter() - start)
        for node in nodes:
            assert Client(node.url, token["tokenValue"]).send("GET", "/v4/auth")[0] == 401, "a stale accept"
    return times


def barrier_times(node, unit):
    """Returns the upper bounds of the median and the p99 of the revocation barrier, from the metrics of the node."""
    pattern = r'tokenward_revocation_propagation_seconds_bucket\{le="([\d.]+|\+Inf)"\} (\d+)'
    buckets = [(float(bound), int(count)) for bound, count in re.findall(pattern, metrics(node))]
    total = buckets[-1][1]  # the bucket +Inf contains all
    bounds = {share: next(bound for bound, count in buckets if count >= share * total) for share in (0.5, 0.99)}
    return f"median ≤ {bounds[0.5] / unit:.1f}, p99 ≤ {bounds[0.99] / unit:.1f}"


def metrics(node):
    address = urlparse(node.wait_for(r"\"serving metrics\".*\"url\":\"(http://[^\"]+)"))
    connection = http.client.HTTPConnection(address.hostname, address.port)
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()


def memory(bench):
    """Scenario 6: memory per cached token."""
    for people in (1_000, 100_000):
        _, url, tokens = bench.store(1_000_000, people=people)
        with tokenward(url, cache__max_tokens=2_000_000, cache__max_size_mib=1_024, listen__metrics="127.0.0.1:0") as service:
            warm_up = Target("", service.url, tokens.lua("few", GET_BY_BEARER, path="/v4/auth"), [])
            warm_up.run(1)
            before, few = [memory_mb(service.pid, field) for field in ("Rss", "Pss")], cached_tokens(service)
            fill_cache(service, tokens, 1_000_000)
            after, many = [memory_mb(service.pid, field) for field in ("Rss", "Pss")], cached_tokens(service)
        rss, pss = ((b - a) * 1024 * 1024 / (many - few) for a, b in zip(before, after))
        print_result(6, f"bytes per cached token, {many:,} tokens, {people:,} people", f"RSS {rss:.0f}, PSS {pss:.0f}", "≤ 112 (floor 236)")


def cached_tokens(service):
    return int(re.search(r"tokenward_cache_tokens (\d+)", metrics(service))[1])


def last_use(bench):
    """Scenario 7: introspection with and without recording `lastUsed`."""
    _, url, tokens = bench.store(10_000)
    not_updating = {"introspection__updates_last_used": "false"}
    with tokenward(url) as recording, tokenward(url, **not_updating) as not_recording:
        introspections = tokens.introspections()
        rounds = bench.compare(
            Target("recorded", recording.url, introspections, [recording.pid, bench.postgres.pid]),
            Target("not recorded", not_recording.url, introspections, [not_recording.pid, bench.postgres.pid]),
            # The buffer is flushed on an interval, so a run has to be longer than it.
            seconds=30,
        )
    rounds.print()
    print_result(7, "lastUsed on ÷ off, introspection", format_ratio(rounds.ratio("recorded", "not recorded")), "0.97 (floor 0.95)")


def sign_in(bench):
    """Scenario 8: sign-ins, and checks while passwords are hashed."""
    _, url, tokens = bench.store(10_000)
    cores = len(os.sched_getaffinity(0))
    basic = base64.b64encode(b"admin@example.com:correct horse battery staple").decode()
    script = bench.folder / "basic.lua"
    script.write_text(f'wrk.path = "/v4/people/current"\nwrk.headers["Authorization"] = "Basic {basic}"\n')
    with tokenward(url) as service:
        idle_mb = memory_mb(service.pid, "Rss")
        few, many = (
            Target(f"sign-in, {count} concurrent", service.url, script, [service.pid, bench.postgres.pid], count) for count in (2, 32)
        )
        library = lambda: float(subprocess.check_output([RELEASE / "examples" / "baseline_argon2", str(bench.seconds)]))
        runs = {target.name: lambda target=target: target.run(bench.seconds) for target in (few, many)}
        rounds = Rounds({"library": lambda: Run(library(), 1), **runs}, bench.rounds)
        peak = peak_mb(service.pid)
        check = Target("checks, idle", service.url, tokens.checks(), [service.pid], 8)
        checks = Rounds(
            {check.name: lambda: check.run(bench.seconds), "checks, all cores hashing": lambda: run_beside(many, check, bench.seconds)},
            bench.rounds,
        )
    rounds.print()
    for target in (few, many):
        print_result(8, f"{target.name} ÷ the Argon2 library", format_ratio(rounds.ratio(target.name, "library")), "0.97 (floor 0.85)")
    print_result(8, "memory under 32 sign-ins ÷ (cores × memory of one hash)", f"{(peak - idle_mb) / (cores * 19):.2f}", "1.2 (floor 2)")
    checks.print()
    slowdown = checks.ratio("checks, all cores hashing", check.name, "p99")
    print_result(8, "p99 of checks while all cores hash ÷ idle", format_ratio(slowdown), "2 (floor 5)")


def run_beside(load, measured, seconds):
    """Runs a target while another load starts before it and ends after it."""
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(load.run, seconds + 2)
        time.sleep(1)
        run = measured.run(seconds)
        loading.result()
    return run


def comparison(bench):
    """Scenario 9: other services that do the same job, in the same run."""
    _, url, tokens = bench.store(10_000)
    services.install()
    with tokenward(url) as service, tokenward(url, cache__mode="off") as uncached, services.oidc_provider() as oidc:
        with services.knox(bench.postgres.create("knox")) as knox, services.better_auth(bench.postgres.create("better")) as better:
            pids = [service.pid, bench.postgres.pid]
            rounds = bench.compare(
                Target("check", service.url, tokens.checks(), pids),
                Target("introspection", service.url, tokens.introspections(), pids),
                # Two of the services query PostgreSQL for each request, as an uncached check does.
                Target("uncached check", uncached.url, tokens.checks(), [uncached.pid, bench.postgres.pid]),
                *(Target(name, other.url, other.lua, list(other.pids)) for name, other in
                  (("oidc-provider", oidc), ("django-rest-knox", knox), ("better-auth", better))),
            )
            for other in (oidc, knox, better):
                other.check()  # a rejection can be a 200
    rounds.print()
    print_result(9, "introspection ÷ oidc-provider", format_ratio(rounds.ratio("introspection", "oidc-provider")), "≥ 19")
    print_result(9, "check ÷ django-rest-knox", format_ratio(rounds.ratio("check", "django-rest-knox")), "≥ 178")
    print_result(9, "check ÷ better-auth", format_ratio(rounds.ratio("check", "better-auth")), "≥ 136")
    for name in ("django-rest-knox", "better-auth"):
        print_result(9, f"  uncached check ÷ {name}", format_ratio(rounds.ratio("uncached check", name)), "-")


def idle(bench):
    """Scenario 10: memory of an idle service."""
    for name, url in (("PostgreSQL", bench.postgres.create("idle")), ("SQLite", f"sqlite:{bench.folder}/idle.db")):
        for start in ("first start", "later start"):
            with tokenward(url) as service:
                # The service releases the memory of a password hash some seconds after it.
                time.sleep(15)
                rss, pss = memory_mb(service.pid, "Rss"), memory_mb(service.pid, "Pss")
            print_result(10, f"idle, {name}, {start}", f"RSS {rss:.1f} MB, PSS {pss:.1f} MB", "≤ 12 MB (floor 15)")


SCENARIOS = {
    1: check_and_introspection,
    2: check_and_introspection,
    3: uncached_check,
    4: size,
    5: deletion,
    6: memory,
    7: last_use,
    8: sign_in,
    9: comparison,
    10: idle,
    11: pages,
}
