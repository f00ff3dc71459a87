"""``badges_retire`` as an operator uses it."""

from __future__ import annotations

import datetime as dt
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from badges import api, delivery, retirement, tasks
from badges.common.retirement import RetiringPerson
from badges.models import InboxMessage, Learner, OutboxMessage
from tests.factories import (
    InboxMessageFactory,
    LearnerFactory,
    OutboxMessageFactory,
    UserCredentialFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def badges_retire(*arguments: object) -> str:
    out = StringIO()
    call_command("badges_retire", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_people_are_retired_by_id_name_and_uuid_and_the_output_names_nobody() -> None:
    first, second, third, fourth = (LearnerFactory() for _ in range(4))
    InboxMessageFactory(lms_user_id=first.lms_user_id)

    output = badges_retire(first.lms_user_id, second.user.username, third.uuid)

    assert "Person 1 of 3: lms_badges: 1 events" in output
    assert "Person 2 of 3: a learner or an account, and nothing else" in output
    assert str(first.lms_user_id) not in output.replace("Person 1", "")
    assert second.user.username not in output
    assert list(Learner.objects.exclude(lms_user_id=None)) == [fourth]


def test_what_operators_wrote_about_messages_of_the_person_goes_with_the_person() -> None:
    credential, other = UserCredentialFactory(), UserCredentialFactory()
    keys = [str(credential.learner.pk), str(credential.learner_template_id), str(other.learner.pk)]
    rows = OutboxMessage.objects.filter(pk__in=[OutboxMessageFactory(key=key).pk for key in keys for _ in range(2)])
    delivery.give_up(rows, reason="Calamity Jane has asked for that.")
    delivery.close(rows.filter(pk__in=rows.values_list("pk", flat=True)[::2]), reason="Jane has left.")

    badges_retire(credential.learner.uuid)

    about = [
        (row.key, row.closing_reason)
        for row in OutboxMessage.objects.all()
        if "Jane" in row.last_error + row.closing_reason
    ]
    assert sorted(about) == [(keys[2], ""), (keys[2], "Jane has left.")]


def test_a_plan_says_what_would_go_and_changes_nothing() -> None:
    learner = LearnerFactory()
    InboxMessageFactory(lms_user_id=learner.lms_user_id)

    output = badges_retire(learner.uuid, "--plan")

    assert "1 events" in output
    assert "Nothing was changed." in output
    assert InboxMessage.objects.filter(lms_user_id=learner.lms_user_id).exists()


def test_a_person_whose_lms_user_id_is_unknown_is_pointed_out() -> None:
    assert "can bring them back" in badges_retire("houba")


def test_the_hosts_retired_accounts_are_swept_when_the_setting_says_how_they_begin(settings: Any) -> None:
    gone = LearnerFactory(user=UserFactory(username="retired_user__5f"))
    stays, looks_alike = LearnerFactory(), LearnerFactory(user=UserFactory(username="retired-user--7a"))
    tasks.retire_swept()
    assert Learner.objects.filter(lms_user_id=gone.lms_user_id).exists(), "off by default"
    settings.LMS_BADGES_CONFIG = {"retirement": {"username_prefix": "retired_user__"}}

    assert badges_retire("--swept") == "Learners retired: 1.\n"

    kept = set(Learner.objects.exclude(lms_user_id=None).values_list("pk", flat=True))
    assert kept == {stays.pk, looks_alike.pk}


def test_a_learner_who_cannot_be_retired_does_not_keep_the_sweep_from_the_others(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.LMS_BADGES_CONFIG = {"retirement": {"username_prefix": "retired_user__"}}
    stuck, *_others = (LearnerFactory(user=UserFactory(username=f"retired_user__{n}")) for n in range(3))

    def fail(person: RetiringPerson, *, now: dt.datetime) -> dict[str, int]:
        if person.learner_id == stuck.pk:
            raise ValueError(stuck.user.username)
        return {}

    monkeypatch.setattr(retirement, "retirement_hooks", lambda: {"host": fail})

    assert api.retire_swept(limit=1) == api.SweepResult(retired=1, failed=1)
    with pytest.raises(CommandError, match="1 learners could not be retired"):
        badges_retire("--swept")
    with pytest.raises(tasks.NotAllRetiredError, match="1 learners could not be retired"):
        tasks.retire_swept()

    assert list(Learner.objects.exclude(lms_user_id=None)) == [stuck]
    assert f"Learner row {stuck.pk} could not be retired: ValueError" in caplog.text
    assert "retired_user" not in caplog.text


@pytest.mark.parametrize("arguments", [(), ("41", "--swept"), ("--swept", "--plan")])
def test_people_and_the_sweep_are_not_mixed(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="Name people"):
        badges_retire(*arguments)
