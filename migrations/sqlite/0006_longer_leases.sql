-- Nothing to change: SQLite has no nodes. PostgreSQL has a migration with this number.
select 1;
