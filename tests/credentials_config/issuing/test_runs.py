"""Runs: who is found, whom the LMS is asked about, and what dates and failures do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from badges import api as badges
from badges.api import RunState
from credentials_config.generators.pdf import extra
from credentials_config.issuing import generation, lifecycle, maintenance, periodic, run_queue, runs
from credentials_config.models import (
    Credential,
    CredentialConfiguration,
    CredentialRun,
    CredentialStatus,
    RunCause,
)
from credentials_config.testing.lms import LmsStandIn
from tests.factories import ALGEBRA
from tests.support.certificates import (
    DAY,
    HOUR,
    NOW,
    START,
    add_algebra,
    assert_one_each,
    configure_certificate,
    document_of,
    issue,
    make,
    run,
)

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

LATER = NOW + dt.timedelta(hours=12)


def test_who_finished_gets_one_credential_with_its_document_and_who_did_not_gets_none(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=5, unfinished=4)
    done = issue(configure_certificate())
    assert (done.outcome, done.checked, done.eligible, done.issued, done.failed) == (RunState.DONE, 9, 5, 5, 0)
    assert_one_each(learners=5)


def test_a_document_says_the_learners_name_the_course_the_day_and_where_to_verify(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    (credential,) = Credential.objects.all()
    name, course, day, url, code, language, _asset_text = document_of(credential).splitlines()
    assert (name, course, day, language) == ("Learner Number 1", "Algebra for squirrels", "March 14, 2026", "")
    assert code == credential.verification_code
    assert url == f"https://credentials.test/credentials/verify/{code}"


def test_the_date_is_written_in_the_learners_language(lms: LmsStandIn) -> None:
    lms.add_course(ALGEBRA, start=START)
    lms.add_learner("spirou", language="fr")
    lms.enroll(ALGEBRA, "spirou")
    lms.complete(ALGEBRA, "spirou", 1.0)
    issue(configure_certificate())
    assert "14 mars 2026" in document_of(Credential.objects.get())


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("", "spirou"),  # a missing profile name
        (" \t\u200a", "spirou"),
        ("\u3164 \ufeff\u200e", "spirou"),
        ("  Fantasio\n the \u0000 Great ", "Fantasio the Great"),
        ("N" * 400, "N" * 255),
        ('{name} }} #include "x"', '{name} }} #include "x"'),
        ("مارسوبيلامي 🐒", "مارسوبيلامي 🐒"),
    ],
)
def test_the_name_is_the_lms_one_tidied_or_the_username_when_it_is_blank(
    lms: LmsStandIn, name: str, result: str
) -> None:
    lms.add_course(ALGEBRA, start=START)
    lms.add_learner("spirou", name=name)
    lms.enroll(ALGEBRA, "spirou")
    lms.complete(ALGEBRA, "spirou", 1.0)
    issue(configure_certificate())
    assert Credential.objects.get().learner_name == result


def test_one_learner_with_odd_figures_does_not_stop_the_others(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=3, unfinished=0)
    lms.garble_completion(ALGEBRA, "done-2", "most of it")
    done = issue(configure_certificate())
    assert (done.outcome, done.checked, done.issued) == (RunState.DONE, 3, 2)


def test_a_second_run_gives_nothing_twice_and_asks_the_lms_only_about_learners_without_one(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=6, unfinished=2)
    configuration = configure_certificate()
    issue(configuration)
    lms.complete(ALGEBRA, "half-2", 1.0)
    lms.clear_calls()
    done = issue(configuration, now=LATER)
    assert (done.checked, done.eligible, done.issued) == (8, 1, 1)
    assert_one_each(learners=7)
    assert lms.asked["completions"] == ["1007", "1008"], "those who had not finished"


@pytest.mark.parametrize("ended_by", ["a person", "time"])
def test_a_run_does_not_give_again_what_was_taken_back_or_has_expired(lms: LmsStandIn, ended_by: str) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    configuration = configure_certificate(valid_days=30)
    issue(configuration)
    if ended_by == "time":
        assert lifecycle.expire(now=NOW + 31 * DAY) == 2
    else:
        lifecycle.invalidate(Credential.objects.all(), public_reason="Somebody else sat the exam.")
    done = issue(configuration, now=NOW + 32 * DAY)
    assert (done.eligible, done.issued) == (0, 0)
    assert Credential.objects.count() == 2


def test_credentials_expire_as_the_configuration_says(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate(valid_days=30))
    credential = Credential.objects.get()
    assert credential.expires_at == NOW + 30 * DAY
    assert lifecycle.expire(now=NOW + 29 * DAY) == 0
    assert lifecycle.expire(now=NOW + 30 * DAY) == 1
    credential.refresh_from_db()
    assert (credential.status, credential.active_key) == (CredentialStatus.EXPIRED, None)


# Dates


def test_nothing_happens_before_the_start_and_the_run_says_why(lms: LmsStandIn) -> None:
    add_algebra(lms)
    lms.clear_calls()
    done = run(configure_certificate(), now=START - HOUR)
    assert done.outcome == RunState.SKIPPED
    assert done.note == "The context starts on 2026-02-01 09:00 UTC."
    assert not Credential.objects.exists()
    assert "completions" not in lms.asked


def test_somebody_may_ignore_the_dates_once(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate(availability="on_date", available_on=NOW + 90 * DAY)
    done = run(configuration, cause=RunCause.PERSON, ignore_dates=True)
    assert (done.outcome, done.eligible) == (RunState.DONE, 3)
    assert run(configuration, now=LATER).outcome == RunState.SKIPPED


def test_a_run_that_waits_takes_on_the_override_that_somebody_asks_for_meanwhile(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate()
    waits = run_queue.request(configuration, cause=RunCause.SCHEDULE, now=START - HOUR)
    claimed = run_queue.claim(run=waits, now=START - HOUR)
    assert claimed is not None
    assert run_queue.request(configuration, cause=RunCause.PERSON, ignore_dates=True).pk == waits.pk
    assert runs.carry_out(claimed, now=START - HOUR).outcome == RunState.DONE
    assert Credential.objects.count() == 3


def test_a_course_that_is_over_has_one_last_run_and_then_its_schedule_is_off(lms: LmsStandIn) -> None:
    add_algebra(lms, end=NOW - 48 * HOUR)
    configuration = configure_certificate()
    assert configuration.periodic_task.enabled
    done = issue(configuration)
    assert (done.outcome, done.cause, done.issued) == (RunState.DONE, RunCause.FINAL, 3)
    configuration.periodic_task.refresh_from_db()
    assert (configuration.closed_at, configuration.periodic_task.enabled) == (NOW, False)
    assert configuration.enabled, "what the administrator wants has not changed"
    again = run(configuration, now=LATER)
    assert (again.outcome, again.eligible) == (RunState.SKIPPED, 0)


def test_the_last_run_is_not_over_until_it_succeeds(lms: LmsStandIn) -> None:
    add_algebra(lms, end=NOW - 48 * HOUR)
    configuration = configure_certificate()
    lms.break_down()
    done = run(configuration)
    assert (done.outcome, configuration.closed_at) == ("", None)
    lms.recover()
    claimed = run_queue.claim(now=LATER)
    assert claimed is not None
    assert runs.carry_out(claimed, now=LATER).outcome == RunState.DONE
    configuration.refresh_from_db()
    assert configuration.closed_at == LATER
    assert Credential.objects.count() == 3


@pytest.mark.parametrize("new_end", [NOW + 90 * DAY, None])
def test_an_end_that_moves_opens_a_closed_course_again(lms: LmsStandIn, new_end: dt.datetime | None) -> None:
    add_algebra(lms, end=NOW - 48 * HOUR)
    configuration = configure_certificate()
    run(configuration)
    lms.change_course(ALGEBRA, end=new_end)
    assert maintenance.reopen(now=LATER) == 1
    configuration.refresh_from_db()
    assert configuration.closed_at is None
    assert configuration.periodic_task.enabled


def test_a_closed_course_stays_closed_while_its_end_stays_where_it_is(lms: LmsStandIn) -> None:
    add_algebra(lms, end=NOW - 48 * HOUR)
    run(configure_certificate())
    assert maintenance.reopen(now=LATER) == 0


def test_what_an_administrator_switched_off_stays_off_when_the_end_moves(lms: LmsStandIn) -> None:
    add_algebra(lms, end=NOW - 48 * HOUR)
    configuration = configure_certificate()
    run(configuration)
    configuration.enabled = False
    configuration.save()
    lms.change_course(ALGEBRA, end=None)
    maintenance.reopen(now=LATER)
    configuration.periodic_task.refresh_from_db()
    assert not configuration.periodic_task.enabled
    assert run(configuration, now=LATER).outcome == RunState.SKIPPED


# In the middle of a run


def interfere(lms: LmsStandIn, settings: Any, configuration: CredentialConfiguration, change: Any) -> CredentialRun:
    """Carry out a run in chunks of two; after the first, somebody changes something."""
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "issuing": {"chunk": 2}}
    claimed = run_queue.claim(run=run_queue.request(configuration, cause=RunCause.SCHEDULE, now=NOW), now=NOW)
    assert claimed is not None
    return runs.carry_out(claimed, now=NOW, on_progress=lambda run: change())


def test_a_schedule_that_is_switched_off_while_its_run_is_going_finds_nobody_more(
    lms: LmsStandIn, settings: Any
) -> None:
    add_algebra(lms, finished=6, unfinished=0, end=NOW - 48 * HOUR)
    configuration = configure_certificate()
    done = interfere(lms, settings, configuration, lambda: CredentialConfiguration.objects.update(enabled=False))
    assert (done.outcome, done.eligible) == (RunState.SKIPPED, 2)
    assert "switched off" in done.note
    configuration.refresh_from_db()
    assert configuration.closed_at is None, "its last run is still to come, when it is switched on again"
    assert run(configuration, now=LATER, cause=RunCause.PERSON).eligible == 4, "a person may ask all the same"


def test_a_person_who_asks_while_the_schedules_run_waits_gets_it_although_it_is_switched_off(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate()
    waits = run_queue.request(configuration, cause=RunCause.SCHEDULE, now=NOW)
    configuration.enabled = False
    configuration.save()
    assert run(configuration, cause=RunCause.PERSON).pk == waits.pk
    waits.refresh_from_db()
    assert (waits.outcome, waits.cause, waits.eligible) == (RunState.DONE, RunCause.PERSON, 3)


def test_a_configuration_that_is_deleted_while_its_run_is_going_ends_it_without_noise(
    lms: LmsStandIn, settings: Any
) -> None:
    add_algebra(lms, finished=0, unfinished=5)
    configuration = configure_certificate()
    interfere(lms, settings, configuration, lambda: CredentialConfiguration.objects.all().delete())
    assert not CredentialRun.objects.exists()
    assert not Credential.objects.exists()


def test_what_an_administrator_switches_off_while_the_lms_is_asked_stays_off(lms: LmsStandIn) -> None:
    add_algebra(lms, end=NOW - 48 * HOUR)
    configuration = configure_certificate()
    run(configuration)
    CredentialConfiguration.objects.update(enabled=False)  # while somebody else holds the row as it was
    periodic.reopen(configuration)
    configuration.periodic_task.refresh_from_db()
    assert (configuration.closed_at, configuration.periodic_task.enabled) == (None, False)


def test_a_learner_who_leaves_while_a_run_is_going_is_not_given_what_was_begun(lms: LmsStandIn, settings: Any) -> None:
    add_algebra(lms, finished=4, unfinished=0)
    learners = []

    def leave() -> None:
        learners.append(badges.learner_of(1001))
        badges.retire(1001, now=NOW)

    done = interfere(lms, settings, configure_certificate(), leave)
    make()
    assert done.outcome == RunState.DONE
    gone = Credential.objects.get(learner=learners[0])
    assert (gone.status, gone.learner_name, gone.document) == (CredentialStatus.INVALIDATED, "", "")
    assert Credential.objects.filter(status=CredentialStatus.AVAILABLE).count() == 3


# Failures


def test_an_lms_that_is_down_reschedules_the_run_and_the_run_is_finished_when_it_is_back(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate()
    lms.break_down()
    done = run(configuration)
    assert done.outcome == ""
    assert done.note.startswith("To be tried again.")
    assert run_queue.claim(now=NOW) is None, "not at once"
    lms.recover()
    claimed = run_queue.claim(now=NOW + HOUR)
    assert claimed is not None
    assert runs.carry_out(claimed, now=NOW + HOUR).eligible == 3


def test_a_run_gives_up_after_some_tries_and_the_next_schedule_begins_a_new_one(lms: LmsStandIn, settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "issuing": {"max_attempts": 2}}
    add_algebra(lms)
    configuration = configure_certificate()
    lms.break_down()
    run(configuration)
    claimed = run_queue.claim(now=NOW + HOUR)
    assert claimed is not None
    done = runs.carry_out(claimed, now=NOW + HOUR)
    assert done.outcome == RunState.FAILED
    assert done.note.startswith("Given up after 2 tries")
    lms.recover()
    assert run(configuration, now=LATER).outcome == RunState.DONE


def test_an_unknown_course_is_said_on_the_run_and_on_the_configuration(lms: LmsStandIn) -> None:
    configuration = configure_certificate()
    done = run(configuration)
    assert done.outcome == RunState.FAILED
    assert "does not know" in done.note
    assert configuration.problem == done.note
    add_algebra(lms)
    run(configuration, now=LATER)
    assert configuration.problem == ""


def test_a_broken_template_stops_the_run_before_anybody_is_asked_about(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate(options={"text_generator": {"broken": True}})
    done = run(configuration)
    assert (done.outcome, done.note) == (RunState.FAILED, "text_generator.broken: it is; repair it")
    assert configuration.problem == done.note
    assert not Credential.objects.exists()


def test_a_generator_that_is_not_installed_is_said_on_the_configuration(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate()
    configuration.credential_type.generator = "hologram"
    configuration.credential_type.save()
    assert "hologram" in run(configuration).note


def test_without_the_extra_for_pdfs_nothing_is_made_and_the_run_says_what_to_install(
    lms: LmsStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_algebra(lms)
    configuration = configure_certificate(options={"template": "paper"})
    configuration.credential_type.generator = "pdf"
    configuration.credential_type.save()
    monkeypatch.setattr(extra, "LIBRARIES", ("a_library_that_nobody_has",))
    done = run(configuration)
    assert (done.outcome, Credential.objects.count()) == (RunState.FAILED, 0)
    assert "pip install 'lms-badges[pdf]'" in configuration.problem


def test_without_a_public_address_nothing_is_made_and_the_run_says_what_to_set(lms: LmsStandIn, settings: Any) -> None:
    add_algebra(lms)
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "public_url": ""}
    done = run(configure_certificate())
    assert done.outcome == RunState.FAILED
    assert "CREDENTIALS_CONFIG['public_url']" in done.note


def test_learners_who_cannot_be_told_apart_get_none_and_the_others_do(lms: LmsStandIn, django_user_model: Any) -> None:
    add_algebra(lms, finished=3, unfinished=0)
    from badges.intake.models import Learner  # noqa: PLC0415

    taken = django_user_model.objects.create(username="done-2")
    Learner.objects.create(lms_user_id=999_999, user=taken)
    done = issue(configure_certificate())
    assert (done.eligible, done.issued, done.failed) == (3, 2, 1)
    assert "1 eligible learners got none" in done.note


@pytest.mark.django_db(transaction=True)  # MariaDB commits when an index is made
def test_a_host_that_takes_no_account_like_a_learners_costs_the_others_nothing(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=3, unfinished=0)
    lms.change_learner("done-2", email="done-1@example.com")
    with a_host_whose_addresses_are_unique():
        done = issue(configure_certificate())
    assert (done.outcome, done.eligible, done.issued, done.failed) == (RunState.DONE, 3, 2, 1)


@contextmanager
def a_host_whose_addresses_are_unique() -> Iterator[None]:
    """Many hosts let no two accounts have one e-mail address."""
    table = get_user_model()._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE UNIQUE INDEX e_mail_once ON {table} (email)")
    try:
        yield
    finally:
        on = f" ON {table}" if connection.vendor == "mysql" else ""
        with connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX e_mail_once{on}")


@pytest.mark.parametrize(
    ("end", "given", "remedy"),
    [
        (None, {}, "; the next run finds them."),
        (NOW - 48 * HOUR, {}, "; then generate in spite of the dates"),  # the last run of a course that is over
        (None, {"enabled": False}, "; then generate in spite of the dates"),
    ],
)
def test_who_got_none_is_told_how_they_get_one_although_the_schedule_is_over(
    lms: LmsStandIn, django_user_model: Any, end: dt.datetime | None, given: dict[str, Any], remedy: str
) -> None:
    add_algebra(lms, finished=2, unfinished=0, end=end)
    from badges.intake.models import Learner  # noqa: PLC0415

    Learner.objects.create(lms_user_id=999_999, user=django_user_model.objects.create(username="done-2"))
    configuration = configure_certificate(**given)
    done = run(configuration, cause=RunCause.PERSON)
    assert remedy in done.note
    assert done.note.startswith("1 eligible learners got none")
    Learner.objects.filter(lms_user_id=999_999).update(lms_user_id=1002)
    assert run(configuration, now=LATER, cause=RunCause.PERSON, ignore_dates=True).eligible == 1, "as the note says"


def test_a_language_that_no_database_can_hold_costs_nobody_a_credential(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=3, unfinished=0)
    lms.change_learner("done-2", language="d\ud800\0")
    done = issue(configure_certificate())
    assert (done.outcome, done.issued) == (RunState.DONE, 3)
    assert Credential.objects.get(learner__lms_user_id=1002).language == ""


def test_an_id_that_no_database_can_hold_costs_the_others_nothing(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    lms.add_learner("huge", id=2**70)
    lms.enroll(ALGEBRA, "huge")
    lms.complete(ALGEBRA, "huge", 1.0)
    done = issue(configure_certificate())
    assert (done.outcome, done.issued) == (RunState.DONE, 2)


@pytest.mark.parametrize("over", [{"valid_until": NOW}, {"valid_days": 0}])
def test_nobody_is_given_a_credential_that_is_over_from_the_start(lms: LmsStandIn, over: dict[str, Any]) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    configuration = configure_certificate(**over)
    done = run(configuration)
    assert (done.outcome, Credential.objects.count()) == (RunState.FAILED, 0)
    assert "expired" in done.note
    assert configuration.problem == done.note
    with pytest.raises(lifecycle.Refused, match="expired"):
        lifecycle.issue(configuration, lms_user_ids=[1001], now=NOW)


# Taking over


def test_runs_do_not_overlap(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate()
    first = run_queue.request(configuration, cause=RunCause.SCHEDULE, now=NOW)
    assert run_queue.request(configuration, cause=RunCause.PERSON, now=NOW).pk == first.pk
    assert run_queue.claim(run=first, now=NOW) is not None
    assert run_queue.claim(run=first, now=NOW) is None
    assert run_queue.claim(now=NOW + dt.timedelta(seconds=899)) is None


def test_a_killed_run_is_taken_over_when_its_lease_ends_and_finds_the_rest(lms: LmsStandIn, settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "issuing": {"chunk": 2}}
    add_algebra(lms, finished=5, unfinished=0)
    configuration = configure_certificate()
    claimed = run_queue.claim(run=run_queue.request(configuration, cause=RunCause.SCHEDULE, now=NOW), now=NOW)
    assert claimed is not None

    class Killed(BaseException):
        pass

    def kill(run: CredentialRun) -> None:
        raise Killed

    with pytest.raises(Killed):
        runs.carry_out(claimed, now=NOW, on_progress=kill)
    assert Credential.objects.count() == 2
    taken_over = run_queue.claim(now=NOW + HOUR)
    assert taken_over is not None
    done = runs.carry_out(taken_over, now=NOW + HOUR)
    assert (done.pk, done.outcome, done.checked, done.eligible) == (claimed.pk, RunState.DONE, 5, 5)
    make(now=NOW + HOUR)
    assert_one_each(learners=5)


def test_a_slow_worker_whose_run_was_taken_over_writes_nothing_any_more(lms: LmsStandIn, settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "issuing": {"chunk": 2}}
    add_algebra(lms, finished=5, unfinished=0)
    configuration = configure_certificate()
    slow = run_queue.claim(run=run_queue.request(configuration, cause=RunCause.SCHEDULE, now=NOW), now=NOW)
    assert slow is not None

    def another_takes_over(run: CredentialRun) -> None:
        other = run_queue.claim(now=NOW + HOUR)
        if other is not None:
            runs.carry_out(other, now=NOW + HOUR)

    runs.carry_out(slow, now=NOW, on_progress=another_takes_over)
    (done,) = CredentialRun.objects.all()
    assert (done.outcome, done.finished_at, done.eligible) == (RunState.DONE, NOW + HOUR, 5)
    assert (done.checked, done.run.due_at) == (5, None)
    assert Credential.objects.count() == 5


def test_a_run_that_is_stopped_is_released_and_loses_no_attempt(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate()
    claimed = run_queue.claim(run=run_queue.request(configuration, cause=RunCause.SCHEDULE, now=NOW), now=NOW)
    assert claimed is not None
    stopped = runs.carry_out(claimed, now=NOW, should_stop=lambda: True)
    assert (stopped.outcome, stopped.run.attempts, stopped.run.claim) == ("", 0, None)
    assert run_queue.claim(now=NOW) is not None


def test_old_runs_are_deleted_and_their_credentials_stay(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate()
    issue(configuration)
    assert maintenance.delete_old_runs(now=NOW + 366 * DAY) == 1
    assert Credential.objects.count() == 3


def test_a_run_costs_a_few_statements_for_each_chunk_however_many_learners(
    lms: LmsStandIn, django_assert_max_num_queries: Any, settings: Any
) -> None:
    settings.CREDENTIALS_CONFIG = {
        **settings.CREDENTIALS_CONFIG,
        "issuing": {"learner_languages": False},
        "lms": {**settings.CREDENTIALS_CONFIG["lms"], "page_size": 100},
    }
    add_algebra(lms, finished=150, unfinished=0)
    configuration = configure_certificate()
    with django_assert_max_num_queries(90):
        done = run(configuration)
        result = make()
    assert (done.eligible, result.made) == (150, 150)


def test_documents_of_rows_that_are_written_are_made_although_the_next_search_fails(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate()
    run(configuration)
    lms.break_down()
    run(configuration, now=NOW + HOUR)
    assert generation.make_due(now=NOW + HOUR).made == 3
    assert CredentialConfiguration.objects.get().problem == ""


def test_anything_due_says_whether_a_worker_is_needed(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate()
    assert not run_queue.anything_due()
    run_queue.request(configuration, cause=RunCause.PERSON, now=timezone.now())
    assert run_queue.anything_due()
