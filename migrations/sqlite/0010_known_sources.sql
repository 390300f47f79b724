-- The tables of the Postgres file of the same number, with its comments' reasons.

create table known_source (
    person_id integer not null references person (id) on delete cascade,
    digest blob not null check (length(digest) = 32),
    is_device integer not null check (is_device in (0, 1)),
    seen_at integer not null,
    failures integer not null default 0 check (failures >= 0),
    failed_at integer check (failed_at is not null or failures = 0),
    primary key (person_id, digest)
) strict;

create index known_source_by_time on known_source (seen_at);

create table email_key_review (
    person_id integer primary key references person (id) on delete cascade
) strict;

insert into email_key_review (person_id)
    select id from person where email_key like '%xn--%' or length(cast(email_key as blob)) <> length(email_key);
