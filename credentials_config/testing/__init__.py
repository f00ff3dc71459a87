"""
Stand-ins that are included in scheduled credentials, for tests, the demo, benchmarks and other projects.

``credentials_config.testing.lms``
    ``LmsStandIn``: a real HTTP server that answers as the Open edX platform does. It fails when it is told to. It
    records what it was asked and about whom. As a process: ``python -m credentials_config.testing.lms``.

A stand-in is written from facts about the platform. It imports nothing from ``credentials_config.lms``, so that a
mistake there is not repeated here. Nothing here needs Django to be configured.
"""
