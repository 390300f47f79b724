-- The tables of the Postgres file of the same number, with its comments' reasons.

alter table token add column parent_id blob;
create index token_by_parent on token (parent_id) where parent_id is not null;

alter table person add column tokens_dead_until integer;
create index person_by_death on person (id) where tokens_dead_until is not null;

create view live_token as
    select t.id, t.workspace_id, t.person_id, t.digest, t.hint, t.description, t.created_at, t.expires_at, t.last_used_at, t.parent_id
    from token t join person p on p.id = t.person_id
    where p.tokens_dead_until is null or t.created_at > p.tokens_dead_until;

create table deleted_token (
    id blob primary key check (length(id) = 16),
    digest blob not null unique check (length(digest) = 32),
    workspace_id integer not null,
    person_id integer not null,
    hint text not null,
    parent_id blob,
    deleted_at integer not null
) strict;

create index deleted_token_by_parent on deleted_token (parent_id) where parent_id is not null;
create index deleted_token_by_time on deleted_token (deleted_at);

create trigger token_remembered after delete on token begin
    insert or ignore into deleted_token (id, digest, workspace_id, person_id, hint, parent_id, deleted_at)
        values (old.id, old.digest, old.workspace_id, old.person_id, old.hint, old.parent_id,
                cast(unixepoch('subsec') * 1000 as integer));
end;
