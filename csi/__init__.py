"""Did it get better: KPIs, feedback, statistics, the improvement register, cycles, reports."""
