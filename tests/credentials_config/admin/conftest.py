"""Staff who sign in, and a storage and a generator for what they look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def staff(db: None) -> Callable[..., Any]:
    """Sign in as a member of staff with these permissions: ``staff("view_credential")``."""
    from tests.support.learner_factories import signed_in, somebody  # noqa: PLC0415 -- Django is not ready when this file is imported

    return lambda *permissions, **options: signed_in(somebody(*permissions, is_staff=True), **options)


@pytest.fixture(autouse=True)
def _storage_and_generator(folder: Path, text_generator: Any) -> None:
    pass
