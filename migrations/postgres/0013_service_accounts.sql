-- Service accounts: accounts of programs, which have tokens and no password.

-- The columns `email` and `email_key` of a service account are `service:` and its name. An e-mail contains no colon, so they never equal
-- one, and the existing unique index makes names unique in the whole service.
alter table person add column kind text not null default 'person' check (
    kind in ('person', 'service')
    and (kind = 'person' or (password_hash is null and not is_platform_admin and not force_password_change)));

-- The people who create, list and delete the tokens of a service account.
create table custodian (
    service_account_id bigint not null,
    person_id bigint not null,
    -- Keeps a custodian from belonging to another workspace.
    workspace_id bigint not null,
    primary key (service_account_id, person_id),
    check (service_account_id <> person_id),
    foreign key (workspace_id, service_account_id) references person (workspace_id, id) on delete cascade,
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
);

create index custodian_by_person on custodian (person_id, service_account_id);
create index service_account_by_workspace on person (workspace_id, id) where kind = 'service';

-- The row of a removed person may stay for a while.
create function void_custodians_of_removed() returns trigger language plpgsql as $$
begin
    delete from custodian where person_id = new.id or service_account_id = new.id;
    return null;
end $$;

create trigger custodians_of_removed_voided after update on person for each row
    when (new.removed_at is not null and old.removed_at is null)
    execute function void_custodians_of_removed();

-- Service accounts are not people, so they are not counted.
create or replace function count_people_added() returns trigger language plpgsql as $$
begin
    insert into token_count (person_id, workspace_id, tokens) select id, workspace_id, 0 from added;
    update workspace_count c set people = c.people + n.people
        from (select workspace_id, count(*) as people from added where kind = 'person' group by workspace_id) n
        where c.workspace_id = n.workspace_id;
    return null;
end $$;

create or replace function count_people_removed() returns trigger language plpgsql as $$
begin
    update workspace_count c set people = c.people - n.people
        from (select workspace_id, count(*) as people from removed where removed_at is null and kind = 'person'
            group by workspace_id) n
        where c.workspace_id = n.workspace_id;
    return null;
end $$;

create or replace function count_person_removed() returns trigger language plpgsql as $$
begin
    update workspace_count set people = people - 1 where workspace_id = new.workspace_id and new.kind = 'person';
    return null;
end $$;

-- Tokens of service accounts may be in a family, beside those of the owner of its root.
do $do$
begin
    execute format($f$
        create or replace function %1$s.notify_revoked_family() returns trigger language plpgsql
            security definer set search_path = pg_catalog, pg_temp as $$
        begin
            perform %1$s.notify_change('person ' || p.id::text) from %1$s.person p
                where p.id = new.person_id or (p.workspace_id = new.workspace_id and p.kind = 'service');
            return null;
        end $$ $f$, quote_ident(current_schema()));
end $do$;

-- Replacing a function resets these properties.
do $do$
declare
    name text;
begin
    foreach name in array array['count_people_added', 'count_people_removed', 'count_person_removed'] loop
        execute format('alter function %I() security definer set search_path = %I, pg_temp', name, current_schema());
    end loop;
end $do$;
