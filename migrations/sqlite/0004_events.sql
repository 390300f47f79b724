-- The table of the Postgres file of the same number, with its comments' reasons.

create table event (
    id integer primary key autoincrement,
    workspace_id integer not null references workspace (id) on delete cascade,
    at integer not null,
    actor_id integer,
    actor text not null,
    actor_token_id blob,
    action text not null,
    person_id integer,
    target text not null,
    label text not null,
    details text not null
) strict;

create index event_by_workspace on event (workspace_id, id);
create index event_by_person on event (workspace_id, person_id, id);
create index event_by_target on event (workspace_id, action, target, id);
