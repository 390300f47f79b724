-- The tables of the PostgreSQL file of the same number; see there for the reasons.

create table web_session (
    id blob primary key check (length(id) = 16),
    digest blob not null unique check (length(digest) = 32),
    workspace_id integer not null,
    person_id integer not null,
    created_at integer not null,
    authenticated_at integer not null check (authenticated_at >= created_at),
    last_seen_at integer not null check (last_seen_at >= created_at),
    user_agent text not null check (length(user_agent) <= 200),
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) strict;

create index web_session_by_person on web_session (workspace_id, person_id);
create index web_session_by_time on web_session (created_at);

create table consumed_form (
    session_id blob not null references web_session (id) on delete cascade,
    id blob not null,
    primary key (session_id, id)
) strict;

create table login_failure (
    email_digest blob primary key check (length(email_digest) = 32),
    failures integer not null check (failures > 0),
    last_at integer not null
) strict;

create index login_failure_by_time on login_failure (last_at);

create table known_source (
    person_id integer not null references person (id) on delete cascade,
    digest blob not null check (length(digest) = 32),
    is_device integer not null check (is_device in (0, 1)),
    last_seen_at integer not null,
    failures integer not null default 0 check (failures >= 0),
    failed_at integer check (failed_at is not null or failures = 0),
    primary key (person_id, digest)
) strict;

create index known_source_by_time on known_source (last_seen_at);
