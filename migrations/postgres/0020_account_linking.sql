-- Linking of accounts at identity providers by their holders.

alter table sign_in_flow
    -- The user of the session links the account, instead of confirming an operation.
    add column is_link boolean not null default false;
