-- Where web sessions come from, the keys of kept form text, and the last sign-in on a page.

alter table web_session
    -- Client addresses of the sign-in and of the last recorded use, in canonical form. Null: unknown, or a session from before this
    -- column.
    add column address text check (char_length(address) <= 45),
    add column last_address text check (char_length(last_address) <= 45),
    -- Encrypts form text that the browser keeps after the session has ended. Null: a session from before this column.
    add column draft_key bytea check (octet_length(draft_key) = 32);

-- When a session of the person was last created. Null: never, or before this column.
alter table person add column last_sign_in_at timestamptz;
