-- Limits of tokens, and their replacement by newer tokens.

alter table token
    -- Words in ascending order, separated by spaces; empty: no scope. Null: unrestricted.
    add column scopes text check (octet_length(scopes) <= 4096),
    -- Networks in CIDR notation, separated by spaces. Null: any address.
    add column allowed_networks text check (octet_length(allowed_networks) between 1 and 4096),
    -- When a replaced token is deleted; never later than its expiry. It does not authenticate from then on.
    add column deletes_at timestamptz,
    -- The token that replaces this one.
    add column replaced_by uuid,
    add constraint token_replacement check ((deletes_at is null) = (replaced_by is null)),
    add constraint token_deleted_before_expiry check (deletes_at <= expires_at);

-- Deletion of replaced tokens.
create index token_by_deletion on token (deletes_at) where deletes_at is not null;

create or replace view unrevoked_token as
    select t.id, t.workspace_id, t.person_id, t.digest, t.display_prefix, t.description, t.created_at, t.expires_at,
           t.last_used_at, t.parent_id, t.scopes, t.allowed_networks, t.deletes_at, t.replaced_by,
           -- When the token stops authenticating.
           coalesce(t.deletes_at, t.expires_at) as ends_at,
           -- Scopes and networks in one text; null: none.
           case when t.scopes is null and t.allowed_networks is null then null
                else coalesce(t.scopes, '*') || '|' || coalesce(t.allowed_networks, '*') end as limits
    from token t join person p on p.id = t.person_id
    where p.tokens_revoked_before is null or t.created_at > p.tokens_revoked_before;

-- Every node must know a scheduled deletion, as it knows a deletion.
create trigger token_scheduled after update of deletes_at, scopes, allowed_networks on token
    for each row execute function notify_token();

-- A node of an older version would ignore scopes, networks and scheduled deletions. While one runs, no token gets them.
alter table node add column schema_version integer not null default 9;
