-- What happened: each row is written in the transaction of the change that it tells, so that there is never one without the other.

create table event (
    -- Rows are shown in this order, and none is changed.
    id bigint generated always as identity primary key,
    workspace_id bigint not null references workspace (id) on delete cascade,
    at timestamptz not null,
    -- Who did it; null: whoever runs the service, or somebody unknown. No reference: people go, what they did stays.
    actor_id bigint,
    -- The actor's e-mail at the time.
    actor text not null,
    -- The token by which the actor was known; null: a password, a page or the command line.
    actor_token_id uuid,
    action text not null,
    -- Whom it is about: the owner of the token, the person changed; null: the whole workspace.
    person_id bigint,
    -- The id of what was changed: of a token or a person, or the key of a setting.
    target text not null,
    -- What the target was called at the time.
    label text not null,
    -- More, for people to read; never a secret.
    details text not null
);

create index event_by_workspace on event (workspace_id, id);
create index event_by_person on event (workspace_id, person_id, id);
-- Who changed a setting last.
create index event_by_target on event (workspace_id, action, target, id);
