"""Clients of learners and staff."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def learner(db: None) -> Any:
    """A learner with an account."""
    from tests.factories import LearnerFactory  # noqa: PLC0415 -- Django is not ready when this file is imported

    return LearnerFactory()


@pytest.fixture
def learner_client(learner: Any, client: Any) -> Any:
    """Sign in as the learner."""
    client.force_login(learner.user)
    return client


@pytest.fixture
def staff_client(db: None) -> Callable[..., Any]:
    """Sign in as a user with these permissions: ``staff_client("view_usercredential")``."""
    from tests.support.learner_factories import signed_in, somebody  # noqa: PLC0415

    return lambda *permissions, **options: signed_in(somebody(*permissions), **options)
