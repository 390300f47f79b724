-- The latest time that a node has seen. No node judges expiry by an earlier one, so that a clock that was set back revives
-- no token. There are no other nodes, and so there is no secret that they share.
create table clock_floor (
    id integer primary key check (id = 1),
    at integer not null
) strict;
