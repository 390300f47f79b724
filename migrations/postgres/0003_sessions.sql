-- Web sessions: who is signed in to the pages.

create table web_session (
    -- Names the session in lists; worth nothing to whoever sees it.
    id uuid primary key,
    -- SHA-256 of the value in the cookie; the value itself is nowhere.
    digest bytea not null unique check (octet_length(digest) = 32),
    workspace_id bigint not null,
    person_id bigint not null,
    begun_at timestamptz not null,
    -- When the password was typed last in this session.
    proven_at timestamptz not null check (proven_at >= begun_at),
    -- Written once a minute at the most.
    seen_at timestamptz not null check (seen_at >= begun_at),
    user_agent text not null check (char_length(user_agent) <= 200),
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) with (fillfactor = 80);

-- A person's own list, and ending all of them.
create index web_session_by_person on web_session (workspace_id, person_id);
-- Removing those that are over.
create index web_session_by_begin on web_session (begun_at);

-- Forms that have made a token: sent again, they make none. They go with their session, and a form is worth nothing in another.
create table spent_form (
    session_id uuid not null references web_session (id) on delete cascade,
    id uuid not null,
    primary key (session_id, id)
);
