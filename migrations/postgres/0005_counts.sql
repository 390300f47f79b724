-- Counts of people and unrevoked tokens, maintained by triggers, so that reading them costs the same for any number of rows.

create table workspace_count (
    workspace_id bigint primary key references workspace (id) on delete cascade,
    people bigint not null,
    tokens bigint not null
) with (fillfactor = 50);

create table token_count (
    person_id bigint primary key,
    workspace_id bigint not null,
    tokens bigint not null,
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) with (fillfactor = 50);

-- Locks are taken in one order: tokens, token_count by person, workspace_count by workspace, and last the event chain.
-- A function locks the rows of token_count first and reads the tokens in a second statement. The snapshot of that statement includes
-- everything that earlier holders of the lock committed, so that no token is subtracted twice.

create function count_workspace() returns trigger language plpgsql as $$
begin
    insert into workspace_count (workspace_id, people, tokens) values (new.id, 0, 0) on conflict do nothing;
    return null;
end $$;

create function count_people_added() returns trigger language plpgsql as $$
begin
    insert into token_count (person_id, workspace_id, tokens) select id, workspace_id, 0 from added;
    update workspace_count c set people = c.people + n.people
        from (select workspace_id, count(*) as people from added group by workspace_id) n
        where c.workspace_id = n.workspace_id;
    return null;
end $$;

create function count_people_removed() returns trigger language plpgsql as $$
begin
    update workspace_count c set people = c.people - n.people
        from (select workspace_id, count(*) as people from removed where removed_at is null group by workspace_id) n
        where c.workspace_id = n.workspace_id;
    return null;
end $$;

-- A removed person is not counted, although the row still exists.
create function count_person_removed() returns trigger language plpgsql as $$
begin
    update workspace_count set people = people - 1 where workspace_id = new.workspace_id;
    return null;
end $$;

create function count_tokens_added() returns trigger language plpgsql as $$
begin
    perform 1 from token_count where person_id in (select person_id from added) order by person_id for update;
    update token_count c set tokens = c.tokens + n.tokens
        from (select t.person_id, count(*) as tokens from added t join person p on p.id = t.person_id
            where p.tokens_revoked_before is null or t.created_at > p.tokens_revoked_before group by t.person_id) n
        where c.person_id = n.person_id;
    return null;
end $$;

create function count_tokens_removed() returns trigger language plpgsql as $$
begin
    perform 1 from token_count where person_id in (select person_id from removed) order by person_id for update;
    -- If the person was deleted there is no row to join, and the row of token_count is deleted with it.
    update token_count c set tokens = c.tokens - n.tokens
        from (select t.person_id, count(*) as tokens from removed t join person p on p.id = t.person_id
            where p.tokens_revoked_before is null or t.created_at > p.tokens_revoked_before group by t.person_id) n
        where c.person_id = n.person_id;
    return null;
end $$;

create function recount_tokens(target_id bigint) returns void language plpgsql as $$
begin
    perform 1 from token_count where person_id = target_id for update;
    update token_count c set tokens = (select count(*) from token t where t.workspace_id = p.workspace_id and t.person_id = p.id
            and (p.tokens_revoked_before is null or t.created_at > p.tokens_revoked_before))
        from person p where p.id = target_id and c.person_id = target_id;
end $$;

create function recount_tokens_of_person() returns trigger language plpgsql as $$
begin
    perform recount_tokens(new.id);
    return null;
end $$;

create function recount_tokens_of_token() returns trigger language plpgsql as $$
begin
    perform recount_tokens(target_id) from (select old.person_id as target_id union select new.person_id) people order by target_id;
    return null;
end $$;

create function reset_token_counts() returns trigger language plpgsql as $$
begin
    update token_count set tokens = 0 where tokens <> 0;
    return null;
end $$;

create function add_token_count_changes() returns trigger language plpgsql as $$
begin
    perform 1 from workspace_count where workspace_id in (select workspace_id from after) order by workspace_id for update;
    update workspace_count c set tokens = c.tokens + n.difference
        from (select a.workspace_id, cast(sum(a.tokens - b.tokens) as bigint) as difference
            from after a join before b on b.person_id = a.person_id group by a.workspace_id) n
        where c.workspace_id = n.workspace_id and n.difference <> 0;
    return null;
end $$;

create function subtract_token_counts() returns trigger language plpgsql as $$
begin
    perform 1 from workspace_count where workspace_id in (select workspace_id from removed) order by workspace_id for update;
    update workspace_count c set tokens = c.tokens - n.tokens
        from (select workspace_id, cast(sum(tokens) as bigint) as tokens from removed group by workspace_id) n
        where c.workspace_id = n.workspace_id and n.tokens <> 0;
    return null;
end $$;

create function reset_workspace_counts() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'person' then
        update workspace_count set people = 0, tokens = 0;
    else
        update workspace_count set tokens = 0;
    end if;
    return null;
end $$;

-- Created before the rows are counted below: a new trigger blocks writers until the migration commits.
create trigger workspace_counted after insert on workspace for each row execute function count_workspace();

create trigger people_counted after insert on person referencing new table as added
    for each statement execute function count_people_added();
create trigger people_uncounted after delete on person referencing old table as removed
    for each statement execute function count_people_removed();
create trigger person_removed_uncounted after update of removed_at on person for each row
    when (old.removed_at is null and new.removed_at is not null) execute function count_person_removed();
create trigger person_emptied_uncounted after truncate on person for each statement execute function reset_workspace_counts();
create trigger tokens_recounted after update of tokens_revoked_before on person for each row
    when (old.tokens_revoked_before is distinct from new.tokens_revoked_before) execute function recount_tokens_of_person();

create trigger tokens_counted after insert on token referencing new table as added
    for each statement execute function count_tokens_added();
create trigger tokens_uncounted after delete on token referencing old table as removed
    for each statement execute function count_tokens_removed();
create trigger tokens_moved after update of workspace_id, person_id, created_at on token for each row
    when ((old.workspace_id, old.person_id, old.created_at) is distinct from (new.workspace_id, new.person_id, new.created_at))
    execute function recount_tokens_of_token();
create trigger tokens_emptied_uncounted after truncate on token for each statement execute function reset_token_counts();

create trigger token_count_changed after update on token_count referencing old table as before new table as after
    for each statement execute function add_token_count_changes();
create trigger token_count_deleted after delete on token_count referencing old table as removed
    for each statement execute function subtract_token_counts();

insert into token_count (person_id, workspace_id, tokens)
    select p.id, p.workspace_id, count(t.id) from person p left join unrevoked_token t on t.person_id = p.id group by p.id, p.workspace_id;
insert into workspace_count (workspace_id, people, tokens)
    select w.id, count(c.person_id), coalesce(cast(sum(c.tokens) as bigint), 0)
    from workspace w left join token_count c on c.workspace_id = w.id group by w.id;

-- The functions run as their owner, so that changes by other roles are counted, and look up tables in this schema before temporary ones.
do $do$
declare
    name text;
begin
    foreach name in array array['count_workspace', 'count_people_added', 'count_people_removed', 'count_person_removed',
        'count_tokens_added', 'count_tokens_removed', 'recount_tokens_of_person', 'recount_tokens_of_token', 'reset_token_counts',
        'add_token_count_changes', 'subtract_token_counts', 'reset_workspace_counts'] loop
        execute format('alter function %I() security definer set search_path = %I, pg_temp', name, current_schema());
    end loop;
end $do$;
