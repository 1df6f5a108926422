-- One row a case, in case order: the number of its variant.
select v.variant
from traces as t
join variants as v on v.trace is not distinct from t.trace
order by t.case_no
