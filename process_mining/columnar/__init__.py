"""The heavy steps, once over whole columns: SQL over integer codes, and vector kernels.

`sql` holds what groups and orders a log (variants, directly-follows, facts a case, facts an
activity); `segments` holds per-case kernels in numpy. No step loops over events in Python.
"""
