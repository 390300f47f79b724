-- Webhooks of workspaces, their outbox, and the warnings of tokens that expire soon.

create table webhook (
    id uuid primary key,
    workspace_id bigint not null references workspace (id) on delete cascade,
    url text not null check (char_length(url) between 1 and 2048),
    -- The names of the events, each between two spaces. ` * `: all events.
    events text not null check (events like ' % '),
    is_enabled boolean not null,
    -- The key of the signatures. Each request needs it, so it cannot be a digest.
    secret bytea not null check (octet_length(secret) = 32),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    enabled_at timestamptz not null,
    -- The first failed attempt after the last successful one; null: the last attempt succeeded, or there was none.
    failing_since timestamptz,
    -- No attempt before this time; null: at once.
    paused_until timestamptz
);

create index webhook_by_workspace on webhook (workspace_id, created_at, id);

-- The outbox: one row for each event and each webhook that receives it. Without references, so that deleting a webhook takes
-- no time that grows with its rows; a purge removes what is left.
create table webhook_delivery (
    id bigint generated always as identity primary key,
    webhook_id uuid not null,
    workspace_id bigint not null,
    -- The event's position in the chain of its workspace.
    event_seq bigint not null,
    created_at timestamptz not null,
    -- Null: finished.
    next_attempt_at timestamptz,
    -- A node sends the request until this time; null: no node does.
    claimed_until timestamptz,
    -- Attempts that began.
    attempts bigint not null default 0 check (attempts >= 0),
    -- The end of the retries; null: no attempt yet.
    retry_until timestamptz,
    attempted_at timestamptz,
    duration_millis bigint,
    -- The status of the response; null: no response.
    response_status bigint,
    -- `succeeded`, or the reason of the failure of the last attempt. Null: no attempt has ended.
    outcome text
);

create index webhook_delivery_due on webhook_delivery (webhook_id, next_attempt_at) where next_attempt_at is not null;
create index webhook_delivery_by_webhook on webhook_delivery (webhook_id, id);
create index webhook_delivery_by_time on webhook_delivery (created_at);

-- A trigger covers every statement that appends an event, those of older nodes included. A test event is only for the webhook
-- that is its target.
create function insert_webhook_deliveries() returns trigger language plpgsql as $$
begin
    insert into webhook_delivery (webhook_id, workspace_id, event_seq, created_at, next_attempt_at)
        select w.id, w.workspace_id, new.seq, new.occurred_at, new.occurred_at from webhook w
        where w.workspace_id = new.workspace_id and w.is_enabled
        and case when new.action = 'webhook.tested' then w.id::text = new.target
            else w.events = ' * ' or strpos(w.events, ' ' || new.action || ' ') > 0 end;
    return null;
end $$;

create trigger event_queued after insert on event for each row execute function insert_webhook_deliveries();

-- The warnings that were sent for a token. A row excludes a second one on any node. Without a reference, so that the tokens can be
-- truncated.
create table token_expiry_warning (
    token_id uuid not null,
    days bigint not null check (days >= 1),
    primary key (token_id, days)
);

-- It runs as the owner, so that a role that may delete tokens needs no further right.
do $do$
begin
    execute format($f$
        create function %1$s.delete_token_warnings() returns trigger language plpgsql
            security definer set search_path = pg_catalog, pg_temp as $$
        begin
            delete from %1$s.token_expiry_warning where token_id = old.id;
            return null;
        end $$ $f$, quote_ident(current_schema()));
end $do$;
revoke all on function delete_token_warnings() from public;

create trigger token_warnings_deleted after delete on token for each row execute function delete_token_warnings();
