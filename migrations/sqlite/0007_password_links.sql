-- The tables of the PostgreSQL file of the same number; see there for the reasons.

create table password_link (
    person_id integer not null,
    workspace_id integer not null,
    kind text not null check (kind in ('invite', 'reset')),
    digest blob not null unique check (length(digest) = 32),
    created_by integer references person (id) on delete cascade,
    created_at integer not null,
    expires_at integer not null check (expires_at > created_at),
    primary key (person_id, kind),
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) strict;

create index password_link_by_time on password_link (expires_at);
create index password_link_by_creator on password_link (created_by);

create trigger password_links_voided after update on person
    when old.email_key is not new.email_key or old.password_hash is not new.password_hash
        or (new.is_disabled and not old.is_disabled) or (new.removed_at is not null and old.removed_at is null)
        or (new.is_platform_admin and not old.is_platform_admin) begin
    delete from password_link where person_id = new.id;
end;

create trigger links_of_creator_voided after update on person
    when (new.is_disabled and not old.is_disabled) or (new.removed_at is not null and old.removed_at is null)
        or (old.is_admin and not new.is_admin) or (old.is_platform_admin and not new.is_platform_admin) begin
    delete from password_link where created_by = new.id;
end;
