"""The tests: one folder for each room of the source tree, ``services`` for the servers, ``acceptance`` for stories."""
