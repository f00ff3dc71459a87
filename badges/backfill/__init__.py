"""
Backfill: logged events are decided for templates that did not exist when the events arrived, or were different then.

- ``people``: the people about whom there is something to decide, in chunks.
- ``evidence``: what the logged events say about a person and a template, by the template's compiled rules.
- ``decisions``: a chunk of people is decided, or it is found out what that would change.
- ``run_kinds``: the kind ``backfill`` of runs. ``results`` makes its file, ``models`` has its table.
"""
