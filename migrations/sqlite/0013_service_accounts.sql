-- The tables of the PostgreSQL file of the same number; see there for the reasons.

alter table person add column kind text not null default 'person' check (
    kind in ('person', 'service')
    and (kind = 'person' or (password_hash is null and not is_platform_admin and not force_password_change)));

create table custodian (
    service_account_id integer not null,
    person_id integer not null,
    workspace_id integer not null,
    primary key (service_account_id, person_id),
    check (service_account_id <> person_id),
    foreign key (workspace_id, service_account_id) references person (workspace_id, id) on delete cascade,
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) strict;

create index custodian_by_person on custodian (person_id, service_account_id);
create index service_account_by_workspace on person (workspace_id, id) where kind = 'service';

create trigger custodians_of_removed_voided after update on person
    when new.removed_at is not null and old.removed_at is null begin
    delete from custodian where person_id = new.id or service_account_id = new.id;
end;

drop trigger people_counted;
create trigger people_counted after insert on person begin
    insert into token_count (person_id, workspace_id, tokens) values (new.id, new.workspace_id, 0);
    update workspace_count set people = people + 1 where workspace_id = new.workspace_id and new.kind = 'person';
end;

drop trigger person_removed_uncounted;
create trigger person_removed_uncounted after update of removed_at on person
    when old.removed_at is null and new.removed_at is not null and new.kind = 'person' begin
    update workspace_count set people = people - 1 where workspace_id = new.workspace_id;
end;

drop trigger people_uncounted;
create trigger people_uncounted after delete on person when old.removed_at is null and old.kind = 'person' begin
    update workspace_count set people = people - 1 where workspace_id = old.workspace_id;
end;
