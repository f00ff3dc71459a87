"""
Benchmarks: the real commands, as processes, on real rows.

Times vary from run to run, so only ratios inside one run count: events per second compared with a loop that only
inserts the same rows, and one catalog compared with a much bigger one. ``make bench`` prints both.
"""
