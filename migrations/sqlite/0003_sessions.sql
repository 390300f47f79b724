-- The tables of the Postgres file of the same number, with its comments' reasons.

create table web_session (
    id blob primary key check (length(id) = 16),
    digest blob not null unique check (length(digest) = 32),
    workspace_id integer not null,
    person_id integer not null,
    begun_at integer not null,
    proven_at integer not null check (proven_at >= begun_at),
    seen_at integer not null check (seen_at >= begun_at),
    user_agent text not null check (length(user_agent) <= 200),
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) strict;

create index web_session_by_person on web_session (workspace_id, person_id);
create index web_session_by_begin on web_session (begun_at);

create table spent_form (
    session_id blob not null references web_session (id) on delete cascade,
    id blob not null,
    primary key (session_id, id)
) strict;
