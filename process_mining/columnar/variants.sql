-- One row a distinct trace, the most frequent first, equal ones by their codes (none before any).
select row_number() over (order by n desc, trace nulls first) - 1 as variant, trace, n
from (select trace, count(*) as n from traces group by trace) as counted
