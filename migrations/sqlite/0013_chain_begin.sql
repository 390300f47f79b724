-- The tables of the Postgres file of the same number, with its comments' reasons.

alter table event_chain add column unchained_count integer not null default 0;
alter table event_chain add column unchained_id integer not null default 0;

create trigger workspace_has_chain after insert on workspace begin
    insert into event_chain (workspace_id, seq, hash, anchor_seq, anchor_hash)
        values (new.id, 0, zeroblob(32), 0, zeroblob(32))
        on conflict do nothing;
end;

insert into event_chain (workspace_id, seq, hash, anchor_seq, anchor_hash)
    select id, 0, zeroblob(32), 0, zeroblob(32) from workspace where true
    on conflict do nothing;

update event_chain set
    unchained_count = (select count(*) from event where event.workspace_id = event_chain.workspace_id and seq is null),
    unchained_id =
        (select coalesce(max(id), 0) from event where event.workspace_id = event_chain.workspace_id and seq is null);
