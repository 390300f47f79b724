-- What nodes tell each other is authenticated, and the latest time that any node has seen is remembered.

-- NOTIFY needs no privilege: every role that may connect to the database can send and receive. Therefore each message ends
-- with an HMAC-SHA256 (RFC 2104) under this secret.
create function hmac_pad(secret bytea, mask integer) returns bytea language plpgsql immutable strict as $$
declare
    pad bytea := secret || decode(repeat('00', 64 - octet_length(secret)), 'hex');
begin
    for position in 0..63 loop
        pad := set_byte(pad, position, get_byte(pad, position) # mask);
    end loop;
    return pad;
end $$;

create table cluster_secret (
    id integer primary key check (id = 1),
    -- Signs messages.
    signing bytea not null check (octet_length(signing) = 32),
    -- Is accepted beside it: the next secret or the previous one, while it is rotated.
    accepted bytea check (octet_length(accepted) = 32),
    -- The keys of the two hashes of HMAC, so that a trigger need not make them for each row.
    inner_pad bytea not null generated always as (hmac_pad(signing, 54)) stored,
    outer_pad bytea not null generated always as (hmac_pad(signing, 92)) stored
);

-- gen_random_uuid takes its 122 bits from the operating system's generator (pg_strong_random).
insert into cluster_secret (id, signing) values (1, sha256(
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
));

-- Only the owner reads it, whatever the default privileges of this database grant.
do $do$
declare
    grantee text;
begin
    for grantee in
        select distinct case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end
        from pg_class, aclexplode(relacl) acl
        where pg_class.oid = 'cluster_secret'::regclass and acl.grantee <> relowner
    loop
        execute format('revoke all on cluster_secret from %s', grantee);
    end loop;
end $do$;
revoke all on cluster_secret from public;

-- The triggers run as the owner of their functions, so that what another role changes is announced as well. Their search path has no
-- schema in which a stranger may create functions, so this schema is named in them.
do $do$
declare
    this text := quote_ident(current_schema());
    as_owner text := 'security definer set search_path = pg_catalog, pg_temp';
begin
    execute format($f$
        create function %1$s.cluster_mac(message text) returns bytea language sql stable as $$
            select sha256(outer_pad || sha256(inner_pad || convert_to(message, 'UTF8'))) from %1$s.cluster_secret
        $$ $f$, this);

    -- The number of the transaction makes each announcement differ from all others, so that a repeated one is recognised.
    execute format($f$
        create function %1$s.announce(change text) returns void language plpgsql as $$
        declare
            message text := change || ' ' || pg_current_xact_id()::text;
        begin
            perform pg_notify('tokenward', message || ' ' || encode(%1$s.cluster_mac(message), 'hex'));
        end $$ $f$, this);

    -- A token is announced by the first half of its digest, by which memory finds it. A mask covers it, which only those
    -- remove who have the secret.
    execute format($f$
        create or replace function %1$s.announce_token() returns trigger language plpgsql %2$s as $$
        declare
            name text := encode(old.digest, 'hex');
            mask text := encode(%1$s.cluster_mac('mask ' || old.id::text), 'hex');
            high bigint := ('x' || substr(name, 1, 16))::bit(64)::bigint # ('x' || substr(mask, 1, 16))::bit(64)::bigint;
            low bigint := ('x' || substr(name, 17, 16))::bit(64)::bigint # ('x' || substr(mask, 17, 16))::bit(64)::bigint;
        begin
            perform %1$s.announce(
                'token ' || old.id::text || ' ' || lpad(to_hex(high), 16, '0') || lpad(to_hex(low), 16, '0'));
            return null;
        end $$ $f$, this, as_owner);

    execute format($f$
        create or replace function %1$s.announce_person() returns trigger language plpgsql %2$s as $$
        begin
            perform %1$s.announce('person ' || old.id::text);
            return null;
        end $$ $f$, this, as_owner);

    execute format($f$
        create or replace function %1$s.announce_workspace() returns trigger language plpgsql %2$s as $$
        begin
            perform %1$s.announce('workspace ' || old.id::text);
            return null;
        end $$ $f$, this, as_owner);

    execute format($f$
        create or replace function %1$s.announce_setting() returns trigger language plpgsql %2$s as $$
        begin
            if tg_op <> 'INSERT' then
                perform %1$s.announce('workspace ' || old.workspace_id::text);
            end if;
            if tg_op <> 'DELETE' then
                perform %1$s.announce('workspace ' || new.workspace_id::text);
            end if;
            return null;
        end $$ $f$, this, as_owner);

    execute format($f$
        create or replace function %1$s.announce_everything() returns trigger language plpgsql %2$s as $$
        begin
            perform %1$s.announce('everything');
            return null;
        end $$ $f$, this, as_owner);
end $do$;

-- Who could call these, or use one as the trigger of a table of their own, would have signed what they like.
revoke all on function cluster_mac(text), announce(text), announce_token(), announce_person(), announce_workspace(),
    announce_setting(), announce_everything() from public;

-- No lease is longer, so that no operation waits longer for a node that is silent.
alter table node add constraint node_lease_is_bounded check (lease_ms <= 10000);

-- The latest time that a node has seen. No node judges expiry by an earlier one, so that a clock that was set back revives
-- no token.
create table clock_floor (
    id integer primary key check (id = 1),
    at timestamptz not null
);
