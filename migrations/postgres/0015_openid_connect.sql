-- Sign-in through identity providers that redirect the browser.

-- Sign-ins that a browser has begun. Each row is deleted when the provider redirects back, so it is used once.
create table sign_in_flow (
    -- SHA-256 of the value that is in the cookie and in the parameter `state`.
    digest bytea primary key check (octet_length(digest) = 32),
    provider text not null check (char_length(provider) between 1 and 32),
    nonce text not null check (char_length(nonce) <= 64),
    code_verifier text not null check (char_length(code_verifier) <= 128),
    -- The page to open afterwards.
    next_path text not null check (char_length(next_path) <= 2048),
    -- The session whose user authenticates again. Null: a sign-in.
    session_id uuid references web_session (id) on delete cascade,
    created_at timestamptz not null
);

create index sign_in_flow_by_time on sign_in_flow (created_at);
create index sign_in_flow_by_session on sign_in_flow (session_id) where session_id is not null;

-- Assertions of identity providers that were accepted, so that none is accepted twice.
create table spent_assertion (
    issuer text not null check (char_length(issuer) between 1 and 1024),
    -- SHA-256 of the identifier of the assertion.
    id_digest bytea not null check (octet_length(id_digest) = 32),
    -- From this time on, the assertion has expired.
    expires_at timestamptz not null,
    primary key (issuer, id_digest)
);

create index spent_assertion_by_time on spent_assertion (expires_at);

alter table web_session
    -- The identity that signed in. Null: a local password did. The session ends with the identity.
    add column identity_id uuid references external_identity (id) on delete cascade,
    -- The session at the provider, `sid` of the ID token.
    add column provider_session_id text check (char_length(provider_session_id) <= 255),
    -- When the person authenticated at the provider, which may be long before the session. Null: with the session, or later.
    add column provider_authenticated_at timestamptz;

create index web_session_by_identity on web_session (identity_id) where identity_id is not null;
