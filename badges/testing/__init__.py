"""
Doubles and makers that ship with the plugin, for our tests, the demo, benchmarks, and the tests of whoever builds on
us.

``badges.testing.credly``
    ``CredlyStandIn``: a real HTTP server that behaves as Credly's documentation says, keeps state, can be told to
    fail, and records what was asked of it. As a process of its own: ``python -m badges.testing.credly``; a
    test that kills things starts that process with ``CredlyProcess``.

``badges.testing.accredible``
    ``AccredibleStandIn``: the same for Accredible.

``badges.testing.standin``
    What such servers are made of: the socket, the failures, the controls, and the process. For a stand-in of your own
    provider.

``badges.testing.events``
    Real openedx-events objects and the event-file lines made from them; ``write_events`` writes a long file quickly.

One folder per provider. A stand-in is written from the provider's facts and imports nothing from ``badges.issuers``,
so that the two can disagree. Nothing here needs Django to be configured.
"""
