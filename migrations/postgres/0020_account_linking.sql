-- Linking of accounts at identity providers by their holders.

alter table sign_in_flow
    -- The user of the session links the account, instead of confirming an operation.
    add column is_link boolean not null default false;

-- The provider of a person decides when tokens pause, so every node reads the person again. A sign-in changes neither column.
do $do$
begin
    execute format($f$
        create function %1$s.notify_identity() returns trigger language plpgsql
            security definer set search_path = pg_catalog, pg_temp as $$
        begin
            perform %1$s.notify_change('person ' || coalesce(new.person_id, old.person_id)::text);
            return null;
        end $$ $f$, quote_ident(current_schema()));
end $do$;
revoke all on function notify_identity() from public;

create trigger identity_changed after insert or delete or update of provider, person_id on external_identity
    for each row execute function notify_identity();
