"""Tokens in a store, and the requests that present them."""

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
# Their digests are computed alike by whoever asks for them by number.
FILLER = """insert into token (id, workspace_id, person_id, digest, hint, description, created_at, expires_at)
  select gen_random_uuid(), 1, 1 + g % {people}, sha256(convert_to(g::text, 'UTF8')), 'twd_none', '', now(), null
  from generate_series(1, {count}) g"""
COPY = "copy token (id, workspace_id, person_id, digest, hint, description, created_at, expires_at) from stdin"

# Requests are made before the run; wrk then picks at random, or takes one after the other.
LUA = """local requests, askers = {{}}, {{}}
for token in io.lines("{values}") do
  if #askers < 100 then askers[#askers + 1] = token end
  requests[#requests + 1] = {request}
end
local count, at = #requests, 0
math.randomseed({seed})
request = {choose}
"""
RANDOM = "function() return requests[math.random(count)] end"
IN_TURN = "function() at = at % count + 1 return requests[at] end"
BY_BEARER = 'wrk.format("GET", "{path}", {{["Authorization"] = "Bearer " .. token}})'
ASKING = (
    'wrk.format("POST", "/oauth2/introspect", {{["Authorization"] = "Bearer " .. askers[#requests % #askers + 1], '
    '["Content-Type"] = "application/x-www-form-urlencoded"}}, "token=" .. token)'
)
MAKING = (
    'wrk.format("POST", "/v4/apiAccessTokens", {{["Authorization"] = "Bearer " .. token, '
    '["Content-Type"] = "application/json"}}, \'{{"lifetimeSeconds": 3600}}\')'
)


def value(chance):
    body = "twd_" + "".join(chance.choices(DIGITS, k=43))
    rest, checksum = zlib.crc32(body.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        checksum = DIGITS[digit] + checksum
    return body + checksum


class Tokens:
    """Tokens whose values are known, in a file, and any number beside them whose values are not."""

    def __init__(self, postgres, database, folder, hot, filler=0, people=1_000):
        self.folder = Path(folder)
        self.values = self.folder / f"{database}.values"
        chance = random.Random(hot)
        rows = self.folder / f"{database}.rows"
        with self.values.open("w") as values, rows.open("w") as copy:
            for n in range(hot):
                made = value(chance)
                values.write(made + "\n")
                digest = hashlib.sha256(made.encode()).hexdigest()
                ident = uuid.UUID(int=chance.getrandbits(128))
                copy.write(f"{ident}\t1\t{1 + n % people}\t\\\\x{digest}\t{made[:8]}\t\t2026-01-01\t2100-01-01\n")
        postgres.sql(database, PEOPLE.format(people=people))
        postgres.sql(database, COPY, copy=rows)
        if filler:
            postgres.sql(database, FILLER.format(people=people, count=filler))
        postgres.sql(database, "vacuum analyze", "checkpoint")
        rows.unlink()

    def first(self):
        with self.values.open() as values:
            return values.readline().strip()

    def lua(self, name, request, choose=RANDOM, **fields):
        file = self.folder / f"{self.values.stem}-{name}.lua"
        made = request.format(**fields)
        file.write_text(LUA.format(values=self.values, request=made, choose=choose, seed=42))
        return file

    def checks(self, **how):
        return self.lua("checks", BY_BEARER, path="/v4/auth", **how)

    def questions(self):
        return self.lua("questions", ASKING)

    def creations(self):
        return self.lua("creations", MAKING)

    def lists(self):
        return self.lua("lists", BY_BEARER, path="/v4/apiAccessTokens?allUsers=true&limit=100")
