"""The tests: one folder for each package, ``services`` for the servers, ``acceptance`` for whole flows."""
