-- One row a case, in case order. Changes of team and actor skip events that name none.
with seen as (
    select
        case_no, at_us, symbol, actor, team,
        lag(team) over (partition by case_no, team is null order by seq) as last_team,
        lag(actor) over (partition by case_no, actor is null order by seq) as last_actor,
        lag(symbol) over (partition by case_no, symbol is null order by seq) as last_symbol
    from events
),
facts as (
    select
        case_no,
        count(*) as n_events,
        count(symbol) as n_steps,
        min(at_us) as first_at,
        max(at_us) as last_at,
        count(distinct actor) as n_actors,
        count(distinct team) as n_teams,
        sum(case when team <> last_team then 1 else 0 end) as team_changes,
        sum(case when actor <> last_actor then 1 else 0 end) as actor_changes,
        count(symbol) - count(distinct symbol) as repeats,
        sum(case when symbol = last_symbol then 1 else 0 end) as direct_repeats
    from seen
    group by case_no
)
select
    c.case_no,
    coalesce(f.n_events, 0) as n_events,
    coalesce(f.n_steps, 0) as n_steps,
    f.first_at,
    f.last_at,
    f.last_at - f.first_at as duration_us,
    coalesce(f.n_actors, 0) as n_actors,
    coalesce(f.n_teams, 0) as n_teams,
    coalesce(f.team_changes, 0) as team_changes,
    coalesce(f.actor_changes, 0) as actor_changes,
    coalesce(f.repeats, 0) as repeats,
    coalesce(f.direct_repeats, 0) as direct_repeats
from cases as c
left join facts as f on f.case_no = c.case_no
order by c.case_no
