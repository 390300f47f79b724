-- Answers to requests for a token that may be sent again: with the same Idempotency-Key the same answer is given for ten minutes.

create table idempotent_create (
    -- SHA-256 over whose key it is and the key.
    key_digest bytea primary key check (octet_length(key_digest) = 32),
    -- SHA-256 of the body that came with it.
    body_digest bytea not null check (octet_length(body_digest) = 32),
    person_id bigint not null references person (id) on delete cascade,
    -- The value, encrypted under what only the key gives: whoever has the table alone has nothing.
    sealed bytea not null,
    token_id uuid not null,
    hint text not null,
    description text not null,
    created_at timestamptz not null,
    expires_at timestamptz
);

create index idempotent_create_by_person on idempotent_create (person_id);
create index idempotent_create_by_time on idempotent_create (created_at);
