-- The tables of the Postgres file of the same number, with its comments' reasons.

create table revoked_family (
    root_id blob primary key check (length(root_id) = 16),
    workspace_id integer not null,
    person_id integer not null,
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) strict;
create index revoked_family_by_person on revoked_family (person_id);

alter table person add column removed_at integer;
create index person_removed on person (id) where removed_at is not null;

alter table workspace add column removed_at integer;
create index workspace_removed on workspace (id) where removed_at is not null;
