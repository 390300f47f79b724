-- The tables of the Postgres file of the same number, with its comments' reasons.

alter table event add column seq integer;
alter table event add column hash blob check (length(hash) = 32);
alter table event add column address text;
alter table event add column user_agent text not null default '';
alter table event add column request_id text not null default '';
alter table event add column outcome text not null default 'done' check (outcome in ('done', 'refused'));

create unique index event_by_seq on event (workspace_id, seq);

update event set details = case details when '' then '{}' else json_object('text', details) end;

create table event_chain (
    workspace_id integer primary key references workspace (id) on delete cascade,
    seq integer not null,
    hash blob not null check (length(hash) = 32),
    anchor_seq integer not null,
    anchor_hash blob not null check (length(anchor_hash) = 32)
) strict;
