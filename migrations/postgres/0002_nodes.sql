-- The nodes that answer checks from memory, and the announcement of every change that such a memory must forget.

-- A node writes its row when it begins, counts it up each time it renews its lease, and removes it when it stops. Unlogged
-- would do for the content, but not for a standby that is promoted.
create table node (
    id uuid primary key,
    lease_ms integer not null check (lease_ms > 0),
    renewals bigint not null,
    -- For people who look: by the database's clock. No node decides by it.
    lease_until timestamptz not null
) with (fillfactor = 50);

-- Announcing from triggers covers statements that somebody types, too. What is announced is kind and id; a token's id is its
-- digest, by which memory holds it, and which is worthless once the token is gone.
create function announce_token() returns trigger language plpgsql as $$
begin
    perform pg_notify('tokenward', 'token ' || encode(old.digest, 'hex'));
    return null;
end $$;

create function announce_person() returns trigger language plpgsql as $$
begin
    perform pg_notify('tokenward', 'person ' || old.id);
    return null;
end $$;

create function announce_workspace() returns trigger language plpgsql as $$
begin
    perform pg_notify('tokenward', 'workspace ' || old.id);
    return null;
end $$;

create function announce_setting() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        perform pg_notify('tokenward', 'workspace ' || old.workspace_id);
    end if;
    if tg_op <> 'DELETE' then
        perform pg_notify('tokenward', 'workspace ' || new.workspace_id);
    end if;
    return null;
end $$;

create function announce_everything() returns trigger language plpgsql as $$
begin
    perform pg_notify('tokenward', 'everything');
    return null;
end $$;

-- Not on last_used_at, which is written all the time and decides nothing.
create trigger token_taken_away after delete on token
    for each row execute function announce_token();
create trigger token_changed after update of id, workspace_id, person_id, digest, created_at, expires_at on token
    for each row execute function announce_token();

create trigger person_taken_away after delete on person
    for each row execute function announce_person();
create trigger person_changed after update on person
    for each row when (
        (old.id, old.workspace_id, old.email, old.name, old.is_admin, old.is_platform_admin, old.is_disabled, old.token_access)
        is distinct from
        (new.id, new.workspace_id, new.email, new.name, new.is_admin, new.is_platform_admin, new.is_disabled, new.token_access)
    ) execute function announce_person();

create trigger workspace_taken_away after delete on workspace
    for each row execute function announce_workspace();

create trigger setting_changed after insert or update or delete on setting
    for each row execute function announce_setting();

create trigger token_emptied after truncate on token for each statement execute function announce_everything();
create trigger person_emptied after truncate on person for each statement execute function announce_everything();
create trigger workspace_emptied after truncate on workspace for each statement execute function announce_everything();
create trigger setting_emptied after truncate on setting for each statement execute function announce_everything();
