-- The tables of the PostgreSQL file of the same number; see there for the reasons.

create table mail_sender (
    id integer primary key check (id = 1),
    seen_at integer not null
) strict;

create table mail_message (
    id integer primary key autoincrement,
    kind text not null check (kind in ('token_expiring', 'token_leaked', 'new_address', 'email_changed', 'password_changed',
        'password_reset')),
    workspace_id integer,
    person_id integer,
    event_seq integer,
    recipient text,
    email_digest blob check (length(email_digest) = 32),
    address text check (length(address) <= 45),
    created_at integer not null,
    next_attempt_at integer,
    claimed_until integer,
    attempts integer not null default 0 check (attempts >= 0),
    outcome text
) strict;

create index mail_message_due on mail_message (next_attempt_at, id) where next_attempt_at is not null;
create index mail_message_by_time on mail_message (created_at);
create index mail_message_by_email on mail_message (email_digest, created_at) where email_digest is not null;

create table sign_in_address (
    person_id integer not null references person (id) on delete cascade,
    address text not null check (length(address) <= 45),
    last_seen_at integer not null,
    primary key (person_id, address)
) strict, without rowid;

alter table person add column notify_on_expiry integer not null default 1 check (notify_on_expiry in (0, 1));

create trigger event_mailed after insert on event
when new.action in ('token.expiring', 'token.leaked', 'session.created', 'person.changed', 'password.changed') begin
    insert into mail_message (kind, workspace_id, person_id, event_seq, recipient, created_at, next_attempt_at)
        select case new.action when 'token.expiring' then 'token_expiring' when 'token.leaked' then 'token_leaked'
                when 'session.created' then 'new_address' when 'person.changed' then 'email_changed' else 'password_changed' end,
            p.workspace_id, p.id, new.seq,
            coalesce(case when new.action in ('person.changed', 'password.changed')
                then json_extract(new.details, '$.previousEmail') end, p.email),
            new.occurred_at, new.occurred_at
        from person p where p.id = new.person_id and p.workspace_id = new.workspace_id and p.kind = 'person'
        and case new.action when 'token.expiring' then p.notify_on_expiry
            when 'session.created' then json_extract(new.details, '$.newAddress') = 1
            when 'person.changed' then json_extract(new.details, '$.previousEmail') is not null else 1 end
        and exists (select 1 from mail_sender s where s.seen_at > new.occurred_at - 3 * 86400000);
end;
