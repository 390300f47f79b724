-- Device authorizations (RFC 8628): a program asks for a token, and a signed-in person approves it on a page.

create table device_authorization (
    id uuid primary key,
    -- SHA-256 of the secret with which the program polls. The value is not stored.
    device_digest bytea not null unique check (octet_length(device_digest) = 32),
    -- SHA-256 of the short code that the person types.
    user_code_digest bytea not null unique check (octet_length(user_code_digest) = 32),
    state text not null check (state in ('pending', 'approved', 'denied', 'redeemed')),
    description text not null check (char_length(description) <= 255),
    -- -1: the token never expires. Null: the program asked for no lifetime.
    lifetime_seconds bigint check (lifetime_seconds = -1 or lifetime_seconds > 0),
    -- Null: full access.
    scopes text,
    -- The program that asked, as the person sees it.
    address text,
    user_agent text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    poll_interval_seconds bigint not null check (poll_interval_seconds > 0),
    last_poll_at timestamptz,
    -- The session in which a person entered the code. It references nothing: when the session or the person is
    -- deleted, the row stays until it is purged, so that the program gets the error for a denied login.
    workspace_id bigint,
    person_id bigint,
    session_id uuid,
    check ((workspace_id is null) = (session_id is null) and (person_id is null) = (session_id is null)),
    check (state = 'pending' or session_id is not null)
);

create index device_authorization_by_time on device_authorization (expires_at);
