-- A lease of up to two minutes lets a node answer auth checks from its cache while the database fails over.
alter table node drop constraint node_lease_ms_check;
alter table node add constraint node_lease_ms_check check (lease_ms > 0 and lease_ms <= 120000);
