"""A learner and a template in one value."""

from __future__ import annotations

import uuid

_LOW = (1 << 62) - 1


def pair_id(learner_id: int, template_id: int) -> uuid.UUID:
    """
    Return the id that a learner and a template have together.

    It is computed, so five hundred pairs of a batch are found with five hundred probes of one index, on every database,
    without a row-value ``IN`` that half of them cannot use an index for. The layout is a version 8 UUID of RFC 9562: the
    learner's id in the high bits, so that the rows of one learner lie together, and the template's in the low ones.
    """
    high = (learner_id >> 12 << 16) | 0x8000 | (learner_id & 0xFFF)
    return uuid.UUID(int=(high << 64) | (0b10 << 62) | (template_id & _LOW))
