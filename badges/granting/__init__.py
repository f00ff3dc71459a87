"""
Granting: the one way in which a credential is awarded or revoked.

The pipeline, staff and other code come through here, for a batch or for one credential. Everything is written in the
caller's transaction: the credential, the rows of the providers and the outbox messages. The number of statements does
not depend on the number of credentials.
"""

from badges.granting.awards import NewAward, award

__all__ = ["NewAward", "award"]
