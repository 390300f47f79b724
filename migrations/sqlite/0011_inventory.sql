-- The column of the PostgreSQL file of the same number; see there for the reasons.

alter table token add column last_used_from text check (length(last_used_from) <= 45);
