"""Fills a store with tokens, and generates the requests that present them."""

import hashlib
import random
import uuid
import zlib
from pathlib import Path

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

PEOPLE = """insert into person (workspace_id, email, email_key, name, password_hash, is_admin, is_platform_admin, is_disabled,
    token_access, force_password_change, created_at, updated_at)
  select 1, 'person' || g || '@example.com', 'person' || g || '@example.com', 'Person ' || g, 'none', true, false, false,
    'default', false, now(), now() from generate_series(2, {people}) g"""
# The digest is computed from the number, so that pgbench can query a token by its number (LOOKUP in
# scenarios.py).
FILLER = """insert into token (id, workspace_id, person_id, digest, display_prefix, description, created_at, expires_at)
  select gen_random_uuid(), 1, 1 + g % {people}, sha256(convert_to(g::text, 'UTF8')), 'twd_none', '', now(), null
  from generate_series(1, {count}) g"""
COPY = "copy token (id, workspace_id, person_id, digest, display_prefix, description, created_at, expires_at) from stdin"

# wrk formats all requests before the run, and sends them at random or in turn.
LUA = """local requests, callers = {{}}, {{}}
for token in io.lines("{values}") do
  if #callers < 100 then callers[#callers + 1] = token end
  requests[#requests + 1] = {request}
end
local count, at = #requests, 0
math.randomseed({seed})
request = {next_request}
"""
RANDOM = "function() return requests[math.random(count)] end"
IN_TURN = "function() at = at % count + 1 return requests[at] end"
GET_BY_BEARER = 'wrk.format("GET", "{path}", {{["Authorization"] = "Bearer " .. token}})'
INTROSPECT = (
    'wrk.format("POST", "/oauth2/introspect", {{["Authorization"] = "Bearer " .. callers[#requests % #callers + 1], '
    '["Content-Type"] = "application/x-www-form-urlencoded"}}, "token=" .. token)'
)
CREATE = (
    'wrk.format("POST", "/v4/apiAccessTokens", {{["Authorization"] = "Bearer " .. token, '
    '["Content-Type"] = "application/json"}}, \'{{"lifetimeSeconds": 3600}}\')'
)


def token_value(rng):
    body = "twd_" + "".join(rng.choices(DIGITS, k=43))
    remainder = zlib.crc32(body.encode())
    checksum = ""
    for _ in range(6):
        remainder, digit = divmod(remainder, 62)
        checksum = DIGITS[digit] + checksum
    return body + checksum


class Tokens:
    """Tokens in a database: `hot` tokens whose values are in a file, and `filler` tokens that no request presents."""

    def __init__(self, postgres, database, folder, hot, filler=0, people=1_000):
        self.folder = Path(folder)
        self.values = self.folder / f"{database}.values"
        rng = random.Random(hot)
        rows = self.folder / f"{database}.rows"
        with self.values.open("w") as values, rows.open("w") as copy:
            for n in range(hot):
                value = token_value(rng)
                values.write(value + "\n")
                digest = hashlib.sha256(value.encode()).hexdigest()
                token_id = uuid.UUID(int=rng.getrandbits(128))
                copy.write(f"{token_id}\t1\t{1 + n % people}\t\\\\x{digest}\t{value[:8]}\t\t2026-01-01\t2100-01-01\n")
        postgres.sql(database, PEOPLE.format(people=people))
        postgres.sql(database, COPY, copy=rows)
        if filler:
            postgres.sql(database, FILLER.format(people=people, count=filler))
        postgres.sql(database, "vacuum analyze", "checkpoint")
        rows.unlink()

    def first(self):
        with self.values.open() as values:
            return values.readline().strip()

    def lua(self, name, request, order=RANDOM, **fields):
        file = self.folder / f"{self.values.stem}-{name}.lua"
        request = request.format(**fields)
        file.write_text(LUA.format(values=self.values, request=request, next_request=order, seed=42))
        return file

    def checks(self, **options):
        return self.lua("checks", GET_BY_BEARER, path="/v4/auth", **options)

    def introspections(self):
        return self.lua("introspections", INTROSPECT)

    def creations(self):
        return self.lua("creations", CREATE)

    def lists(self):
        return self.lua("lists", GET_BY_BEARER, path="/v4/apiAccessTokens?allUsers=true&limit=100")
