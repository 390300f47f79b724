-- The tables of the PostgreSQL file of the same number; see there for the reasons.

create table webhook (
    id blob primary key check (length(id) = 16),
    workspace_id integer not null references workspace (id) on delete cascade,
    url text not null check (length(url) between 1 and 2048),
    events text not null check (events like ' % '),
    is_enabled integer not null check (is_enabled in (0, 1)),
    secret blob not null check (length(secret) = 32),
    created_at integer not null,
    updated_at integer not null,
    enabled_at integer not null,
    failing_since integer,
    paused_until integer
) strict;

create index webhook_by_workspace on webhook (workspace_id, created_at, id);

create table webhook_delivery (
    id integer primary key autoincrement,
    webhook_id blob not null check (length(webhook_id) = 16),
    workspace_id integer not null,
    event_seq integer not null,
    created_at integer not null,
    next_attempt_at integer,
    claimed_until integer,
    attempts integer not null default 0 check (attempts >= 0),
    retry_until integer,
    attempted_at integer,
    duration_millis integer,
    response_status integer,
    outcome text
) strict;

create index webhook_delivery_due on webhook_delivery (webhook_id, next_attempt_at) where next_attempt_at is not null;
create index webhook_delivery_by_webhook on webhook_delivery (webhook_id, id);
create index webhook_delivery_by_time on webhook_delivery (created_at);

-- The target of a test event is a UUID in its text form.
create trigger event_queued after insert on event begin
    insert into webhook_delivery (webhook_id, workspace_id, event_seq, created_at, next_attempt_at)
        select w.id, w.workspace_id, new.seq, new.occurred_at, new.occurred_at from webhook w
        where w.workspace_id = new.workspace_id and w.is_enabled
        and case when new.action = 'webhook.tested' then lower(hex(w.id)) = replace(new.target, '-', '')
            else w.events = ' * ' or instr(w.events, ' ' || new.action || ' ') > 0 end;
end;

create table token_expiry_warning (
    token_id blob not null check (length(token_id) = 16),
    days integer not null check (days >= 1),
    primary key (token_id, days)
) strict, without rowid;

create trigger token_warnings_deleted after delete on token begin
    delete from token_expiry_warning where token_id = old.id;
end;
