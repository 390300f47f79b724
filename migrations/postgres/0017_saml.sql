-- Sign-in through SAML 2.0.

-- Responses of identity providers that were accepted and whose browser is not known yet. The request that posts a response carries no
-- cookie; the next request of the browser does, and deletes the row. The row is valid for a minute.
create table saml_response (
    -- SHA-256 of the value in the address of that next request.
    digest bytea primary key check (octet_length(digest) = 32),
    provider text not null check (char_length(provider) between 1 and 32),
    -- The response as it was received. It is verified again, as of `received_at`.
    response bytea not null check (octet_length(response) between 1 and 262144),
    received_at timestamptz not null
);

create index saml_response_by_time on saml_response (received_at);
