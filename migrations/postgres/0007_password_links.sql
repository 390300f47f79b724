-- Secret links with which a person sets the password of the account.

create table password_link (
    person_id bigint not null,
    workspace_id bigint not null,
    kind text not null check (kind in ('invite', 'reset')),
    -- SHA-256 of the value in the link.
    digest bytea not null unique check (octet_length(digest) = 32),
    -- The administrator who created the link; null: the operator.
    created_by bigint references person (id) on delete cascade,
    created_at timestamptz not null,
    expires_at timestamptz not null check (expires_at > created_at),
    -- One link of each kind: a newer link replaces the older one.
    primary key (person_id, kind),
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
);

create index password_link_by_time on password_link (expires_at);
create index password_link_by_creator on password_link (created_by);

-- A link is void after a change of the facts that its creator knew, and when its creator loses the right to create it. Triggers see
-- every change, whichever statement makes it.
create function void_password_links() returns trigger language plpgsql as $$
begin
    delete from password_link where person_id = new.id;
    return null;
end $$;

create function void_links_of_creator() returns trigger language plpgsql as $$
begin
    delete from password_link where created_by = new.id;
    return null;
end $$;

create trigger password_links_voided after update on person for each row
    when (old.email_key is distinct from new.email_key or old.password_hash is distinct from new.password_hash
        or (new.is_disabled and not old.is_disabled) or (new.removed_at is not null and old.removed_at is null)
        or (new.is_platform_admin and not old.is_platform_admin))
    execute function void_password_links();

create trigger links_of_creator_voided after update on person for each row
    when ((new.is_disabled and not old.is_disabled) or (new.removed_at is not null and old.removed_at is null)
        or (old.is_admin and not new.is_admin) or (old.is_platform_admin and not new.is_platform_admin))
    execute function void_links_of_creator();
