""" "Generate now" and "Dry run", with an LMS that answers and with one that does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from badges import api as badges
from credentials_config.issuing import run_queue, runs
from credentials_config.models import Credential, CredentialConfiguration, CredentialRun
from tests.credentials_config.admin.pages import button, page_of
from tests.credentials_config.factories import CredentialFactory
from tests.factories import NOON
from tests.support.certificates import configure_certificate

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(staff: Callable[..., Any]) -> Any:
    return staff("change_credentialconfiguration", "generate_credentialconfiguration", "view_credentialrun")


def click(client: Any, configuration: Any, name: str, **sent: Any) -> str:
    return client.post(button(configuration, name), sent, follow=True).content.decode()


def carried_out() -> CredentialRun:
    claimed = run_queue.claim()
    assert claimed is not None
    return runs.carry_out(claimed)


def test_generate_now_asks_for_a_run_and_says_who_did(operator: Any, course: Any) -> None:
    configuration = configure_certificate()
    assert "Asked for a run." in click(operator, configuration, "generate")
    asked = CredentialRun.objects.get()
    assert (asked.cause, asked.ignore_dates) == ("person", False)
    assert asked.person is not None
    assert LogEntry.objects.get().get_change_message() == "Asked for a run."
    done = carried_out()
    assert (done.outcome, done.eligible, Credential.objects.count()) == ("done", 3, 3)
    assert "3" in operator.get(page_of(configuration)).content.decode()


def test_pressing_twice_asks_for_one_run(operator: Any, course: Any) -> None:
    configuration = configure_certificate()
    click(operator, configuration, "generate")
    click(operator, configuration, "generate")
    assert CredentialRun.objects.count() == 1


def test_date_checks_apply_to_generate_now_unless_dates_are_ignored(operator: Any, course: Any) -> None:
    configuration = configure_certificate(availability="on_date", available_on=NOON.replace(year=2099))
    click(operator, configuration, "generate")
    skipped = carried_out()
    assert (skipped.outcome, Credential.objects.count()) == ("skipped", 0)
    assert "available from 2099-03-14" in operator.get(page_of(configuration)).content.decode()
    assert "in spite of the date checks" in click(operator, configuration, "generate", ignore_dates="on")
    assert (carried_out().outcome, Credential.objects.count()) == ("done", 3)


def test_a_dry_run_says_who_would_get_it_and_who_not_and_why(operator: Any, course: Any) -> None:
    configuration = configure_certificate()
    holder = badges.get_or_create_learners(
        [badges.LearnerData(lms_user_id=1001, is_active=True, username="done-1", email="", name="")]
    )[1001]
    CredentialFactory(configuration=configuration, learner=holder)
    page = click(operator, configuration, "dry_run")
    assert page.count("would get it</td>") == 2
    assert page.count("would not get it</td>") == 2
    assert "has one already (available)" in page
    assert "Completed 50 % of the required 90 %." in page
    assert "<strong>2</strong> learners would get it now." in page
    assert "A schedule that fires now looks for eligible learners." in page
    assert (Credential.objects.count(), CredentialRun.objects.count()) == (1, 0)


def test_a_dry_run_says_what_the_date_checks_say(operator: Any, course: Any) -> None:
    configuration = configure_certificate(availability="on_date", available_on=NOON.replace(year=2099))
    assert "A schedule that fires now gives nothing: Credentials are available from 2099" in click(
        operator, configuration, "dry_run"
    )


@pytest.mark.parametrize("who", ["half-1", "1004"])
def test_a_dry_run_can_ask_about_one_learner(operator: Any, course: Any, who: str) -> None:
    page = click(operator, configure_certificate(), "dry_run", who=f" {who} ")
    assert "half-1" in page
    assert "half-2" not in page
    assert "<strong>0</strong> learners would get it now." in page


@pytest.mark.parametrize("who", ["nobody", "999999", "9" * 30, "9" * 5000, "<b>", "\0"])
def test_a_dry_run_says_whom_the_lms_does_not_know(operator: Any, course: Any, who: str) -> None:
    page = click(operator, configure_certificate(), "dry_run", who=who)
    assert "The LMS does not know" in page
    assert "<b>”" not in page


def test_a_long_dry_run_shows_the_first_and_names_the_command(operator: Any, course: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("credentials_config.admin.dry_runs.MOST", 3)
    configuration = configure_certificate()
    page = click(operator, configuration, "dry_run")
    assert page.count("would get it</td>") + page.count("would not get it</td>") == 3
    assert f"manage.py credentials_generate --configuration {configuration.pk} --dry-run" in page


def test_a_dry_run_without_an_answer_says_so_on_the_configurations_page(operator: Any, course: Any) -> None:
    configuration = configure_certificate()
    course.break_down()
    page = click(operator, configuration, "dry_run")
    assert "errornote" in page or 'class="error"' in page
    unusable = configure_certificate(credential_type__processor="marsupial")
    course.recover()
    assert "No processor &#x27;marsupial&#x27; is installed" in click(operator, unusable, "dry_run")


def test_retrying_failed_credentials_clears_the_problem(operator: Any, course: Any) -> None:
    configuration = configure_certificate(problem="The font is missing.")
    failed = CredentialFactory(
        configuration=configuration, status="error", error="It did not fit.", document="", document_number=0, attempts=8
    )
    assert "1 failed credential is tried again." in click(operator, configuration, "retry")
    failed.refresh_from_db()
    assert (failed.attempts, failed.due_at is not None) == (0, True)
    assert CredentialConfiguration.objects.get().problem == ""
