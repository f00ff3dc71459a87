"""How many examples the property tests try."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

FEW = "few"


def examples(number: int, **others: Any) -> settings:
    """
    Return settings of hypothesis with this number of examples: ``@examples(400)``.

    It is a fifth of them with ``pytest --hypothesis-profile few``, which is for further databases and versions of
    Python. The other arguments are those of ``hypothesis.settings``.
    """
    few = settings.get_current_profile_name() == FEW
    return settings(max_examples=-(-number // 5) if few else number, **others)
