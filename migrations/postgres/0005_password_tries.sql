-- Wrong passwords in a row, for each address that somebody tried to sign in with, whether there is such an account or not. In the
-- database, so that many nodes do not give as many tries.

create table password_try (
    -- SHA-256 of the e-mail in its canonical form: what strangers type is nobody's business.
    email_digest bytea primary key check (octet_length(email_digest) = 32),
    failures integer not null check (failures > 0),
    last_at timestamptz not null
);

-- Forgetting what is a day old.
create index password_try_by_time on password_try (last_at);
