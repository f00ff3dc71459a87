"""
Benchmarks: the real commands, as processes, on real rows.

Machines are noisy, so what counts are ratios inside one run: events a second beside a loop that only bulk-inserts the
same rows, and one catalog beside a hundred times bigger one. ``make bench`` prints both.
"""
