-- People who sign in through an identity provider.

create table external_identity (
    id uuid primary key,
    workspace_id bigint not null,
    person_id bigint not null,
    -- The name of the provider in the configuration.
    provider text not null check (char_length(provider) between 1 and 32),
    -- The namespace of the subject at the provider: `ldap` for directories.
    issuer text not null check (char_length(issuer) between 1 and 1024),
    -- The identifier that the provider never gives to another account, such as `objectGUID` or `entryUUID`.
    subject text not null check (char_length(subject) between 1 and 255),
    -- The login as the provider shows it.
    label text not null check (char_length(label) <= 255),
    linked_at timestamptz not null,
    last_sign_in_at timestamptz,
    -- When a sync last found the entry. Null: never.
    seen_at timestamptz,
    unique (provider, issuer, subject),
    unique (person_id, provider),
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
);

create index external_identity_by_workspace on external_identity (workspace_id);

-- `is_disabled` is true while any of these is. Each is lifted only by the one who set it.
alter table person
    add column disabled_by_administrator boolean not null default false,
    add column disabled_by_directory boolean not null default false,
    -- The directory made the person an administrator, and takes the role back.
    add column admin_by_directory boolean not null default false;

update person set disabled_by_administrator = is_disabled;

-- A removed person leaves the identity to another account. The row of the person may stay for a while.
create function void_identities_of_removed() returns trigger language plpgsql as $$
begin
    delete from external_identity where person_id = new.id;
    return null;
end $$;

create trigger identities_of_removed_voided after update on person for each row
    when (new.removed_at is not null and old.removed_at is null)
    execute function void_identities_of_removed();

-- A link with which a person sets a local password is void once the person signs in through a provider.
create function void_links_of_linked() returns trigger language plpgsql as $$
begin
    delete from password_link where person_id = new.person_id;
    return null;
end $$;

create trigger links_of_linked_voided after insert on external_identity for each row execute function void_links_of_linked();

-- Wrong passwords that a directory was asked about. The directory locks an account after some of them, so each is counted before it
-- is sent.
create table directory_attempt (
    -- SHA-256 of the provider, the subject of the entry, and the kind of place.
    account_digest bytea primary key check (octet_length(account_digest) = 32),
    attempts int not null check (attempts >= 0),
    window_ends_at timestamptz not null
);

create index directory_attempt_by_time on directory_attempt (window_ends_at);

-- The last sync of each directory. The node that claims it runs it.
create table directory_sync (
    provider text primary key check (char_length(provider) between 1 and 32),
    claimed_until timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    succeeded_at timestamptz,
    -- `success`, `failed` or `held`. Null: never finished.
    outcome text check (outcome in ('success', 'failed', 'held')),
    -- The reason of a failure, or what to do about a held sync.
    message text not null default '',
    entries bigint not null default 0,
    disabled bigint not null default 0,
    enabled bigint not null default 0,
    -- Accounts that a held sync would have disabled.
    held bigint not null default 0
);
