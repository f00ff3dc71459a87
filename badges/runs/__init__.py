"""
Runs: long work that people ask for, such as a backfill, an import or a bulk award.

- ``models``: one table of runs for every kind of work.
- ``kinds``: what a kind of work is, and the registry of kinds.
- ``queue``: a run is started, cancelled, resumed or undone by a person, and claimed by one worker at a time.
- ``worker``: carries out claimed runs, step by step. Each step commits its work and its progress together.
"""
