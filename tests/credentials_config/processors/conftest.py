"""A school to ask about, and the registry's processors to ask with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from credentials_config import lms as lms_client
from credentials_config.contracts import Eligibility, Person
from credentials_config.registry import processor
from credentials_config.testing.lms import LmsStandIn
from tests.credentials_config.lms import school


@pytest.fixture
def school_lms(lms: LmsStandIn) -> LmsStandIn:
    school.fill(lms)
    return lms


@pytest.fixture
def ask(school_lms: LmsStandIn) -> Callable[..., dict[str, Eligibility]]:
    """Ask a processor about people by their usernames, or about everyone: ``ask("completions", key, …)``."""

    def ask(slug: str, context_key: str, *usernames: str, **options: Any) -> dict[str, Eligibility]:
        people: list[Person] | None = None
        if usernames:
            people = list(lms_client.client().find(usernames=usernames))
            school_lms.clear_calls()
        answers = processor(slug).retrieve(context_key, options, people)
        return {school_lms.by_id[lms_user_id].username: answer for lms_user_id, answer in answers.items()}

    return ask
