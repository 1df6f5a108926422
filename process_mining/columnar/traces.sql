-- One row a case: its steps in order; null where the case has none.
select c.case_no, t.trace
from cases as c
left join (
    select case_no, @ordered_list@ as trace
    from events
    where symbol is not null
    group by case_no
) as t on t.case_no = c.case_no
