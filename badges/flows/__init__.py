"""
The sticker flows, for systems that award badges by REST and by messages.

- ``models``: the tables.
- ``idempotency``: a request that is sent twice with one key is carried out once.
- ``claims``, ``certifications``, ``registrations``: handlers of the events of other services
  (``badges.intake.flow_events``), one for each kind. ``accounts`` finds whom they are about.
- ``personal_data``: removes what these events have told about a person.
"""
