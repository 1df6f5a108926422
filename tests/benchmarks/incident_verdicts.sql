-- Every verdict of the incident rules, written by hand for DuckDB: as few scans as will do, window
-- functions on the events that matter, aggregates for the rest, one row a case at the end.
--
-- Loaded before, outside the timing (activity and team as ENUM, times as BIGINT µs UTC):
--   events(case_no, pos, activity, ts, team, score, category)    pos counts from 0 in each case
--   cases(case_no, case_id, priority, impact, urgency, close_code, complete, lower_cost, upper_cost)
--   links(case_id, linked_to, kind)
--   changes(case_id, complete)    change_events(case_id, activity)
--   calendar(day, opens, open_us, before_us)    one opening interval a UTC day, as all of its days have
--   moment(as_of)
-- Given besides: which cases have ended (complete), the alignment costs, the moment of judgement.
--
-- 0 conforms, 1 violates, 2 pending, 3 vacuous, 4 unknown.

-- What one look at each event can tell of its case.
CREATE TEMP TABLE facts AS
SELECT
  case_no,
  min(CASE WHEN activity = 'Register' THEN pos END) AS first_register,
  min(CASE WHEN activity = 'Classify' THEN pos END) AS first_classify,
  min(CASE WHEN activity = 'Diagnose' THEN pos END) AS first_diagnose,
  max(CASE WHEN activity = 'Diagnose' THEN pos END) AS last_diagnose,
  min(CASE WHEN activity = 'Resolve' THEN pos END) AS first_resolve,
  max(CASE WHEN activity = 'Resolve' THEN pos END) AS last_resolve,
  max(CASE WHEN activity = 'Resolve' THEN ts END) AS last_resolve_ts,
  max(CASE WHEN activity = 'Reopen' THEN pos END) AS last_reopen,
  count(*) FILTER (activity = 'Reopen') AS reopenings,
  min(CASE WHEN activity = 'Close' THEN pos END) AS first_close,
  min(CASE WHEN activity = 'Close' THEN ts END) AS first_close_ts,
  max(CASE WHEN activity = 'Cancel' THEN pos END) AS last_cancel,
  min(CASE WHEN activity = 'Ask feedback' THEN pos END) AS first_ask,
  min(CASE WHEN activity = 'Ask feedback' THEN ts END) AS first_ask_ts,
  count(*) FILTER (activity = 'Ask feedback') AS asked,
  bool_or(activity = 'Await problem') AS waited_for_problem,
  min(CASE WHEN activity IN ('Assign', 'Diagnose', 'Resolve') THEN ts END) AS first_response_ts,
  min(CASE WHEN activity NOT IN ('Ask feedback', 'Receive feedback', 'Contact customer') THEN pos END) AS first_step,
  min(CASE WHEN activity NOT IN ('Ask feedback', 'Receive feedback', 'Contact customer') THEN ts END) AS first_step_ts,
  max(CASE WHEN activity NOT IN ('Ask feedback', 'Receive feedback', 'Contact customer') THEN ts END) AS last_step_ts,
  max(ts) AS last_ts,
  count(team) AS named_teams
FROM events
GROUP BY case_no;

-- Stays in a state: runs of one activity, each left by the next step that is another one.
CREATE TEMP TABLE stays AS
SELECT case_no, activity, ts AS begins, leaves
FROM (
  SELECT case_no, activity, ts, lead(ts) OVER (PARTITION BY case_no ORDER BY pos) AS leaves
  FROM (
    SELECT case_no, pos, activity, ts, lag(activity) OVER (PARTITION BY case_no ORDER BY pos) AS before
    FROM events
    WHERE activity NOT IN ('Ask feedback', 'Receive feedback', 'Contact customer')
  )
  WHERE before IS DISTINCT FROM activity
)
WHERE activity IN ('Await customer', 'Await supplier', 'Resolve');

CREATE TEMP TABLE waits AS
SELECT
  case_no,
  max(open_us) FILTER (activity = 'Await customer') AS customer_us,
  max(open_us) FILTER (activity = 'Await supplier') AS supplier_us,
  max(open_us) FILTER (activity = 'Resolve') AS resolved_us
FROM (
  SELECT
    case_no, activity,
    z.before_us + greatest(0, least(ends - z.opens, z.open_us))
    - a.before_us - greatest(0, least(begins - a.opens, a.open_us)) AS open_us
  FROM (
    SELECT case_no, activity, begins, coalesce(leaves, CASE WHEN complete THEN begins ELSE as_of END) AS ends
    FROM stays JOIN cases USING (case_no), moment
  )
  JOIN calendar AS a ON a.day = begins // 86_400_000_000
  JOIN calendar AS z ON z.day = ends // 86_400_000_000
)
GROUP BY case_no;

-- Changes of team, how many, and the shortest time that three of them took.
CREATE TEMP TABLE team_changes AS
SELECT case_no, pos, ts
FROM (
  SELECT case_no, pos, ts, team, lag(team) OVER (PARTITION BY case_no ORDER BY pos) AS before
  FROM events
  WHERE team IS NOT NULL
)
WHERE team <> before;

CREATE TEMP TABLE handed AS
SELECT case_no, count(*) AS times, min(clock - third) AS three_within_us
FROM (
  SELECT case_no, clock, lag(clock, 2) OVER (PARTITION BY case_no ORDER BY pos) AS third
  FROM (
    SELECT case_no, pos, before_us + greatest(0, least(ts - opens, open_us)) AS clock
    FROM team_changes JOIN calendar ON day = ts // 86_400_000_000
  )
)
GROUP BY case_no;

-- Three waits for the customer: from the first to the third.
CREATE TEMP TABLE paused AS
SELECT case_no, min(clock - third) AS three_within_us
FROM (
  SELECT case_no, clock, lag(clock, 2) OVER (PARTITION BY case_no ORDER BY pos) AS third
  FROM (
    SELECT case_no, pos, before_us + greatest(0, least(ts - opens, open_us)) AS clock
    FROM events JOIN calendar ON day = ts // 86_400_000_000
    WHERE activity = 'Await customer'
  )
)
GROUP BY case_no;

-- The clocks of the targets: from the first step to the stop, else to the end, else to now.
CREATE TEMP TABLE clocks AS
WITH course AS (
  SELECT
    case_no, metric, by_hours, limit_us, starts,
    CASE WHEN metric = 'respond' THEN responds ELSE resolves END AS stops,
    coalesce(stops, CASE WHEN complete THEN last_step_ts ELSE greatest(last_ts, as_of) END) AS ends
  FROM (
    SELECT
      case_no, priority, complete, last_step_ts, last_ts, first_step_ts AS starts,
      first_response_ts AS responds,
      CASE WHEN last_reopen > last_resolve THEN NULL ELSE last_resolve_ts END AS resolves
    FROM facts JOIN cases USING (case_no)
  )
  JOIN (
    VALUES
    ('P1', 'respond', FALSE, 900_000_000), ('P1', 'resolve', FALSE, 14_400_000_000),
    ('P2', 'respond', FALSE, 1_800_000_000), ('P2', 'resolve', FALSE, 28_800_000_000),
    ('P3', 'respond', TRUE, 14_400_000_000), ('P3', 'resolve', TRUE, 108_000_000_000),
    ('P4', 'respond', TRUE, 36_000_000_000), ('P4', 'resolve', TRUE, 180_000_000_000)
  ) AS targets (priority, metric, by_hours, limit_us) USING (priority), moment
),
held AS (
  SELECT case_no, metric,
    sum(CASE WHEN by_hours THEN
      z.before_us + greatest(0, least(until - z.opens, z.open_us))
      - a.before_us - greatest(0, least(since - a.opens, a.open_us))
      ELSE until - since END) AS held_us
  FROM (
    SELECT case_no, metric, by_hours, greatest(begins, starts) AS since, least(coalesce(leaves, ends), ends) AS until
    FROM stays JOIN course USING (case_no)
    WHERE activity = 'Await customer' AND begins < ends
  )
  JOIN calendar AS a ON a.day = since // 86_400_000_000
  JOIN calendar AS z ON z.day = until // 86_400_000_000
  WHERE until > since
  GROUP BY case_no, metric
)
SELECT
  case_no,
  bool_or(metric = 'respond' AND over) AS respond_over,
  bool_or(metric = 'respond' AND stopped) AS responded,
  bool_or(metric = 'resolve' AND over) AS resolve_over,
  bool_or(metric = 'resolve' AND stopped) AS resolved
FROM (
  SELECT
    case_no, metric, stops IS NOT NULL AS stopped,
    CASE WHEN by_hours THEN
      z.before_us + greatest(0, least(ends - z.opens, z.open_us))
      - a.before_us - greatest(0, least(starts - a.opens, a.open_us))
      ELSE ends - starts END - coalesce(held_us, 0) > limit_us AS over
  FROM course
  JOIN calendar AS a ON a.day = starts // 86_400_000_000
  JOIN calendar AS z ON z.day = ends // 86_400_000_000
  LEFT JOIN held USING (case_no, metric)
)
GROUP BY case_no;

-- A low score, and whether somebody contacted the customer in time.
CREATE TEMP TABLE low_scores AS
SELECT
  case_no,
  bool_or(low AND open_us > 72_000_000_000) AS late,
  bool_or(unclear AND open_us > 72_000_000_000) AS unsure,
  bool_or((low OR unclear) AND contacted IS NULL AND open_us <= 72_000_000_000) AS waiting,
  bool_or(low) AS asks
FROM (
  SELECT
    case_no, contacted, coalesce(score <= 2, FALSE) AS low, score IS NULL AS unclear,
    z.before_us + greatest(0, least(ends - z.opens, z.open_us))
    - a.before_us - greatest(0, least(ts - a.opens, a.open_us)) AS open_us
  FROM (
    SELECT
      case_no, activity, ts, try_cast(score AS BIGINT) AS score, contacted,
      greatest(coalesce(contacted, as_of), ts) AS ends
    FROM (
      SELECT case_no, activity, ts, score,
        min(ts) FILTER (activity = 'Contact customer') OVER (
          PARTITION BY case_no ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ) AS contacted
      FROM events
      WHERE activity IN ('Receive feedback', 'Contact customer')
    ), moment
    WHERE activity = 'Receive feedback'
  )
  JOIN calendar AS a ON a.day = ts // 86_400_000_000
  JOIN calendar AS z ON z.day = ends // 86_400_000_000
)
GROUP BY case_no;

-- Critical incidents: is each registration taken up within an hour?
CREATE TEMP TABLE critical AS
SELECT
  case_no,
  bool_or(coalesce(taken_up, unanswered) - ts > 3_600_000_000 OR (taken_up IS NULL AND complete)) AS late,
  bool_or(taken_up IS NULL AND NOT complete AND unanswered - ts <= 3_600_000_000) AS waiting
FROM (
  SELECT case_no, activity, ts, complete,
    greatest(CASE WHEN complete THEN last_step_ts ELSE as_of END, ts) AS unanswered,
    min(ts) FILTER (activity <> 'Register') OVER (
      PARTITION BY case_no ORDER BY pos ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
    ) AS taken_up
  FROM events JOIN cases USING (case_no) JOIN facts USING (case_no), moment
  WHERE activity IN ('Register', 'Diagnose', 'Cancel') AND lower(trim(priority)) IN ('1', 'p1', 'critical', '1 - critical')
)
WHERE activity = 'Register'
GROUP BY case_no;

-- Answers before the next question: the step that follows among both must be an answer.
CREATE TEMP TABLE escalated AS
SELECT case_no, bool_or(coalesce(following = 'Escalate', complete)) AS unanswered
FROM (
  SELECT case_no, activity, complete, lead(activity) OVER (PARTITION BY case_no ORDER BY pos) AS following
  FROM events JOIN cases USING (case_no)
  WHERE activity IN ('Escalate', 'Assign', 'Diagnose')
)
WHERE activity = 'Escalate'
GROUP BY case_no;

CREATE TEMP TABLE reopened AS
SELECT case_no, bool_or(coalesce(following = 'Reopen', complete)) AS unanswered
FROM (
  SELECT case_no, activity, complete, lead(activity) OVER (PARTITION BY case_no ORDER BY pos) AS following
  FROM events JOIN cases USING (case_no) JOIN facts USING (case_no)
  WHERE activity IN ('Reopen', 'Diagnose', 'Cancel') AND reopenings > 0
)
WHERE activity = 'Reopen'
GROUP BY case_no;

-- What comes in spite of a ban, only where its order can be an offence at all.
CREATE TEMP TABLE banned AS
SELECT
  case_no,
  bool_or(activity = 'Diagnose' AND closed > coalesce(reopened, -1)) AS diagnosed,
  bool_or(activity = 'Cancel' AND resolved > coalesce(reopened, -1)) AS cancelled
FROM (
  SELECT case_no, activity,
    max(pos) FILTER (activity = 'Close') OVER earlier AS closed,
    max(pos) FILTER (activity = 'Resolve') OVER earlier AS resolved,
    max(pos) FILTER (activity = 'Reopen') OVER earlier AS reopened
  FROM events JOIN facts USING (case_no)
  WHERE activity IN ('Close', 'Resolve', 'Reopen', 'Diagnose', 'Cancel')
    AND (last_diagnose > first_close OR last_cancel > first_resolve)
  WINDOW earlier AS (PARTITION BY case_no ORDER BY pos ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
GROUP BY case_no;

-- The category after the first resolution, up to the reopening that follows it.
CREATE TEMP TABLE categories AS
WITH part AS (
  SELECT facts.case_no, first_resolve AS since, coalesce(min(pos), 2_000_000_000) AS until
  FROM facts LEFT JOIN (
    SELECT case_no, pos FROM events WHERE activity = 'Reopen'
  ) AS reopenings ON reopenings.case_no = facts.case_no AND pos > first_resolve
  WHERE first_resolve IS NOT NULL
  GROUP BY ALL
)
SELECT
  case_no,
  bool_or(category <> before AND pos > since AND pos < until) AS changed,
  bool_or(pos < until) AS named
FROM (
  SELECT case_no, pos, category, lag(category) OVER (PARTITION BY case_no ORDER BY pos) AS before
  FROM (SELECT case_no, pos, nullif(lower(trim(category)), '') AS category FROM events WHERE category IS NOT NULL)
  WHERE category IS NOT NULL
)
JOIN part USING (case_no)
GROUP BY case_no;

-- Priority by impact and urgency, for each combination that occurs.
CREATE TEMP TABLE priorities AS
WITH said AS (
  SELECT DISTINCT impact, urgency, priority,
    try_cast(regexp_extract(impact, '^\s*(\d+) - ', 1) AS INTEGER) AS row_no,
    try_cast(regexp_extract(urgency, '^\s*(\d+) - ', 1) AS INTEGER) AS column_no,
    CASE lower(trim(priority))
      WHEN '1' THEN 1 WHEN '2' THEN 2 WHEN '3' THEN 3 WHEN '4' THEN 4 WHEN '5' THEN 4
      WHEN 'p1' THEN 1 WHEN 'p2' THEN 2 WHEN 'p3' THEN 3 WHEN 'p4' THEN 4 WHEN 'p5' THEN 4
      WHEN '5 - planning' THEN 4
      ELSE try_cast(regexp_extract(priority, '^\s*(\d+) - ', 1) AS INTEGER)
    END AS level
  FROM cases
),
matrix (row_no, column_no, cell) AS (
  VALUES (1, 1, 1), (1, 2, 2), (1, 3, 3), (2, 1, 2), (2, 2, 3), (2, 3, 4), (3, 1, 3), (3, 2, 4), (3, 3, 4)
)
SELECT impact, urgency, priority,
  CASE WHEN level IS NULL THEN 4
    WHEN count(*) FILTER (cell = level) = 0 THEN 1
    WHEN count(*) FILTER (cell = level) < count(*) THEN 4
    ELSE 0 END AS verdict
FROM said JOIN matrix
  ON (said.row_no = matrix.row_no OR said.row_no IS NULL OR said.row_no NOT BETWEEN 1 AND 3)
  AND (said.column_no = matrix.column_no OR said.column_no IS NULL OR said.column_no NOT BETWEEN 1 AND 3)
GROUP BY impact, urgency, priority, level;

-- Incidents that name a problem.
CREATE TEMP TABLE problems AS
SELECT case_id FROM links WHERE kind = 'problem' GROUP BY case_id;

-- Changes that caused an incident: each must have been reviewed.
CREATE TEMP TABLE caused AS
SELECT
  case_id,
  bool_or(NOT known) AS unknown,
  bool_or(known AND NOT reviewed AND complete) AS unreviewed,
  bool_or(known AND NOT reviewed AND NOT complete) AS may_come
FROM (
  SELECT
    links.case_id, changes.case_id IS NOT NULL AS known, changes.complete,
    reviews.case_id IS NOT NULL AS reviewed
  FROM links
  LEFT JOIN changes ON changes.case_id = links.linked_to
  LEFT JOIN (SELECT DISTINCT case_id FROM change_events WHERE activity = 'Review') AS reviews
    ON reviews.case_id = links.linked_to
  WHERE kind = 'caused_by'
)
GROUP BY case_id;

-- From the first closure to the request for feedback that follows it.
CREATE TEMP TABLE feedback AS
SELECT
  case_no,
  z.before_us + greatest(0, least(ends - z.opens, z.open_us))
  - a.before_us - greatest(0, least(first_close_ts - a.opens, a.open_us)) AS open_us
FROM (
  SELECT case_no, first_close_ts, coalesce(first_ask_ts, greatest(as_of, first_close_ts)) AS ends
  FROM facts, moment
  WHERE first_close < coalesce(first_ask, 2_000_000_000)
)
JOIN calendar AS a ON a.day = first_close_ts // 86_400_000_000
JOIN calendar AS z ON z.day = ends // 86_400_000_000;

CREATE TEMP TABLE verdicts AS
SELECT
  case_no,
  CASE WHEN (SELECT count(*) FROM caused) = 0 THEN 4
    WHEN caused.case_id IS NULL THEN CASE WHEN complete THEN 3 ELSE 2 END
    WHEN caused.unreviewed THEN 1 WHEN caused.unknown THEN 4
    WHEN NOT complete OR caused.may_come THEN 2 ELSE 0 END::TINYINT AS "CHG016",
  CASE WHEN feedback.open_us > 108_000_000_000 THEN 1
    WHEN feedback.open_us IS NOT NULL AND first_ask IS NULL THEN 2
    WHEN first_close IS NULL THEN CASE WHEN complete THEN 3 ELSE 2 END
    WHEN complete OR first_ask IS NOT NULL THEN 0 ELSE 2 END::TINYINT AS "FBK001",
  CASE WHEN low_scores.late THEN 1 WHEN low_scores.unsure THEN 4 WHEN low_scores.waiting OR NOT complete THEN 2
    WHEN low_scores.asks THEN 0 ELSE 3 END::TINYINT AS "FBK002",
  CASE WHEN first_ask < coalesce(first_close, 2_000_000_000) THEN 1 WHEN first_ask IS NOT NULL THEN 0
    WHEN complete THEN 3 ELSE 2 END::TINYINT AS "FBK003",
  CASE WHEN asked > 1 THEN 1 WHEN complete THEN 0 ELSE 2 END::TINYINT AS "FBK007",
  CASE WHEN first_close < coalesce(first_resolve, 2_000_000_000) THEN 1 WHEN first_close IS NOT NULL THEN 0
    WHEN complete THEN 3 ELSE 2 END::TINYINT AS "INC001",
  CASE WHEN first_resolve < coalesce(first_diagnose, 2_000_000_000) THEN 1 WHEN first_resolve IS NOT NULL THEN 0
    WHEN complete THEN 3 ELSE 2 END::TINYINT AS "INC002",
  CASE WHEN first_diagnose < coalesce(first_classify, 2_000_000_000) THEN 1 WHEN first_diagnose IS NOT NULL THEN 0
    WHEN complete THEN 3 ELSE 2 END::TINYINT AS "INC003",
  CASE WHEN named_teams = 0 THEN 4 WHEN handed.times > 3 THEN 1 WHEN complete THEN 0 ELSE 2 END::TINYINT AS "INC004",
  CASE WHEN reopenings > 1 THEN 1 WHEN complete THEN 0 ELSE 2 END::TINYINT AS "INC005",
  CASE WHEN lower_cost > 0 THEN 1 WHEN upper_cost > 0 THEN 4 WHEN complete THEN 0 ELSE 2 END::TINYINT AS "INC006",
  CASE WHEN customer_us > 180_000_000_000 THEN 1 WHEN NOT complete THEN 2
    WHEN customer_us IS NOT NULL THEN 0 ELSE 3 END::TINYINT AS "INC007",
  CASE WHEN resolved_us > 360_000_000_000 THEN 1 WHEN NOT complete THEN 2
    WHEN resolved_us IS NOT NULL THEN 0 ELSE 3 END::TINYINT AS "INC008",
  CASE WHEN supplier_us > 180_000_000_000 THEN 1 WHEN NOT complete THEN 2
    WHEN supplier_us IS NOT NULL THEN 0 ELSE 3 END::TINYINT AS "INC009",
  CASE WHEN NOT waited_for_problem THEN CASE WHEN complete THEN 3 ELSE 2 END
    WHEN (SELECT count(*) FROM problems) = 0 THEN 4
    WHEN problems.case_id IS NOT NULL THEN 0 WHEN complete THEN 1 ELSE 2 END::TINYINT AS "INC010",
  CASE WHEN first_step IS NULL THEN CASE WHEN complete THEN 3 ELSE 2 END
    WHEN first_register = first_step THEN 0 ELSE 1 END::TINYINT AS "INC011",
  CASE WHEN complete THEN priorities.verdict ELSE 2 END::TINYINT AS "INC012",
  CASE WHEN banned.diagnosed THEN 1 WHEN NOT complete THEN 2 WHEN first_close IS NULL THEN 3
    ELSE 0 END::TINYINT AS "INC013",
  CASE WHEN banned.cancelled THEN 1 WHEN NOT complete THEN 2 WHEN first_resolve IS NULL THEN 3
    ELSE 0 END::TINYINT AS "INC014",
  CASE WHEN named_teams = 0 THEN 4 WHEN handed.three_within_us <= 36_000_000_000 THEN 1 WHEN complete THEN 0
    ELSE 2 END::TINYINT AS "INC015",
  CASE WHEN escalated.unanswered THEN 1 WHEN NOT complete THEN 2 WHEN escalated.case_no IS NULL THEN 3
    ELSE 0 END::TINYINT AS "INC016",
  CASE WHEN NOT complete THEN 2 WHEN coalesce(trim(close_code), '') = '' THEN 1 ELSE 0 END::TINYINT AS "INC017",
  CASE WHEN reopened.unanswered THEN 1 WHEN NOT complete THEN 2 WHEN reopened.case_no IS NULL THEN 3
    ELSE 0 END::TINYINT AS "INC018",
  CASE WHEN first_classify IS NOT NULL OR last_cancel IS NOT NULL THEN 0 WHEN complete THEN 1
    ELSE 2 END::TINYINT AS "INC019",
  CASE WHEN categories.changed THEN 1
    WHEN first_resolve IS NULL THEN CASE WHEN complete THEN 3 ELSE 2 END
    WHEN coalesce(categories.named, FALSE) = FALSE THEN 4
    WHEN complete OR last_reopen > first_resolve THEN 0 ELSE 2 END::TINYINT AS "INC020",
  CASE WHEN cases.priority IS NULL THEN CASE WHEN complete AND first_register IS NULL THEN 3 ELSE 4 END
    WHEN lower(trim(cases.priority)) NOT IN ('1', 'p1', 'critical', '1 - critical') THEN 3
    WHEN critical.late THEN 1 WHEN critical.waiting OR NOT complete THEN 2 WHEN first_register IS NULL THEN 3
    ELSE 0 END::TINYINT AS "INC021",
  CASE WHEN cases.priority IS NULL THEN 4 WHEN clocks.case_no IS NULL THEN 3 WHEN respond_over THEN 1
    WHEN responded THEN 0 WHEN complete THEN 3 ELSE 2 END::TINYINT AS "SLM001",
  CASE WHEN cases.priority IS NULL THEN 4 WHEN clocks.case_no IS NULL THEN 3 WHEN resolve_over THEN 1
    WHEN resolved THEN 0 WHEN complete THEN 3 ELSE 2 END::TINYINT AS "SLM002",
  CASE WHEN last_cancel IS NOT NULL THEN 3 WHEN cases.priority IS NULL THEN 4
    WHEN cases.priority IN ('P1', 'P2', 'P3', 'P4') THEN 0 ELSE 1 END::TINYINT AS "SLM003",
  CASE WHEN paused.three_within_us <= 36_000_000_000 THEN 1 WHEN complete THEN 0 ELSE 2 END::TINYINT AS "SLM008"
FROM cases
JOIN facts USING (case_no)
LEFT JOIN waits USING (case_no)
LEFT JOIN handed USING (case_no)
LEFT JOIN paused USING (case_no)
LEFT JOIN clocks USING (case_no)
LEFT JOIN low_scores USING (case_no)
LEFT JOIN critical USING (case_no)
LEFT JOIN escalated USING (case_no)
LEFT JOIN reopened USING (case_no)
LEFT JOIN banned USING (case_no)
LEFT JOIN categories USING (case_no)
LEFT JOIN feedback USING (case_no)
LEFT JOIN problems USING (case_id)
LEFT JOIN caused USING (case_id)
LEFT JOIN priorities
  ON priorities.impact IS NOT DISTINCT FROM cases.impact
  AND priorities.urgency IS NOT DISTINCT FROM cases.urgency
  AND priorities.priority IS NOT DISTINCT FROM cases.priority;
