"""Retiring learners on their admin page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from badges import api
from badges.models import InboxMessage, Learner
from tests.factories import InboxMessageFactory, LearnerFactory
from tests.support.learner_factories import signed_in

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


# One person with two learners


def test_staff_find_the_learner_whose_account_another_one_has_and_give_it_the_account(staff: Any) -> None:
    by_name, by_id = LearnerFactory(lms_user_id=None), LearnerFactory(lms_user_id=41, user=None)
    LearnerFactory(lms_user_id=52)
    Learner.objects.filter(pk=by_id.pk).update(account_learner=by_name)
    client = signed_in(staff("view_learner", "join_learner", username="fantasio"))

    found = client.get(f"{LIST}?account=due").context["cl"].queryset
    assert list(found) == [by_id]
    page = client.get(f"{LIST}{by_id.pk}/change/").content.decode()
    assert f"{LIST}{by_name.pk}/change/" in page
    address = f"{LIST}{by_id.pk}/join/"
    assert address in page
    assert "both are the same person" in client.get(address).content.decode()

    done = client.post(address, follow=True).content.decode()

    assert "The learner has the account now." in done
    by_id.refresh_from_db()
    assert by_id.user == by_name.user
    assert LogEntry.objects.get().object_repr == str(by_id.uuid)
    assert list(client.get(f"{LIST}?account=due").context["cl"].queryset) == []
    assert list(client.get(f"{LIST}?account=given").context["cl"].queryset) == [by_name]
    assert "/join/" not in client.get(f"{LIST}{by_name.pk}/change/").content.decode()
    assert client.post(address).status_code == 404


def test_who_may_only_view_learners_gives_no_account(staff: Any) -> None:
    by_name, by_id = LearnerFactory(lms_user_id=None), LearnerFactory(lms_user_id=41, user=None)
    Learner.objects.filter(pk=by_id.pk).update(account_learner=by_name)
    client = signed_in(staff("view_learner", username="fantasio"))
    assert "/join/" not in client.get(f"{LIST}{by_id.pk}/change/").content.decode()
    assert client.post(f"{LIST}{by_id.pk}/join/").status_code == 403
    by_id.refresh_from_db()
    assert by_id.user is None


# XP and streaks


def test_the_page_of_a_learner_shows_xp_and_streaks_to_who_may_view_them(staff: Any) -> None:
    learner, other = LearnerFactory(), LearnerFactory()
    api.record_activity(learner, api.ActivityData("quiz", "activities/quiz", "q-1", timezone.now(), score=37))
    client = signed_in(staff("view_learner", "view_learnerengagement", username="fantasio"))

    page = client.get(f"{LIST}{learner.pk}/change/").content.decode()
    assert "37 XP; current streak 1, longest streak 1 (days in a row); activities: quiz: 1" in page
    assert client.get(f"{LIST}{other.pk}/change/").status_code == 200

    nosy = signed_in(staff("view_learner", username="zantafio"))
    assert "37 XP" not in nosy.get(f"{LIST}{learner.pk}/change/").content.decode()
