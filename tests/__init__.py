"""The tests: one folder for each package of the source, ``services`` for the servers, ``acceptance`` for whole flows."""
