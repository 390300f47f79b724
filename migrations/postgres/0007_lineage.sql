-- Which token made which, all tokens of a person dead by one row, and what is remembered of tokens that are gone.

alter table token add column parent_id uuid;
-- What a token has made; most tokens have made none and were made by none.
create index token_by_parent on token (parent_id) where parent_id is not null;

-- Tokens of the person that were made until then are dead, whether their rows are removed already or not.
alter table person add column tokens_dead_until timestamptz;
create index person_by_death on person (id) where tokens_dead_until is not null;

drop trigger person_changed on person;
create trigger person_changed after update on person
    for each row when (
        (old.id, old.workspace_id, old.email, old.name, old.is_admin, old.is_platform_admin, old.is_disabled, old.token_access,
         old.tokens_dead_until)
        is distinct from
        (new.id, new.workspace_id, new.email, new.name, new.is_admin, new.is_platform_admin, new.is_disabled, new.token_access,
         new.tokens_dead_until)
    ) execute function announce_person();

-- The tokens that are not dead. Whoever asks for tokens asks here.
create view live_token as
    select t.id, t.workspace_id, t.person_id, t.digest, t.hint, t.description, t.created_at, t.expires_at, t.last_used_at, t.parent_id
    from token t join person p on p.id = t.person_id
    where p.tokens_dead_until is null or t.created_at > p.tokens_dead_until;

-- Tokens that are gone: by their digests a use after death is recognised, by their parents a family that has lost a member. Without
-- references, because they outlive those to whom they belonged.
create table deleted_token (
    id uuid primary key,
    digest bytea not null unique check (octet_length(digest) = 32),
    workspace_id bigint not null,
    person_id bigint not null,
    hint text not null,
    parent_id uuid,
    -- By the database's clock; only decides when the row is removed.
    deleted_at timestamptz not null
);

create index deleted_token_by_parent on deleted_token (parent_id) where parent_id is not null;
create index deleted_token_by_time on deleted_token (deleted_at);

-- By a trigger, so that no way to delete a token forgets it.
create function remember_token() returns trigger language plpgsql as $$
begin
    insert into deleted_token (id, digest, workspace_id, person_id, hint, parent_id, deleted_at)
        values (old.id, old.digest, old.workspace_id, old.person_id, old.hint, old.parent_id, now())
        on conflict do nothing;
    return null;
end $$;

create trigger token_remembered after delete on token for each row execute function remember_token();
