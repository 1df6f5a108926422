-- One row an activity. A repeat is a step whose activity the case has done before; it is direct
-- where it follows its like at once.
with per_case as (
    select case_no, symbol, count(*) as n
    from events
    where symbol is not null
    group by case_no, symbol
),
direct as (
    select target as symbol, count(*) as n
    from follows
    where source = target
    group by target
),
totals as (
    select
        symbol,
        sum(n) as n,
        count(*) as cases,
        sum(n - 1) as repeats,
        sum(case when n > 1 then 1 else 0 end) as cases_repeating
    from per_case
    group by symbol
)
select
    t.symbol, t.n, t.cases, t.repeats, t.cases_repeating,
    coalesce(d.n, 0) as direct_repeats
from totals as t
left join direct as d on d.symbol = t.symbol
order by t.symbol
