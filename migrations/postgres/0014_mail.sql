-- E-mail: the outbox of messages, and the client addresses that people signed in from.

-- The latest time at which a node with [mail] was running. Without one, no message is queued.
create table mail_sender (
    id bigint primary key check (id = 1),
    seen_at timestamptz not null
);

-- The outbox. A row has no secret: the node that sends a reset link creates the link at that moment. Without references, so that
-- deleting a person takes no time that grows with its rows; a purge removes what is left.
create table mail_message (
    id bigint generated always as identity primary key,
    kind text not null check (kind in ('token_expiring', 'token_leaked', 'new_address', 'email_changed', 'password_changed',
        'password_reset')),
    -- Null: a request for a reset link, whose account is not looked up yet.
    workspace_id bigint,
    person_id bigint,
    -- The event's position in the chain of its workspace.
    event_seq bigint,
    -- The e-mail address at the time of the event, or the key of the requested one. Null: finished.
    recipient text,
    -- SHA-256 of the requested address. It limits the requests per address. Null: no request.
    email_digest bytea check (octet_length(email_digest) = 32),
    -- Client address of the request.
    address text check (char_length(address) <= 45),
    created_at timestamptz not null,
    -- Null: finished.
    next_attempt_at timestamptz,
    -- A node sends the message until this time; null: no node does.
    claimed_until timestamptz,
    -- Attempts that began.
    attempts bigint not null default 0 check (attempts >= 0),
    -- The outcome of the last attempt; null: none has ended.
    outcome text
);

create index mail_message_due on mail_message (next_attempt_at, id) where next_attempt_at is not null;
create index mail_message_by_time on mail_message (created_at);
create index mail_message_by_email on mail_message (email_digest, created_at) where email_digest is not null;

-- The addresses of sign-ins on pages. An IPv6 address stands for its /64 network.
create table sign_in_address (
    person_id bigint not null references person (id) on delete cascade,
    address text not null check (char_length(address) <= 45),
    last_seen_at timestamptz not null,
    primary key (person_id, address)
);

-- Whether the person receives e-mail about tokens that expire soon.
alter table person add column notify_on_expiry boolean not null default true;

-- A trigger covers every statement that appends an event, those of older nodes included. A changed address is notified at the
-- previous one, which the details of the event have.
create function insert_mail_messages() returns trigger language plpgsql as $$
begin
    insert into mail_message (kind, workspace_id, person_id, event_seq, recipient, created_at, next_attempt_at)
        select case new.action when 'token.expiring' then 'token_expiring' when 'token.leaked' then 'token_leaked'
                when 'session.created' then 'new_address' when 'person.changed' then 'email_changed' else 'password_changed' end,
            p.workspace_id, p.id, new.seq,
            coalesce(case when new.action in ('person.changed', 'password.changed')
                then new.details::json ->> 'previousEmail' end, p.email),
            new.occurred_at, new.occurred_at
        from person p where p.id = new.person_id and p.workspace_id = new.workspace_id and p.kind = 'person'
        and case new.action when 'token.expiring' then p.notify_on_expiry
            when 'session.created' then new.details::json ->> 'newAddress' = 'true'
            when 'person.changed' then new.details::json ->> 'previousEmail' is not null else true end
        and exists (select 1 from mail_sender s where s.seen_at > new.occurred_at - interval '3 days');
    return null;
end $$;

create trigger event_mailed after insert on event for each row
    when (new.action in ('token.expiring', 'token.leaked', 'session.created', 'person.changed', 'password.changed'))
    execute function insert_mail_messages();
