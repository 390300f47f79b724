-- The tables of the PostgreSQL file of the same number; see there for the reasons.

create table external_identity (
    id blob primary key check (length(id) = 16),
    workspace_id integer not null,
    person_id integer not null,
    provider text not null check (length(provider) between 1 and 32),
    issuer text not null check (length(issuer) between 1 and 1024),
    subject text not null check (length(subject) between 1 and 255),
    label text not null check (length(label) <= 255),
    linked_at integer not null,
    last_sign_in_at integer,
    seen_at integer,
    unique (provider, issuer, subject),
    unique (person_id, provider),
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) strict;

create index external_identity_by_workspace on external_identity (workspace_id);

alter table person add column disabled_by_administrator integer not null default 0
    check (disabled_by_administrator in (0, 1));
alter table person add column disabled_by_directory integer not null default 0 check (disabled_by_directory in (0, 1));
alter table person add column admin_by_directory integer not null default 0 check (admin_by_directory in (0, 1));

update person set disabled_by_administrator = is_disabled;

create trigger identities_of_removed_voided after update on person
    when new.removed_at is not null and old.removed_at is null begin
    delete from external_identity where person_id = new.id;
end;

create trigger links_of_linked_voided after insert on external_identity begin
    delete from password_link where person_id = new.person_id;
end;

create table directory_attempt (
    account_digest blob primary key check (length(account_digest) = 32),
    attempts integer not null check (attempts >= 0),
    window_ends_at integer not null
) strict;

create index directory_attempt_by_time on directory_attempt (window_ends_at);

create table directory_sync (
    provider text primary key check (length(provider) between 1 and 32),
    claimed_until integer,
    started_at integer,
    finished_at integer,
    succeeded_at integer,
    outcome text check (outcome in ('success', 'failed', 'held')),
    message text not null default '',
    entries integer not null default 0,
    disabled integer not null default 0,
    enabled integer not null default 0,
    held integer not null default 0
) strict;
