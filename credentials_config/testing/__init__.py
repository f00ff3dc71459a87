"""
Doubles that ship with scheduled credentials: for our tests, the demo, benchmarks, and whoever builds on us.

``credentials_config.testing.lms``
    ``LmsStandIn``: a real HTTP server that answers as the Open edX platform does, can be told to fail, and is the
    witness of what was asked of it and about whom. As a process: ``python -m credentials_config.testing.lms``.

A stand-in is written from the platform's facts and imports nothing from ``credentials_config.lms``, so that the two can
disagree. Nothing here needs Django to be configured.
"""
