-- One row an edge. A quantile is the smallest wait that at least that share of the waits do not
-- exceed (Hyndman & Fan 1996, type 1): counts by value and a running sum, exact and mergeable.
with by_value as (
    select source, target, waited, count(*) as n
    from follows
    where waited is not null
    group by source, target, waited
),
running as (
    select
        source, target, waited,
        sum(n) over (partition by source, target order by waited) as so_far,
        sum(n) over (partition by source, target) as total
    from by_value
),
quantiles as (
    select
        source, target,
        min(case when so_far * 100 >= total * 50 then waited end) as median_us,
        min(case when so_far * 100 >= total * 90 then waited end) as p90_us
    from running
    group by source, target
),
edges as (
    select
        source, target,
        count(*) as n,
        count(distinct case_no) as cases,
        cast(@exact_sum_waited@ as double precision) / 3600000000 as total_h
    from follows
    group by source, target
)
select e.source, e.target, e.n, e.cases, q.median_us, q.p90_us, e.total_h
from edges as e
left join quantiles as q on q.source = e.source and q.target = e.target
order by coalesce(e.source, -1), coalesce(e.target, 2147483647)
