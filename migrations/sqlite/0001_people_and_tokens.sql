-- The tables of the PostgreSQL file of the same number; see there for the reasons. Times are milliseconds since 1970, IDs of tokens are
-- 16 bytes, booleans are 0 and 1. `strict` enforces column types; `autoincrement` never reuses an ID.

create table workspace (
    id integer primary key autoincrement,
    name text not null check (length(name) between 1 and 255),
    created_at integer not null,
    updated_at integer not null,
    removed_at integer
) strict;

create index workspace_removed on workspace (id) where removed_at is not null;

create table person (
    id integer primary key autoincrement,
    workspace_id integer not null references workspace (id) on delete cascade,
    email text check (length(cast(email as blob)) between 3 and 254),
    email_key text unique,
    name text not null check (length(name) <= 255),
    password_hash text,
    is_admin integer not null check (is_admin in (0, 1)),
    is_platform_admin integer not null check (is_platform_admin in (0, 1) and (not is_platform_admin or workspace_id = 1)),
    is_disabled integer not null check (is_disabled in (0, 1)),
    token_access text not null check (token_access in ('default', 'enabled', 'disabled')),
    force_password_change integer not null check (force_password_change in (0, 1)),
    last_login_at integer,
    created_at integer not null,
    updated_at integer not null,
    tokens_revoked_before integer,
    removed_at integer,
    unique (workspace_id, id)
) strict;

create index person_by_email on person (workspace_id, email_key);
create index person_active_admin on person (workspace_id, email_key) where is_admin and not is_disabled;
create index person_by_revocation on person (id) where tokens_revoked_before is not null;
create index person_removed on person (id) where removed_at is not null;

create table setting (
    workspace_id integer not null references workspace (id) on delete cascade,
    key text not null,
    value text not null,
    updated_at integer not null,
    primary key (workspace_id, key)
) strict;

create table token (
    id blob primary key check (length(id) = 16),
    workspace_id integer not null,
    person_id integer not null,
    parent_id blob,
    digest blob not null unique check (length(digest) = 32),
    display_prefix text not null,
    description text not null check (length(description) <= 255),
    created_at integer not null,
    expires_at integer check (expires_at > created_at),
    last_used_at integer,
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) strict;

create index token_by_person on token (workspace_id, person_id, created_at, id);
create index token_by_workspace on token (workspace_id, created_at, id);
create index token_by_expiry on token (expires_at) where expires_at is not null;
create index token_by_parent on token (parent_id) where parent_id is not null;

create view unrevoked_token as
    select t.id, t.workspace_id, t.person_id, t.digest, t.display_prefix, t.description, t.created_at, t.expires_at,
           t.last_used_at, t.parent_id
    from token t join person p on p.id = t.person_id
    where p.tokens_revoked_before is null or t.created_at > p.tokens_revoked_before;

create table revoked_family (
    root_id blob primary key check (length(root_id) = 16),
    workspace_id integer not null,
    person_id integer not null,
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) strict;

create index revoked_family_by_person on revoked_family (person_id);

create table token_tombstone (
    id blob primary key check (length(id) = 16),
    digest blob not null unique check (length(digest) = 32),
    workspace_id integer not null,
    person_id integer not null,
    display_prefix text not null,
    parent_id blob,
    deleted_at integer not null
) strict;

create index token_tombstone_by_parent on token_tombstone (parent_id) where parent_id is not null;
create index token_tombstone_by_time on token_tombstone (deleted_at);

create trigger token_tombstoned after delete on token begin
    insert or ignore into token_tombstone (id, digest, workspace_id, person_id, display_prefix, parent_id, deleted_at)
        values (old.id, old.digest, old.workspace_id, old.person_id, old.display_prefix, old.parent_id,
                cast(unixepoch('subsec') * 1000 as integer));
end;

create table idempotency_record (
    key_digest blob primary key check (length(key_digest) = 32),
    body_digest blob not null check (length(body_digest) = 32),
    person_id integer not null references person (id) on delete cascade,
    encrypted_value blob not null,
    token_id blob not null,
    display_prefix text not null,
    description text not null,
    created_at integer not null,
    expires_at integer
) strict;

create index idempotency_record_by_person on idempotency_record (person_id);
create index idempotency_record_by_time on idempotency_record (created_at);
