-- The table of the Postgres file of the same number, with its comments' reasons.

create table idempotent_create (
    key_digest blob primary key check (length(key_digest) = 32),
    body_digest blob not null check (length(body_digest) = 32),
    person_id integer not null references person (id) on delete cascade,
    sealed blob not null,
    token_id blob not null,
    hint text not null,
    description text not null,
    created_at integer not null,
    expires_at integer
) strict;

create index idempotent_create_by_person on idempotent_create (person_id);
create index idempotent_create_by_time on idempotent_create (created_at);
