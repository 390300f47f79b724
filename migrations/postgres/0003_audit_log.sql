-- The audit log: one hash chain of events per workspace. An event is inserted in the transaction of the change it records.

create table event (
    -- Events are listed in this order and never updated.
    id bigint generated always as identity primary key,
    workspace_id bigint not null references workspace (id) on delete cascade,
    -- The event's position in the chain of its workspace, from 1 without gaps.
    seq bigint not null,
    -- SHA-256 over the previous hash and all columns of the event.
    hash bytea not null check (octet_length(hash) = 32),
    occurred_at timestamptz not null,
    -- The person who acted; null: the operator, the system, or an anonymous client. No reference: events outlive people.
    actor_id bigint,
    -- The actor's e-mail at the time, or a fixed name.
    actor text not null,
    -- The token that authenticated the actor; null: a password, a session or the command line.
    actor_token_id uuid,
    action text not null,
    outcome text not null check (outcome in ('success', 'denied')),
    -- The person whom the event concerns; null: the whole workspace.
    person_id bigint,
    -- The ID of the changed token or person, or the key of the changed setting.
    target text not null,
    -- The target's name at the time.
    label text not null,
    -- A JSON object for people to read, without secrets.
    details text not null,
    -- The client address; null: not caused by a request.
    address text,
    user_agent text not null default '',
    request_id text not null default '',
    unique (workspace_id, seq)
);

create index event_by_workspace on event (workspace_id, id);
create index event_by_person on event (workspace_id, person_id, id);
-- Finds the last change of a setting.
create index event_by_target on event (workspace_id, action, target, id);

-- The end of each chain, and the start of what is left of it.
create table event_chain (
    workspace_id bigint primary key references workspace (id) on delete cascade,
    seq bigint not null,
    hash bytea not null check (octet_length(hash) = 32),
    -- The last event that was purged; 0 and zeros: none.
    anchor_seq bigint not null,
    anchor_hash bytea not null check (octet_length(anchor_hash) = 32)
);

create function insert_event_chain() returns trigger language plpgsql as $$
begin
    insert into event_chain (workspace_id, seq, hash, anchor_seq, anchor_hash)
        values (new.id, 0, decode(repeat('00', 32), 'hex'), 0, decode(repeat('00', 32), 'hex'))
        on conflict do nothing;
    return null;
end $$;

create trigger workspace_chained after insert on workspace for each row execute function insert_event_chain();

insert into event_chain (workspace_id, seq, hash, anchor_seq, anchor_hash)
    select id, 0, decode(repeat('00', 32), 'hex'), 0, decode(repeat('00', 32), 'hex') from workspace;
