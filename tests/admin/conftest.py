"""Staff with and without permissions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def staff(db: None) -> Callable[..., Any]:
    """Make a member of staff with these permissions: ``staff("view_badgetemplate")``."""
    from tests.support.learner_factories import somebody  # noqa: PLC0415 -- Django is not ready when this file is imported

    return lambda *permissions, **given: somebody(*permissions, is_staff=True, **given)
