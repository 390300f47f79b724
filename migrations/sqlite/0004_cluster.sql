-- One process has the SQLite file to itself, so there are no nodes and no notifications. The clock floor is the same as in PostgreSQL.

create table clock_floor (
    id integer primary key check (id = 1),
    at integer not null
) strict;
