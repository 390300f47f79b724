-- The tables of the PostgreSQL file of the same number; see there for the reasons.

create table trust_rule (
    id blob primary key check (length(id) = 16),
    workspace_id integer not null,
    service_account_id integer not null,
    issuer text not null check (length(issuer) between 1 and 1024),
    jwks text check (length(cast(jwks as blob)) <= 32768),
    audience text not null check (length(audience) between 1 and 255),
    conditions text not null,
    scopes text check (length(scopes) <= 4096),
    max_lifetime_seconds integer not null check (max_lifetime_seconds between 1 and 3600),
    is_single_use integer not null check (is_single_use in (0, 1)),
    created_at integer not null,
    last_used_at integer,
    issued_tokens integer not null default 0,
    foreign key (workspace_id, service_account_id) references person (workspace_id, id) on delete cascade
) strict;

create index trust_rule_by_account on trust_rule (workspace_id, service_account_id, created_at, id);

alter table token add column trust_rule_id blob check (length(trust_rule_id) = 16);

create index token_by_trust_rule on token (trust_rule_id) where trust_rule_id is not null;
create index token_exchanged_by_expiry on token (expires_at) where trust_rule_id is not null;

drop view unrevoked_token;
create view unrevoked_token as
    select t.id, t.workspace_id, t.person_id, t.digest, t.display_prefix, t.description, t.created_at, t.expires_at,
           t.last_used_at, t.parent_id, t.scopes, t.allowed_networks, t.deletes_at, t.replaced_by,
           coalesce(t.deletes_at, t.expires_at) as ends_at,
           case when t.scopes is null and t.allowed_networks is null then null
                else coalesce(t.scopes, '*') || '|' || coalesce(t.allowed_networks, '*') end as limits,
           t.trust_rule_id
    from token t join person p on p.id = t.person_id
    where p.tokens_revoked_before is null or t.created_at > p.tokens_revoked_before;
