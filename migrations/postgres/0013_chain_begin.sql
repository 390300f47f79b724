-- Each workspace has a chain from its beginning on, and each chain remembers which events are older than it.

alter table event_chain
    -- How many events without a place in the chain there are, and the greatest id that one of them may have. What stands
    -- beyond was put there by somebody else.
    add column unchained_count bigint not null default 0,
    add column unchained_id bigint not null default 0;

-- A chain that has not begun: the first event takes the place after 0.
create function begin_chain() returns trigger language plpgsql as $$
begin
    insert into event_chain (workspace_id, seq, hash, anchor_seq, anchor_hash)
        values (new.id, 0, decode(repeat('00', 32), 'hex'), 0, decode(repeat('00', 32), 'hex'))
        on conflict do nothing;
    return null;
end $$;

create trigger workspace_has_chain after insert on workspace for each row execute function begin_chain();

insert into event_chain (workspace_id, seq, hash, anchor_seq, anchor_hash)
    select id, 0, decode(repeat('00', 32), 'hex'), 0, decode(repeat('00', 32), 'hex') from workspace
    on conflict do nothing;

update event_chain set
    unchained_count = (select count(*) from event where event.workspace_id = event_chain.workspace_id and seq is null),
    unchained_id =
        (select coalesce(max(id), 0) from event where event.workspace_id = event_chain.workspace_id and seq is null);
