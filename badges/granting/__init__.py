"""
Granting: the one way in which a credential is awarded or revoked.

The pipeline, staff and other code come through here, for a batch or for one credential. Everything is written in the
caller's transaction: the credential, the rows of the providers and the outbox messages. The number of statements does
not depend on the number of credentials.
"""

from badges.granting.awards import NewAward, award, would_award
from badges.granting.by_hand import award_one, lift_block, revoke_one, with_locked_learner
from badges.granting.changes import Granted, award_and_revoke
from badges.granting.expiring import expire_due
from badges.granting.revocations import NewRevocation, lift_blocks_of, revoke
from badges.granting.templates import awardable, awardable_templates, granted

__all__ = [
    "Granted",
    "NewAward",
    "NewRevocation",
    "award",
    "award_and_revoke",
    "award_one",
    "awardable",
    "awardable_templates",
    "expire_due",
    "granted",
    "lift_block",
    "lift_blocks_of",
    "revoke",
    "revoke_one",
    "with_locked_learner",
    "would_award",
]
