-- The nodes of the cluster, the secret that authenticates their messages, and the triggers that notify them of changes.

-- A node inserts its row when it joins, updates it with each renewal of its lease, and deletes it when it leaves.
create table node (
    id uuid primary key,
    -- Bounded, so that no revocation waits longer for an unresponsive node.
    lease_ms integer not null check (lease_ms > 0 and lease_ms <= 10000),
    renewals bigint not null,
    -- By the database's clock, for operators. No node decides by it.
    lease_until timestamptz not null
) with (fillfactor = 50);

-- The latest time that any node has seen. Nodes never judge expiry by an earlier time, so that a clock that is set back does not
-- revive a token.
create table clock_floor (
    id integer primary key check (id = 1),
    at timestamptz not null
);

-- NOTIFY requires no privilege: every role that may connect to the database can send and receive. Each message therefore ends
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
    -- Accepted as well: the next or the previous secret, during a rotation.
    accepted bytea check (octet_length(accepted) = 32),
    -- The padded keys of HMAC, so that triggers do not compute them for each row.
    inner_pad bytea not null generated always as (hmac_pad(signing, 54)) stored,
    outer_pad bytea not null generated always as (hmac_pad(signing, 92)) stored
);

-- gen_random_uuid draws 122 bits from the operating system's generator (pg_strong_random).
insert into cluster_secret (id, signing) values (1, sha256(
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
));

-- Only the owner may read it, whatever the default privileges of this database grant.
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

-- The triggers run as the owner of their functions, so that changes by other roles are announced as well. Their search path has no
-- schema in which another role may create functions, so this schema is named in them.
do $do$
declare
    this text := quote_ident(current_schema());
    as_owner text := 'security definer set search_path = pg_catalog, pg_temp';
begin
    execute format($f$
        create function %1$s.cluster_mac(message text) returns bytea language sql stable as $$
            select sha256(outer_pad || sha256(inner_pad || convert_to(message, 'UTF8'))) from %1$s.cluster_secret
        $$ $f$, this);

    -- The transaction ID makes each notification unique, so that a replayed one is recognized.
    execute format($f$
        create function %1$s.notify_change(change text) returns void language plpgsql as $$
        declare
            message text := change || ' ' || pg_current_xact_id()::text;
        begin
            perform pg_notify('tokenward', message || ' ' || encode(%1$s.cluster_mac(message), 'hex'));
        end $$ $f$, this);

    -- A token is identified by the first half of its digest, masked with a key stream that only holders of the secret can
    -- compute.
    execute format($f$
        create function %1$s.notify_token() returns trigger language plpgsql %2$s as $$
        declare
            name text := encode(old.digest, 'hex');
            mask text := encode(%1$s.cluster_mac('mask ' || old.id::text), 'hex');
            high bigint := ('x' || substr(name, 1, 16))::bit(64)::bigint # ('x' || substr(mask, 1, 16))::bit(64)::bigint;
            low bigint := ('x' || substr(name, 17, 16))::bit(64)::bigint # ('x' || substr(mask, 17, 16))::bit(64)::bigint;
        begin
            perform %1$s.notify_change(
                'token ' || old.id::text || ' ' || lpad(to_hex(high), 16, '0') || lpad(to_hex(low), 16, '0'));
            return null;
        end $$ $f$, this, as_owner);

    execute format($f$
        create function %1$s.notify_person() returns trigger language plpgsql %2$s as $$
        begin
            perform %1$s.notify_change('person ' || old.id::text);
            return null;
        end $$ $f$, this, as_owner);

    execute format($f$
        create function %1$s.notify_workspace() returns trigger language plpgsql %2$s as $$
        begin
            perform %1$s.notify_change('workspace ' || old.id::text);
            return null;
        end $$ $f$, this, as_owner);

    execute format($f$
        create function %1$s.notify_setting() returns trigger language plpgsql %2$s as $$
        begin
            if tg_op <> 'INSERT' then
                perform %1$s.notify_change('workspace ' || old.workspace_id::text);
            end if;
            if tg_op <> 'DELETE' then
                perform %1$s.notify_change('workspace ' || new.workspace_id::text);
            end if;
            return null;
        end $$ $f$, this, as_owner);

    execute format($f$
        create function %1$s.notify_everything() returns trigger language plpgsql %2$s as $$
        begin
            perform %1$s.notify_change('everything');
            return null;
        end $$ $f$, this, as_owner);
end $do$;

do $do$
begin
    execute format($f$
        create function %1$s.notify_revoked_family() returns trigger language plpgsql
            security definer set search_path = pg_catalog, pg_temp as $$
        begin
            perform %1$s.notify_change('person ' || new.person_id::text);
            return null;
        end $$ $f$, quote_ident(current_schema()));
end $do$;

-- A role that could call these, or use one as the trigger of its own table, could sign any message.
revoke all on function cluster_mac(text), notify_change(text), notify_token(), notify_person(), notify_workspace(),
    notify_setting(), notify_everything(), notify_revoked_family() from public;

-- Not on last_used_at, which changes often and decides nothing.
create trigger token_deleted after delete on token
    for each row execute function notify_token();
create trigger token_changed after update of id, workspace_id, person_id, digest, created_at, expires_at on token
    for each row execute function notify_token();

create trigger person_deleted after delete on person
    for each row execute function notify_person();
create trigger person_changed after update on person
    for each row when (
        (old.id, old.workspace_id, old.email, old.name, old.is_admin, old.is_platform_admin, old.is_disabled, old.token_access,
         old.tokens_revoked_before)
        is distinct from
        (new.id, new.workspace_id, new.email, new.name, new.is_admin, new.is_platform_admin, new.is_disabled, new.token_access,
         new.tokens_revoked_before)
    ) execute function notify_person();

create trigger workspace_deleted after delete on workspace
    for each row execute function notify_workspace();
create trigger workspace_removed after update of removed_at on workspace
    for each row execute function notify_workspace();

create trigger setting_changed after insert or update or delete on setting
    for each row execute function notify_setting();

create trigger family_revoked after insert on revoked_family
    for each row execute function notify_revoked_family();

create trigger token_truncated after truncate on token for each statement execute function notify_everything();
create trigger person_truncated after truncate on person for each statement execute function notify_everything();
create trigger workspace_truncated after truncate on workspace for each statement execute function notify_everything();
create trigger setting_truncated after truncate on setting for each statement execute function notify_everything();
