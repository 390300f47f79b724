-- The tables of the PostgreSQL file of the same number; see there for the reasons.

create table scim_credential (
    id blob primary key check (length(id) = 16),
    workspace_id integer not null references workspace (id) on delete cascade,
    name text not null check (length(name) between 1 and 63),
    provider text check (length(provider) between 1 and 32),
    issuer text check (length(issuer) between 1 and 1024),
    digest blob not null unique check (length(digest) = 32),
    display_prefix text not null,
    created_at integer not null,
    last_used_at integer,
    unique (workspace_id, name),
    check ((provider is null) = (issuer is null))
) strict;

create table scim_user (
    person_id integer not null,
    provider text not null check (length(provider) <= 32),
    workspace_id integer not null,
    user_name text not null check (length(user_name) between 1 and 255),
    user_name_key text not null,
    external_id text check (length(external_id) between 1 and 255),
    profile text not null,
    is_active integer not null check (is_active in (0, 1)),
    revision integer not null check (revision > 0),
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer,
    primary key (person_id, provider),
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) strict;

create unique index scim_user_by_name on scim_user (workspace_id, provider, user_name_key) where deleted_at is null;
create unique index scim_user_by_external_id on scim_user (workspace_id, provider, external_id)
    where external_id is not null;

alter table person add column disabled_by_scim integer not null default 0 check (disabled_by_scim in (0, 1));

create trigger scim_users_of_removed_voided after update on person
    when new.removed_at is not null and old.removed_at is null begin
    delete from scim_user where person_id = new.id;
end;
