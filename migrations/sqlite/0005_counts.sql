-- The tables of the PostgreSQL file of the same number; see there for the reasons.

create table workspace_count (
    workspace_id integer primary key references workspace (id) on delete cascade,
    people integer not null,
    tokens integer not null
) strict;

create table token_count (
    person_id integer primary key,
    workspace_id integer not null,
    tokens integer not null,
    foreign key (workspace_id, person_id) references person (workspace_id, id) on delete cascade
) strict;

insert into token_count (person_id, workspace_id, tokens)
    select p.id, p.workspace_id, count(t.id) from person p left join unrevoked_token t on t.person_id = p.id group by p.id, p.workspace_id;
insert into workspace_count (workspace_id, people, tokens)
    select w.id, count(c.person_id), coalesce(sum(c.tokens), 0)
    from workspace w left join token_count c on c.workspace_id = w.id group by w.id;

create trigger workspace_counted after insert on workspace begin
    insert or ignore into workspace_count (workspace_id, people, tokens) values (new.id, 0, 0);
end;

create trigger people_counted after insert on person begin
    insert into token_count (person_id, workspace_id, tokens) values (new.id, new.workspace_id, 0);
    update workspace_count set people = people + 1 where workspace_id = new.workspace_id;
end;

create trigger person_removed_uncounted after update of removed_at on person
    when old.removed_at is null and new.removed_at is not null begin
    update workspace_count set people = people - 1 where workspace_id = new.workspace_id;
end;

create trigger people_uncounted after delete on person when old.removed_at is null begin
    update workspace_count set people = people - 1 where workspace_id = old.workspace_id;
end;

create trigger tokens_recounted after update of tokens_revoked_before on person
    when old.tokens_revoked_before is not new.tokens_revoked_before begin
    update token_count set tokens = (select count(*) from token t where t.workspace_id = new.workspace_id and t.person_id = new.id
            and (new.tokens_revoked_before is null or t.created_at > new.tokens_revoked_before))
        where person_id = new.id;
end;

create trigger tokens_counted after insert on token
    when (select p.tokens_revoked_before is null or new.created_at > p.tokens_revoked_before from person p where p.id = new.person_id) begin
    update token_count set tokens = tokens + 1 where person_id = new.person_id;
end;

-- If the person was deleted, the row of token_count is deleted with it.
create trigger tokens_uncounted after delete on token
    when (select p.tokens_revoked_before is null or old.created_at > p.tokens_revoked_before from person p where p.id = old.person_id) begin
    update token_count set tokens = tokens - 1 where person_id = old.person_id;
end;

create trigger tokens_moved after update of workspace_id, person_id, created_at on token
    when old.workspace_id is not new.workspace_id or old.person_id is not new.person_id or old.created_at is not new.created_at begin
    update token_count set tokens = (select count(*) from unrevoked_token t where t.workspace_id = token_count.workspace_id
            and t.person_id = token_count.person_id)
        where person_id in (old.person_id, new.person_id);
end;

create trigger token_count_changed after update of tokens on token_count when old.tokens <> new.tokens begin
    update workspace_count set tokens = tokens + new.tokens - old.tokens where workspace_id = new.workspace_id;
end;

create trigger token_count_deleted after delete on token_count when old.tokens <> 0 begin
    update workspace_count set tokens = tokens - old.tokens where workspace_id = old.workspace_id;
end;
