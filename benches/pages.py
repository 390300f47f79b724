"""#11: what a page costs the server, where there is much to show."""

import http.client
import re
import statistics
import time
from urllib.parse import urlencode, urlparse

from harness import figure, tokenward

PEOPLE, TOKENS, TRIES = 5_000, 10_000, 30
# All of the first administrator, so that one person's own list is as long as the workspace's.
OWN = """insert into token (id, workspace_id, person_id, digest, hint, description, created_at, expires_at)
  select gen_random_uuid(), 1, 1, sha256(convert_to('own' || g, 'UTF8')), 'twd_none', 'Nightly export number ' || g,
    now() - g * interval '1 minute', null from generate_series(1, {count}) g"""
# Past the API nothing is written down: as many events as it would have made.
EVENTS = """insert into event (workspace_id, at, actor_id, actor, actor_token_id, action, person_id, target, label, details)
  select 1, now(), 1, 'admin@example.com', null, 'token.created', 1, g::text, 'twd_none', '' from generate_series(1, {count}) g"""
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


class Visitor:
    """A browser that is signed in, on one connection."""

    def __init__(self, url):
        self.origin = url
        self.connection = http.client.HTTPConnection(urlparse(url).netloc)
        form = urlencode({"email": "admin@example.com", "password": "correct horse battery staple"})
        fields = {"Origin": url, "Content-Type": "application/x-www-form-urlencoded"}
        reply = self.ask("POST", "/sign-in", form, fields)[0]
        assert reply.status == 303, reply.status
        cookies = [value.split(";")[0] for name, value in reply.getheaders() if name == "set-cookie"]
        self.cookie = next(cookie for cookie in cookies if not cookie.endswith("="))

    def ask(self, method, path, body=None, fields=None):
        headers = {"Accept": "text/html", **(fields or {})}
        if hasattr(self, "cookie"):
            headers["Cookie"] = self.cookie
        begun = time.perf_counter()
        self.connection.request(method, path, body, headers)
        reply = self.connection.getresponse()
        text = reply.read().decode()
        return reply, text, 1_000 * (time.perf_counter() - begun)


def pages(bench):
    """Time from the request to the last byte, on one connection that stays open, and bytes with style and script."""
    url = bench.postgres.create("pages")
    with tokenward(url):
        pass
    from data import PEOPLE as people

    bench.postgres.sql("pages", people.format(people=PEOPLE), OWN.format(count=TOKENS), EVENTS.format(count=TOKENS))
    bench.postgres.sql("pages", "vacuum analyze")
    with tokenward(url) as service:
        visitor = Visitor(service.url)
        first = visitor.ask("GET", PAGES[0])[1]
        shared = sum(len(visitor.ask("GET", path)[1]) for path in re.findall(r'"(/assets/[^"]+)"', first))
        slowest, heaviest = 0, 0
        for path in PAGES:
            tries = [visitor.ask("GET", path) for _ in range(TRIES)]
            assert all(reply.status == 200 for reply, *_ in tries), path
            times = [spent for *_, spent in tries]
            weight = shared + len(tries[0][1].encode())
            print(f"  {path:<58} median {statistics.median(times):6.1f} ms, most {max(times):6.1f} ms, {weight / 1_000:.1f} kB")
            slowest, heaviest = max(slowest, max(times)), max(heaviest, weight)
    figure(11, f"slowest page, {TOKENS:,} tokens and {PEOPLE:,} people", f"{slowest:.1f} ms", "100 ms")
    figure(11, "heaviest page, style and script included", f"{heaviest / 1_000:.1f} kB", "50 kB")
