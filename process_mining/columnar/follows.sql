-- One row a step: what came directly before it in its case, and how long before. One more row a
-- case for its end (target null); the first step of a case has source null.
with steps as (
    select
        case_no, symbol, at_us,
        lag(symbol) over (partition by case_no order by seq) as source,
        lag(at_us) over (partition by case_no order by seq) as source_at,
        lead(symbol) over (partition by case_no order by seq) as next_symbol
    from events
    where symbol is not null
)
select case_no, source, symbol as target, at_us - source_at as waited from steps
union all
select case_no, symbol as source, null as target, null as waited
from steps
where next_symbol is null
