-- The tables of the PostgreSQL file of the same number; see there for the reasons.

create table event (
    id integer primary key autoincrement,
    workspace_id integer not null references workspace (id) on delete cascade,
    seq integer not null,
    hash blob not null check (length(hash) = 32),
    occurred_at integer not null,
    actor_id integer,
    actor text not null,
    actor_token_id blob,
    action text not null,
    outcome text not null check (outcome in ('success', 'denied')),
    person_id integer,
    target text not null,
    label text not null,
    details text not null,
    address text,
    user_agent text not null default '',
    request_id text not null default '',
    unique (workspace_id, seq)
) strict;

create index event_by_workspace on event (workspace_id, id);
create index event_by_person on event (workspace_id, person_id, id);
create index event_by_target on event (workspace_id, action, target, id);

create table event_chain (
    workspace_id integer primary key references workspace (id) on delete cascade,
    seq integer not null,
    hash blob not null check (length(hash) = 32),
    anchor_seq integer not null,
    anchor_hash blob not null check (length(anchor_hash) = 32)
) strict;

create trigger workspace_chained after insert on workspace begin
    insert or ignore into event_chain (workspace_id, seq, hash, anchor_seq, anchor_hash)
        values (new.id, 0, zeroblob(32), 0, zeroblob(32));
end;

insert into event_chain (workspace_id, seq, hash, anchor_seq, anchor_hash)
    select id, 0, zeroblob(32), 0, zeroblob(32) from workspace;
