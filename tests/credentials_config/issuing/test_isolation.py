"""A change of one credential, run or configuration changes no other."""

from __future__ import annotations

from typing import Any

import pytest

from badges import api as badges
from credentials_config.issuing import lifecycle, run_queue, runs
from credentials_config.models import Credential, CredentialConfiguration, CredentialStatus, RunCause
from credentials_config.testing.lms import LmsStandIn
from tests.support.certificates import DAY, HOUR, NOW, add_algebra, configure_certificate, issue, make, run

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

LATER = NOW + DAY


def names() -> dict[int, str]:
    """Return the name on the document, by LMS user id."""
    return dict(Credential.objects.values_list("learner__lms_user_id", "learner_name"))


def test_a_reissue_of_one_has_no_other_made(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=3, unfinished=0)
    issue(configure_certificate())
    assert lifecycle.reissue(Credential.objects.filter(learner__lms_user_id=1002), now=LATER) == 1
    assert make(now=LATER).made == 1
    assert dict(Credential.objects.values_list("learner__lms_user_id", "document_number")) == {
        1001: 1,
        1002: 2,
        1003: 1,
    }


def test_of_several_that_are_reissued_each_has_its_own_learners_name(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=3, unfinished=0)
    issue(configure_certificate())
    lms.change_learner("done-1", name="Zorglub")
    lms.change_learner("done-2", name="Champignac")
    lifecycle.reissue(Credential.objects.filter(learner__lms_user_id__in=[1001, 1002]), now=LATER)
    make(now=LATER)
    assert names() == {1001: "Zorglub", 1002: "Champignac", 1003: "Learner Number 3"}


def test_a_learner_who_was_retired_keeps_no_other_from_a_reissue(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    issue(configure_certificate())
    badges.retire(1001, now=LATER)
    assert lifecycle.reissue(Credential.objects.filter(learner__lms_user_id=1002), now=LATER) == 1


def test_a_run_that_is_taken_over_counts_whom_it_found_and_of_those_who_failed(lms: LmsStandIn, settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "issuing": {"chunk": 2}}
    add_algebra(lms, finished=3, unfinished=1)
    issue(configure_certificate())
    Credential.objects.update(status=CredentialStatus.ERROR)
    begun = run_queue.claim(run=run_queue.request(configure_certificate(), cause=RunCause.PERSON, now=NOW), now=NOW)
    assert begun is not None
    runs.carry_out(begun, now=NOW, on_progress=lambda run: 1 // 0)  # after the first chunk
    Credential.objects.filter(run=begun, learner__lms_user_id=1001).update(status=CredentialStatus.ERROR)
    taken_over = run_queue.claim(now=LATER)
    assert taken_over is not None
    done = runs.carry_out(taken_over, now=LATER)
    assert (done.pk, done.checked, done.eligible, done.failed) == (begun.pk, 4, 3, 1)


def test_a_run_that_was_released_counts_nobody_twice(lms: LmsStandIn, settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "issuing": {"chunk": 2}}
    add_algebra(lms, finished=3, unfinished=1)
    begun = run_queue.claim(run=run_queue.request(configure_certificate(), cause=RunCause.PERSON, now=NOW), now=NOW)
    assert begun is not None
    assert runs.carry_out(begun, now=NOW, should_stop=lambda: True).checked == 2
    again = run_queue.claim(now=NOW)
    assert again is not None
    done = runs.carry_out(again, now=NOW)
    assert (done.checked, done.eligible) == (4, 3)


def test_what_is_asked_for_in_spite_of_the_date_checks_is_one_run(lms: LmsStandIn) -> None:
    add_algebra(lms)
    dates: dict[str, Any] = {"availability": "on_date", "available_on": NOW + 90 * DAY}
    one, other = configure_certificate(**dates), configure_certificate(**dates)
    waits = run_queue.request(other, cause=RunCause.SCHEDULE, now=NOW)
    run_queue.request(one, cause=RunCause.SCHEDULE, now=NOW)
    run_queue.request(one, cause=RunCause.PERSON, ignore_dates=True, now=NOW)
    waits.refresh_from_db()
    assert not waits.ignore_dates


def test_a_course_that_opens_again_opens_no_other_configuration(lms: LmsStandIn) -> None:
    add_algebra(lms, end=NOW - 2 * DAY)
    one, other = configure_certificate(), configure_certificate()
    run(one)
    run(other)
    lms.change_course(one.context_key, end=None)
    assert run(one, now=LATER).cause == RunCause.SCHEDULE
    closed = CredentialConfiguration.objects.filter(closed_at__isnull=False)
    assert list(closed) == [other]


def test_a_person_who_asked_for_what_was_the_last_run_is_still_its_cause(lms: LmsStandIn) -> None:
    add_algebra(lms, end=NOW - 2 * DAY)
    configuration = configure_certificate()
    done = run(configuration, cause=RunCause.PERSON)
    assert (done.cause, configuration.closed_at) == (RunCause.PERSON, NOW)


def test_an_lms_that_says_when_is_not_asked_before(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate()
    lms.throttle(retry_after=7200)
    assert run(configuration).outcome == ""
    assert run_queue.claim(now=NOW + 2 * HOUR - HOUR / 60) is None
    # The common backoff adds up to a tenth, so that many workers do not come back at one moment.
    assert run_queue.claim(now=NOW + 2 * HOUR * 1.1) is not None
