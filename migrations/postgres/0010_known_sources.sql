-- Sources (client addresses and browsers) from which an account has signed in before. Each has a failure counter of its own, so that an
-- attacker who keeps the counter of `password_try` high does not keep the owner out.

create table known_source (
    person_id bigint not null references person (id) on delete cascade,
    -- SHA-256 of the account and of the address or the cookie's value. Clear addresses are not needed, so none are stored.
    digest bytea not null check (octet_length(digest) = 32),
    -- A browser, not an address. Each kind is kept apart, so that a client of many addresses does not replace the browsers.
    is_device boolean not null,
    -- The last sign-in from there, to the day.
    seen_at timestamptz not null,
    -- Wrong passwords in a row from there, and when the last one was.
    failures integer not null default 0 check (failures >= 0),
    failed_at timestamptz check (failed_at is not null or failures = 0),
    primary key (person_id, digest)
);

-- Purging what was not seen for long.
create index known_source_by_time on known_source (seen_at);

-- Accounts whose `email_key` may not be canonical: since this version it holds no invisible characters, and its domain is in Unicode.
-- SQL cannot decode `xn--`, so the program rewrites these keys after the migration and removes the rows.
create table email_key_review (
    person_id bigint primary key references person (id) on delete cascade
);

insert into email_key_review (person_id)
    select id from person where email_key like '%xn--%' or octet_length(email_key) <> char_length(email_key);
