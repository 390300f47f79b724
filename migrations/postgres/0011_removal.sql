-- Rights that are taken away by one row, and whose many rows are removed afterwards in parts: a statement that removes a hundred
-- thousand rows would not end within its time limit, and would keep others waiting until then.

-- A token that was revoked with everything it made, and those made in turn. While the row is there, tokens of the person are checked
-- for an ancestor in this table.
create table revoked_family (
    root_id uuid primary key,
    workspace_id bigint not null,
    person_id bigint not null,
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
);
create index revoked_family_by_person on revoked_family (person_id);

-- A person who was removed: disabled, without rights, tokens and sessions, under a key that no e-mail has. The row goes after the tokens.
alter table person add column removed_at timestamptz;
create index person_removed on person (id) where removed_at is not null;

-- A workspace that was removed. Its rows go in parts, its own row last.
alter table workspace add column removed_at timestamptz;
create index workspace_removed on workspace (id) where removed_at is not null;

-- Signed like the others, in the schema of this migration.
do $do$
begin
    execute format($f$
        create function %1$s.announce_family() returns trigger language plpgsql
            security definer set search_path = pg_catalog, pg_temp as $$
        begin
            perform %1$s.announce('person ' || new.person_id::text);
            return null;
        end $$ $f$, quote_ident(current_schema()));
end $do$;
revoke all on function announce_family() from public;

create trigger family_revoked after insert on revoked_family for each row execute function announce_family();

create trigger workspace_removed after update of removed_at on workspace
    for each row execute function announce_workspace();
