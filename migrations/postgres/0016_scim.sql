-- SCIM: the credentials of provisioning clients, and the users that they provision.

create table scim_credential (
    id uuid primary key,
    workspace_id bigint not null references workspace (id) on delete cascade,
    -- The actor in the audit log is `scim:` and this name.
    name text not null check (char_length(name) between 1 and 63),
    -- The identity provider whose subjects are the external IDs. Null: none.
    provider text check (char_length(provider) between 1 and 32),
    issuer text check (char_length(issuer) between 1 and 1024),
    -- SHA-256 of the value, which is not stored.
    digest bytea not null unique check (octet_length(digest) = 32),
    display_prefix text not null,
    created_at timestamptz not null,
    last_used_at timestamptz,
    unique (workspace_id, name),
    check ((provider is null) = (issuer is null))
);

-- A person as a provisioning client sees it. All credentials of a workspace with the same provider share these rows.
create table scim_user (
    person_id bigint not null,
    -- Empty: provisioned without a provider.
    provider text not null check (char_length(provider) <= 32),
    workspace_id bigint not null,
    user_name text not null check (char_length(user_name) between 1 and 255),
    -- The user name in lower case and normalized, as the key of an e-mail.
    user_name_key text not null,
    external_id text check (char_length(external_id) between 1 and 255),
    -- Names and e-mail addresses as the client sent them, a JSON object.
    profile text not null,
    -- False: the client has disabled the person.
    is_active boolean not null,
    -- Grows with each change, so that a change of an older state is noticed.
    revision bigint not null check (revision > 0),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- When the client deleted the user. The row stays, so that the same external ID finds the person again.
    deleted_at timestamptz,
    primary key (person_id, provider),
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
);

create unique index scim_user_by_name on scim_user (workspace_id, provider, user_name_key) where deleted_at is null;
create unique index scim_user_by_external_id on scim_user (workspace_id, provider, external_id)
    where external_id is not null;

-- A row of `scim_user` is not active. Only a provisioning client and the operator lift this.
alter table person add column disabled_by_scim boolean not null default false;

-- A node of an older version does not know the flag, and would enable the account.
create function keep_disabled_by_scim() returns trigger language plpgsql as $$
begin
    new.is_disabled := true;
    return new;
end $$;

create trigger person_disabled_by_scim before update on person for each row
    when (new.disabled_by_scim and not new.is_disabled)
    execute function keep_disabled_by_scim();

-- The row of a removed person may stay for a while. The external ID is free for another account.
create function void_scim_users_of_removed() returns trigger language plpgsql as $$
begin
    delete from scim_user where person_id = new.id;
    return null;
end $$;

create trigger scim_users_of_removed_voided after update on person for each row
    when (new.removed_at is not null and old.removed_at is null)
    execute function void_scim_users_of_removed();
