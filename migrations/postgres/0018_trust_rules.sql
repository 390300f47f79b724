-- Trust rules: the JWTs of other issuers that a service account accepts in exchange for tokens.

create table trust_rule (
    id uuid primary key,
    workspace_id bigint not null,
    service_account_id bigint not null,
    -- The claim `iss`, byte for byte.
    issuer text not null check (octet_length(issuer) between 1 and 1024),
    -- A JSON Web Key Set. Null: the keys are found by discovery.
    jwks text check (octet_length(jwks) <= 32768),
    audience text not null check (octet_length(audience) between 1 and 255),
    -- A JSON list of claims with a value or a glob.
    conditions text not null,
    -- Words in ascending order, separated by spaces; empty: no scope. Null: unrestricted.
    scopes text check (octet_length(scopes) <= 4096),
    max_lifetime_seconds bigint not null check (max_lifetime_seconds between 1 and 3600),
    -- Each JWT is accepted once.
    is_single_use boolean not null,
    created_at timestamptz not null,
    last_used_at timestamptz,
    issued_tokens bigint not null default 0,
    foreign key (workspace_id, service_account_id) references person (workspace_id, id) on delete cascade
);

create index trust_rule_by_account on trust_rule (workspace_id, service_account_id, created_at, id);

-- The rule by which the token was issued. Such a token creates no tokens. The rule may be deleted before the row.
alter table token add column trust_rule_id uuid;

create index token_by_trust_rule on token (trust_rule_id) where trust_rule_id is not null;
-- Tokens that were issued by exchange are deleted one day after their expiry.
create index token_exchanged_by_expiry on token (expires_at) where trust_rule_id is not null;

create or replace view unrevoked_token as
    select t.id, t.workspace_id, t.person_id, t.digest, t.display_prefix, t.description, t.created_at, t.expires_at,
           t.last_used_at, t.parent_id, t.scopes, t.allowed_networks, t.deletes_at, t.replaced_by,
           coalesce(t.deletes_at, t.expires_at) as ends_at,
           case when t.scopes is null and t.allowed_networks is null then null
                else coalesce(t.scopes, '*') || '|' || coalesce(t.allowed_networks, '*') end as limits,
           t.trust_rule_id
    from token t join person p on p.id = t.person_id
    where p.tokens_revoked_before is null or t.created_at > p.tokens_revoked_before;
