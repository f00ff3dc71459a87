"""Retiring learners on their admin page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from badges.models import InboxMessage, Learner
from tests.factories import InboxMessageFactory, LearnerFactory

LIST = "/admin/lms_badges/learner/"
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


@pytest.fixture
def learner() -> Learner:
    found = LearnerFactory()
    InboxMessageFactory(lms_user_id=found.lms_user_id)
    return found


def retire(client: Any, learner: Learner, **more: str) -> Any:
    return client.post(LIST, {"action": "retire", "_selected_action": [learner.pk], **more})


def test_it_asks_first_with_what_would_go(client: Any, staff: Callable[..., Any], learner: Learner) -> None:
    client.force_login(staff("view_learner", "retire_learner"))

    page = retire(client, learner)

    assert page.status_code == 200
    assert "<td>events</td><td>1</td>" in page.content.decode()
    assert InboxMessage.objects.filter(lms_user_id=learner.lms_user_id).exists()


def test_it_retires_after_the_confirmation_and_the_log_names_nobody(
    client: Any, staff: Callable[..., Any], learner: Learner
) -> None:
    client.force_login(staff("view_learner", "retire_learner"))

    page = retire(client, learner, confirmed="Retire")

    assert page.status_code == 302
    assert Learner.objects.values_list("lms_user_id", "user").get(pk=learner.pk) == (None, None)
    logged = LogEntry.objects.get()
    assert logged.object_repr == str(learner.uuid)
    assert learner.user.username not in logged.change_message


def test_it_needs_its_permission(client: Any, staff: Callable[..., Any], learner: Learner) -> None:
    client.force_login(staff("view_learner"))

    retire(client, learner, confirmed="Retire")

    assert Learner.objects.get(pk=learner.pk).lms_user_id == learner.lms_user_id
