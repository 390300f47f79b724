-- The trail: who asked from where, and in each workspace a chain in which every event holds the one before it fast.

alter table event
    -- Its place in the workspace's chain, from 1 on without a gap; null: from before there was one.
    add column seq bigint,
    -- SHA-256 over the hash before it and everything that the row says.
    add column hash bytea check (octet_length(hash) = 32),
    -- Whence it was asked for; null: not by a request.
    add column address text,
    add column user_agent text not null default '',
    add column request_id text not null default '',
    add column outcome text not null default 'done' check (outcome in ('done', 'refused'));

create unique index event_by_seq on event (workspace_id, seq);

-- Details are an object from now on.
update event set details = case details when '' then '{}' else json_build_object('text', details)::text end;

-- Where each chain ends, and where what is left of it begins.
create table event_chain (
    workspace_id bigint primary key references workspace (id) on delete cascade,
    seq bigint not null,
    hash bytea not null check (octet_length(hash) = 32),
    -- The last row that was removed; 0 and zeros: none was.
    anchor_seq bigint not null,
    anchor_hash bytea not null check (octet_length(anchor_hash) = 32)
);
