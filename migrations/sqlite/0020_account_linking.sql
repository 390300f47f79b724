-- The column of the PostgreSQL file of the same number; see there for the reasons.

alter table sign_in_flow add column is_link integer not null default 0 check (is_link in (0, 1));
