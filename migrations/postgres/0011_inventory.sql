-- Where tokens are used from.

-- Client address of the use at last_used_at, in canonical form. Null: unknown, or the workspace does not record addresses. Not in the view
-- unrevoked_token: few queries need it. Not indexed, like last_used_at.
alter table token add column last_used_from text check (char_length(last_used_from) <= 45);
