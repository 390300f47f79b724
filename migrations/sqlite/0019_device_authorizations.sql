-- The table of the PostgreSQL file of the same number; see there for the reasons.

create table device_authorization (
    id blob primary key check (length(id) = 16),
    device_digest blob not null unique check (length(device_digest) = 32),
    user_code_digest blob not null unique check (length(user_code_digest) = 32),
    state text not null check (state in ('pending', 'approved', 'denied', 'redeemed')),
    description text not null check (length(description) <= 255),
    lifetime_seconds integer check (lifetime_seconds = -1 or lifetime_seconds > 0),
    scopes text,
    address text,
    user_agent text not null,
    created_at integer not null,
    expires_at integer not null,
    poll_interval_seconds integer not null check (poll_interval_seconds > 0),
    last_poll_at integer,
    workspace_id integer,
    person_id integer,
    session_id blob check (length(session_id) = 16),
    check ((workspace_id is null) = (session_id is null) and (person_id is null) = (session_id is null)),
    check (state = 'pending' or session_id is not null)
) strict;

create index device_authorization_by_time on device_authorization (expires_at);
