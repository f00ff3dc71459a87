"""
Bulk awards and bulk revocations: a CSV file of learners and templates, carried out as one run.

- ``files``: reads a file, without the database. Every error names its row.
- ``people``: finds the learners and accounts that the rows name.
- ``uploads``: a file with all that its rows mean, and the run that it becomes. Nothing is written before all is right.
- ``models``: one row for each row of the file, with what became of it.
- ``run_kinds``: the kinds of runs, which award or revoke chunk by chunk, and take back what a run has done.
"""
