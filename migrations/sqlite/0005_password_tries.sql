-- The table of the Postgres file of the same number, with its comments' reasons.

create table password_try (
    email_digest blob primary key check (length(email_digest) = 32),
    failures integer not null check (failures > 0),
    last_at integer not null
) strict;

create index password_try_by_time on password_try (last_at);
