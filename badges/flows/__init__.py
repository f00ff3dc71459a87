"""
The sticker flows, for systems that award badges by REST and by messages.

- ``models``: the tables.
- ``idempotency``: a request that is sent twice with one key is carried out once.
"""
