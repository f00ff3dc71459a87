"""The tests: a folder for each room of the source tree, ``services`` for what they run against, ``acceptance`` for stories."""
