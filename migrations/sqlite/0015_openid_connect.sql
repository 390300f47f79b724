-- The tables of the PostgreSQL file of the same number; see there for the reasons.

create table sign_in_flow (
    digest blob not null primary key check (length(digest) = 32),
    provider text not null check (length(provider) between 1 and 32),
    nonce text not null check (length(nonce) <= 64),
    code_verifier text not null check (length(code_verifier) <= 128),
    next_path text not null check (length(next_path) <= 2048),
    session_id blob references web_session (id) on delete cascade,
    created_at integer not null
) strict, without rowid;

create index sign_in_flow_by_time on sign_in_flow (created_at);
create index sign_in_flow_by_session on sign_in_flow (session_id) where session_id is not null;

create table spent_assertion (
    issuer text not null check (length(issuer) between 1 and 1024),
    id_digest blob not null check (length(id_digest) = 32),
    expires_at integer not null,
    primary key (issuer, id_digest)
) strict, without rowid;

create index spent_assertion_by_time on spent_assertion (expires_at);

alter table web_session add column identity_id blob references external_identity (id) on delete cascade;
alter table web_session add column provider_session_id text check (length(provider_session_id) <= 255);
alter table web_session add column provider_authenticated_at integer;

create index web_session_by_identity on web_session (identity_id) where identity_id is not null;
