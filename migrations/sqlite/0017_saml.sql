-- The table of the PostgreSQL file of the same number; see there for the reasons.

create table saml_response (
    digest blob not null primary key check (length(digest) = 32),
    provider text not null check (length(provider) between 1 and 32),
    response blob not null check (length(response) between 1 and 262144),
    received_at integer not null
) strict, without rowid;

create index saml_response_by_time on saml_response (received_at);
