-- The tables of the Postgres file of the same number, with its comments' reasons. Times are milliseconds since 1970, ids of
-- tokens are 16 bytes, booleans are 0 and 1. `strict` keeps a column to its type; `autoincrement` never gives a number twice.

create table workspace (
    id integer primary key autoincrement,
    name text not null check (length(name) between 1 and 255),
    created_at integer not null,
    updated_at integer not null
) strict;

create table person (
    id integer primary key autoincrement,
    workspace_id integer not null references workspace (id) on delete cascade,
    email text not null check (length(cast(email as blob)) between 3 and 254),
    email_key text not null unique,
    name text not null check (length(name) <= 255),
    password_hash text not null,
    is_admin integer not null check (is_admin in (0, 1)),
    is_platform_admin integer not null check (is_platform_admin in (0, 1) and (not is_platform_admin or workspace_id = 1)),
    is_disabled integer not null check (is_disabled in (0, 1)),
    token_access text not null check (token_access in ('default', 'enabled', 'disabled')),
    force_password_change integer not null check (force_password_change in (0, 1)),
    last_login_at integer,
    created_at integer not null,
    updated_at integer not null,
    unique (workspace_id, id)
) strict;

create table token (
    id blob primary key check (length(id) = 16),
    workspace_id integer not null,
    person_id integer not null,
    digest blob not null unique check (length(digest) = 32),
    hint text not null,
    description text not null check (length(description) <= 255),
    created_at integer not null,
    expires_at integer check (expires_at > created_at),
    last_used_at integer,
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) strict;

create index token_by_person on token (workspace_id, person_id, created_at, id);
create index token_by_workspace on token (workspace_id, created_at, id);
create index token_by_expiry on token (expires_at) where expires_at is not null;

create table setting (
    workspace_id integer not null references workspace (id) on delete cascade,
    key text not null,
    value text not null,
    updated_at integer not null,
    primary key (workspace_id, key)
) strict;
