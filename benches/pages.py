"""Scenario 11: time and size of the pages with much data."""

import http.client
import re
import statistics
import time
from urllib.parse import urlencode, urlparse

from .data import PEOPLE
from .harness import print_result, tokenward

PERSON_COUNT, TOKEN_COUNT, REPETITIONS = 5_000, 10_000, 30
# All tokens belong to the first administrator, so that the own list is as long as the list of the
# workspace.
OWN_TOKENS = """insert into token (id, workspace_id, person_id, digest, display_prefix, description, created_at, expires_at)
  select gen_random_uuid(), 1, 1, sha256(convert_to('own' || g, 'UTF8')), 'twd_none', 'Nightly export number ' || g,
    now() - g * interval '1 minute', null from generate_series(1, {count}) g"""
# Rows inserted by SQL have no events, so the events of their creation are inserted too.
# The hash chain does not include them, which the pages do not check.
EVENTS = """insert into event (workspace_id, seq, hash, occurred_at, actor_id, actor, actor_token_id, action, outcome,
    person_id, target, label, details)
  select 1, 1000000 + g, sha256(convert_to(g::text, 'UTF8')), now(), 1, 'admin@example.com', null, 'token.created',
    'success', 1, g::text, 'twd_none', '{{}}' from generate_series(1, {count}) g"""
PAGES = [
    "/preferences/access-tokens",
    "/preferences/access-tokens?search=number+77",
    "/preferences/access-tokens?search=nothing",
    "/preferences/access-tokens?status=soon",
    "/preferences/access-tokens/generate",
    "/preferences/access-tokens/delete-all",
    "/preferences/activity",
    "/admin/users",
    "/admin/users?search=person49",
    "/admin/settings",
    "/admin/settings/feature.apiAccessTokens.enabled",
    "/admin/tokens",
    "/admin/tokens?search=person4999",
    "/admin/tokens?status=expired",
    "/admin/activity",
    "/admin/workspaces",
]


class Browser:
    """A signed-in browser on one connection."""

    def __init__(self, url):
        self.origin = url
        self.connection = http.client.HTTPConnection(urlparse(url).netloc)
        form = urlencode({"email": "admin@example.com", "password": "correct horse battery staple"})
        fields = {"Origin": url, "Content-Type": "application/x-www-form-urlencoded"}
        reply = self.send("POST", "/sign-in", form, fields)[0]
        assert reply.status == 303, reply.status
        cookies = [value.split(";")[0] for name, value in reply.getheaders() if name == "set-cookie"]
        self.cookie = next(cookie for cookie in cookies if not cookie.endswith("="))

    def send(self, method, path, body=None, fields=None):
        headers = {"Accept": "text/html", **(fields or {})}
        if hasattr(self, "cookie"):
            headers["Cookie"] = self.cookie
        start = time.perf_counter()
        self.connection.request(method, path, body, headers)
        reply = self.connection.getresponse()
        text = reply.read().decode()
        return reply, text, 1_000 * (time.perf_counter() - start)


def pages(bench):
    """Measures the time from request to last byte on a kept connection, and the size with style sheet and script."""
    url = bench.postgres.create("pages")
    with tokenward(url):
        pass
    bench.postgres.sql(
        "pages",
        PEOPLE.format(people=PERSON_COUNT),
        OWN_TOKENS.format(count=TOKEN_COUNT),
        EVENTS.format(count=TOKEN_COUNT),
    )
    bench.postgres.sql("pages", "vacuum analyze")
    with tokenward(url) as service:
        browser = Browser(service.url)
        first = browser.send("GET", PAGES[0])[1]
        assets = sum(len(browser.send("GET", path)[1]) for path in re.findall(r'"(/assets/[^"]+)"', first))
        slowest, largest = 0, 0
        for path in PAGES:
            replies = [browser.send("GET", path) for _ in range(REPETITIONS)]
            assert all(reply.status == 200 for reply, *_ in replies), path
            times = [elapsed for *_, elapsed in replies]
            size = assets + len(replies[0][1].encode())
            print(f"  {path:<58} median {statistics.median(times):6.1f} ms, max {max(times):6.1f} ms, {size / 1_000:.1f} kB")
            slowest, largest = max(slowest, max(times)), max(largest, size)
    print_result(11, f"slowest page, {TOKEN_COUNT:,} tokens and {PERSON_COUNT:,} people", f"{slowest:.1f} ms", "100 ms")
    print_result(11, "largest page, with style sheet and script", f"{largest / 1_000:.1f} kB", "50 kB")
