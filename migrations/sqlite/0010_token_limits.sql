alter table token add column scopes text check (length(scopes) <= 4096);
alter table token add column allowed_networks text check (length(allowed_networks) between 1 and 4096);
alter table token add column deletes_at integer;
alter table token add column replaced_by blob check (length(replaced_by) = 16);

create index token_by_deletion on token (deletes_at) where deletes_at is not null;

drop view unrevoked_token;
create view unrevoked_token as
    select t.id, t.workspace_id, t.person_id, t.digest, t.display_prefix, t.description, t.created_at, t.expires_at,
           t.last_used_at, t.parent_id, t.scopes, t.allowed_networks, t.deletes_at, t.replaced_by,
           coalesce(t.deletes_at, t.expires_at) as ends_at,
           case when t.scopes is null and t.allowed_networks is null then null
                else coalesce(t.scopes, '*') || '|' || coalesce(t.allowed_networks, '*') end as limits
    from token t join person p on p.id = t.person_id
    where p.tokens_revoked_before is null or t.created_at > p.tokens_revoked_before;
