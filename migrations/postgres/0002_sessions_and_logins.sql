-- Sessions of the pages, failed logins, and the sources of successful ones.

create table web_session (
    -- Identifies the session in lists. Not a secret.
    id uuid primary key,
    -- SHA-256 of the cookie's value, which is not stored.
    digest bytea not null unique check (octet_length(digest) = 32),
    workspace_id bigint not null,
    person_id bigint not null,
    created_at timestamptz not null,
    -- When the password was entered last in this session.
    authenticated_at timestamptz not null check (authenticated_at >= created_at),
    -- Updated at most once a minute.
    last_seen_at timestamptz not null check (last_seen_at >= created_at),
    user_agent text not null check (char_length(user_agent) <= 200),
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) with (fillfactor = 80);

create index web_session_by_person on web_session (workspace_id, person_id);
create index web_session_by_time on web_session (created_at);

-- Forms that created a token. A form that is sent again creates none.
create table consumed_form (
    session_id uuid not null references web_session (id) on delete cascade,
    id uuid not null,
    primary key (session_id, id)
);

-- Consecutive failed logins for each e-mail, whether the account exists or not. In the database, so that all nodes count together.
create table login_failure (
    -- SHA-256 of the canonical e-mail; the e-mail that a client sent is not stored.
    email_digest bytea primary key check (octet_length(email_digest) = 32),
    failures integer not null check (failures > 0),
    last_at timestamptz not null
);

create index login_failure_by_time on login_failure (last_at);

-- Client addresses and browsers from which a person signed in. Each has its own failure counter, so that an attacker who raises
-- the counter in `login_failure` does not lock the owner out.
create table known_source (
    person_id bigint not null references person (id) on delete cascade,
    -- SHA-256 of the person with the address or the cookie's value. The address itself is not stored.
    digest bytea not null check (octet_length(digest) = 32),
    -- A browser, not an address. Each kind has its own limit, so that many addresses do not replace the browsers.
    is_device boolean not null,
    -- The last login from this source, to the day.
    last_seen_at timestamptz not null,
    -- Consecutive failed logins from this source, and the time of the last one.
    failures integer not null default 0 check (failures >= 0),
    failed_at timestamptz check (failed_at is not null or failures = 0),
    primary key (person_id, digest)
);

create index known_source_by_time on known_source (last_seen_at);
