-- Nothing: one process has the file to itself, so there are no nodes, and nobody to announce changes to.
select 1;
