-- The columns of the PostgreSQL file of the same number; see there for the reasons.

alter table web_session add column address text check (length(address) <= 45);
alter table web_session add column last_address text check (length(last_address) <= 45);
alter table web_session add column draft_key blob check (length(draft_key) = 32);

alter table person add column last_sign_in_at integer;
