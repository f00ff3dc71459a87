"""Documents: made once, whatever fails around them; what fails is told apart."""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage, storages

from credentials_config.issuing import document_queue, documents, generation, lifecycle
from credentials_config.models import Credential, CredentialAsset, CredentialRun, CredentialStatus, RunOutcome
from credentials_config.testing.lms import LmsStandIn
from tests.credentials_config.issuing.stories import (
    DAY,
    HOUR,
    NOW,
    algebra,
    assert_one_each,
    deliver,
    diploma,
    document_of,
    files_in,
    issue,
    make,
    run,
    waiting,
)
from tests.credentials_config.issuing.text_generator import Typewriter

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

MINUTE = dt.timedelta(minutes=1)


def issuing(settings: Any, **rules: Any) -> None:
    given = settings.CREDENTIALS_CONFIG
    settings.CREDENTIALS_CONFIG = {**given, "issuing": {**given.get("issuing", {}), **rules}}


def statuses() -> dict[str, str]:
    return dict(Credential.objects.values_list("learner_name", "status"))


# One learner's document


@pytest.mark.parametrize("trouble", ["jams_on", "crashes_on"])
def test_one_document_that_fails_leaves_the_others_going_and_keeps_its_error(lms: LmsStandIn, trouble: str) -> None:
    algebra(lms, finished=3, unfinished=0)
    done = issue(diploma(options={"typewriter": {trouble: "Learner Number 2"}}))
    assert statuses() == {
        "Learner Number 1": "available",
        "Learner Number 2": "error",
        "Learner Number 3": "available",
    }
    failed = Credential.objects.get(status=CredentialStatus.ERROR)
    assert {"jams_on": "The paper jammed; straighten it", "crashes_on": "ZeroDivisionError"}[trouble] in failed.error
    assert "Learner" not in failed.error, "what an unforeseen error says may be about a person"
    assert (done.outcome, done.issued, done.failed) == (RunOutcome.DONE, 2, 1)


def test_a_document_that_fails_backs_off_and_stops_after_some_tries_until_someone_retries(
    lms: LmsStandIn, settings: Any
) -> None:
    issuing(settings, max_attempts=3)
    algebra(lms, finished=1, unfinished=0)
    configuration = diploma(options={"typewriter": {"jams_on": "Learner Number 1"}})
    done = issue(configuration)
    pauses, now = [], NOW
    while (credential := Credential.objects.get()).due_at is not None:
        pauses.append(credential.due_at - now)
        assert not document_queue.anything_due(now=credential.due_at - dt.timedelta(seconds=1))
        now = credential.due_at
        make(now=now)
    assert credential.attempts == 3
    assert [MINUTE / 2 <= pauses[0] <= MINUTE, MINUTE <= pauses[1] <= 2 * MINUTE, len(pauses)] == [True, True, 2]
    assert make(now=now + 30 * DAY).seen == 0
    configuration.options = {}
    configuration.save()
    assert lifecycle.retry(Credential.objects.all(), now=now + 30 * DAY) == 1
    make(now=now + 30 * DAY)
    assert_one_each(learners=1)
    done.refresh_from_db()
    assert (done.issued, done.failed) == (1, 0)


# All documents of a configuration


def test_a_template_that_breaks_while_documents_are_made_rests_the_configuration_and_costs_no_tries(
    lms: LmsStandIn,
) -> None:
    algebra(lms, finished=3, unfinished=0)
    configuration = diploma()
    run(configuration)
    configuration.options = {"typewriter": {"broken": True}}
    configuration.save()
    assert make().held == 3
    configuration.refresh_from_db()
    assert configuration.problem == "typewriter.broken: it is; mend it"
    assert set(statuses().values()) == {"generating"}, "not one error for each learner"
    assert set(Credential.objects.values_list("attempts", "error")) == {(0, "")}
    assert make(now=NOW + MINUTE).seen == 0, "it rests"
    configuration.options = {}
    configuration.save()
    assert make(now=NOW + HOUR).made == 3
    configuration.refresh_from_db()
    assert (configuration.problem, configuration.problem_until) == ("", None)


def test_another_configuration_is_not_disturbed(lms: LmsStandIn) -> None:
    algebra(lms, finished=2, unfinished=0)
    broken, fine = diploma(), diploma()
    run(broken)
    run(fine)
    broken.options = {"typewriter": {"ribbon": "red"}}
    broken.save()
    result = make()
    assert (result.made, result.held) == (2, 2)
    broken.refresh_from_db()
    assert "no asset 'red'" in broken.problem
    assert set(fine.credentials.values_list("status", flat=True)) == {"available"}


def test_whoever_mended_it_need_not_wait(lms: LmsStandIn) -> None:
    algebra(lms, finished=2, unfinished=0)
    configuration = diploma()
    run(configuration)
    configuration.options = {"typewriter": {"ribbon": "red"}}
    configuration.save()
    make()
    CredentialAsset.objects.upload("red", b"crimson", name="red.txt")
    configuration.refresh_from_db()
    lifecycle.retry_configuration(configuration, now=NOW)
    assert make().made == 2


# The press


def test_templates_are_read_once_for_all_documents_and_again_when_an_asset_has_a_new_version(
    lms: LmsStandIn, typewriter: Typewriter, settings: Any
) -> None:
    issuing(settings, batch=2)
    CredentialAsset.objects.upload("red", b"crimson", name="red.txt")
    algebra(lms, finished=5, unfinished=0)
    configuration = diploma(options={"typewriter": {"ribbon": "red"}})
    issue(configuration)
    assert typewriter.begun == 1
    CredentialAsset.objects.upload("red", b"scarlet", name="red.txt")
    credential = Credential.objects.first()
    assert credential is not None
    lifecycle.reissue([credential], now=NOW)
    make()
    assert typewriter.begun == 2
    assert document_of(credential).endswith("scarlet")
    assert credential.made_from == {"generator": "typewriter 1", "assets": {"red": 2}}


def test_each_credential_knows_what_it_was_made_from(lms: LmsStandIn) -> None:
    CredentialAsset.objects.upload("red", b"crimson", name="red.txt")
    algebra(lms, finished=1, unfinished=0)
    issue(diploma(options={"typewriter": {"ribbon": "red"}}))
    assert Credential.objects.get().made_from["assets"] == {"red": 1}


# The storage


class Killed(BaseException):
    """Nobody expects this; what comes after it is as if it had never run."""


class Basement(FileSystemStorage):
    """A storage that is flooded from time to time, and where workers have been murdered."""

    flooded = kills = False

    def _save(self, name: str, content: Any) -> str:
        if Basement.kills:
            raise Killed
        if Basement.flooded:
            raise OSError("wet")
        return super()._save(name, content)


@pytest.fixture
def basement(settings: Any, folder: Path) -> Any:
    here = {
        "BACKEND": "tests.credentials_config.issuing.test_generation.Basement",
        "OPTIONS": {"location": str(folder)},
    }
    settings.STORAGES = {**settings.STORAGES, "basement": here}
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "documents": {"storage": "basement"}}
    yield Basement
    Basement.flooded = Basement.kills = False


def test_a_storage_that_is_down_rests_the_configuration_and_all_is_made_when_it_is_back(
    lms: LmsStandIn, basement: Any, folder: Path
) -> None:
    algebra(lms, finished=4, unfinished=0)
    configuration = diploma()
    run(configuration)
    basement.flooded = True
    for minutes in range(0, 30, 5):
        make(now=NOW + minutes * MINUTE)
    configuration.refresh_from_db()
    assert "The storage 'basement' does not take documents" in configuration.problem
    assert not Credential.objects.filter(status=CredentialStatus.AVAILABLE).exists()
    assert waiting("credential-mail") == []
    basement.flooded = False
    for hours in range(1, 5):
        make(now=NOW + hours * HOUR)
    assert set(statuses().values()) == {"available"}
    assert len(files_in(folder)) == 4
    configuration.refresh_from_db()
    assert configuration.problem == ""


def test_a_storage_that_was_down_for_a_while_has_cost_most_documents_no_try(lms: LmsStandIn, basement: Any) -> None:
    algebra(lms, finished=4, unfinished=0)
    run(diploma())
    basement.flooded = True
    make()
    assert sorted(Credential.objects.values_list("attempts", flat=True)) == [0, 0, 0, 1]


def test_files_are_named_after_nothing_that_tells_anything(lms: LmsStandIn) -> None:
    algebra(lms, finished=1, unfinished=0)
    issue(diploma())
    credential = Credential.objects.get()
    expected = documents.file_name(credential.pk, 1, "txt", 1)
    assert credential.document == expected
    for told in (str(credential.pk), credential.pk.hex, credential.verification_code, "done-1", "Learner"):
        assert told.lower() not in expected.lower()


def leave_half(folder: Path, row: Credential) -> None:
    """Do what a worker does that is killed while it stores a document."""
    half = folder / documents.file_name(row.pk, row.document_number + 1, "txt", row.claims)
    half.parent.mkdir(parents=True)
    half.write_text("Learner Num")


def test_files_that_killed_workers_left_are_not_taken_for_the_document_and_go(lms: LmsStandIn, folder: Path) -> None:
    algebra(lms, finished=1, unfinished=0)
    run(diploma())
    for hours in range(3):
        leave_half(folder, *document_queue.claim(10, now=NOW + hours * HOUR))
    assert make(now=NOW + 3 * HOUR).made == 1
    credential = Credential.objects.get()
    assert len(files_in(folder)) == 4
    deliver()
    assert files_in(folder) == [credential.document]
    assert document_of(credential).startswith("Learner Number 1\n")


@pytest.mark.parametrize("late", ["stores it", "is killed while it stores it"])
def test_a_slow_worker_neither_overwrites_nor_removes_what_its_successor_stored(
    lms: LmsStandIn, basement: Any, folder: Path, late: str
) -> None:
    algebra(lms, finished=1, unfinished=0)
    run(diploma())
    leave_half(folder, *document_queue.claim(10, now=NOW))
    slow = generation.DocumentBatch(document_queue.claim(10, now=NOW + HOUR), NOW + HOUR, lambda: False)
    assert make(now=NOW + 2 * HOUR).made == 1
    if late == "stores it":
        assert slow.make().lost == 1
    else:
        basement.kills = True
        with pytest.raises(Killed):
            slow.make()
    deliver()
    credential = Credential.objects.get()
    assert files_in(folder) == [credential.document]
    assert document_of(credential).startswith("Learner Number 1\n")


# Leases


def test_claimed_rows_are_taken_up_when_the_lease_ends_and_not_before(lms: LmsStandIn) -> None:
    algebra(lms, finished=3, unfinished=0)
    run(diploma())
    assert len(document_queue.claim(2, now=NOW)) == 2
    assert make(now=NOW).made == 1
    assert make(now=NOW + 4 * MINUTE).seen == 0
    assert make(now=NOW + 5 * MINUTE).made == 2
    assert_one_each(learners=3)
    assert len(waiting("credential-mail")) == 3


def test_a_row_that_kills_its_workers_is_given_up_and_takes_no_other_with_it(lms: LmsStandIn, settings: Any) -> None:
    issuing(settings, max_attempts=3)
    algebra(lms, finished=4, unfinished=0)
    run(diploma())
    killer = Credential.objects.get(learner_name="Learner Number 2").pk
    kills = 0
    for hours in range(20):
        rows = document_queue.claim(10, now=NOW + hours * HOUR)
        if killer in {row.pk for row in rows} and rows[0].attempts <= 3:
            kills += 1  # the worker is gone, and with it whatever it held
        elif rows:
            generation.DocumentBatch(rows, NOW + hours * HOUR, lambda: False).make()
    assert kills == 3
    assert Counter(statuses().values()) == {"available": 3, "error": 1}
    given_up = Credential.objects.get(pk=killer)
    assert given_up.error.startswith("Its worker was killed")
    assert given_up.due_at is None


def test_a_worker_that_was_presumed_dead_and_is_not_changes_nothing_and_leaves_no_file(
    lms: LmsStandIn, folder: Path
) -> None:
    algebra(lms, finished=2, unfinished=0)
    run(diploma())
    slow = document_queue.claim(10, now=NOW)
    batch = generation.DocumentBatch(slow, NOW, lambda: False)
    assert make(now=NOW + HOUR).made == 2
    assert batch.make().lost == 2
    assert_one_each(learners=2)
    assert len(waiting("credential-mail")) == 2
    assert len(files_in(folder)) == 2


def test_a_credential_that_is_taken_back_while_it_is_made_stays_taken_back_and_leaves_no_file(
    lms: LmsStandIn, folder: Path
) -> None:
    algebra(lms, finished=1, unfinished=0)
    run(diploma())
    batch = generation.DocumentBatch(document_queue.claim(10, now=NOW), NOW, lambda: False)
    lifecycle.invalidate(Credential.objects.all(), public_reason="It was a rehearsal.", now=NOW)
    assert batch.make().lost == 1
    assert statuses() == {"Learner Number 1": "invalidated"}
    assert files_in(folder) == []
    assert waiting("credential-mail") == []


def test_a_worker_that_is_asked_to_stop_gives_back_what_it_has_not_begun(lms: LmsStandIn) -> None:
    algebra(lms, finished=5, unfinished=0)
    run(diploma())
    answers = iter([False, False, False, True, True, True])
    result = make(should_stop=lambda: next(answers))
    assert result.made == 2
    rest = Credential.objects.filter(status=CredentialStatus.GENERATING)
    assert set(rest.values_list("claim", "attempts")) == {(None, 0)}
    assert make().made == 3


# Cost


def test_a_document_costs_less_than_three_statements_when_many_are_made(
    lms: LmsStandIn, django_assert_max_num_queries: Any
) -> None:
    algebra(lms, finished=100, unfinished=0)
    run(diploma())
    with django_assert_max_num_queries(60):
        assert make().made == 100


def test_documents_are_as_good_when_the_storage_forgets_its_folder(lms: LmsStandIn, folder: Path) -> None:
    algebra(lms, finished=1, unfinished=0)
    configuration = diploma()
    issue(configuration)
    shutil.rmtree(folder)
    lifecycle.reissue(Credential.objects.all(), now=NOW)
    make()
    assert storages["default"].exists(Credential.objects.get().document)


def test_a_count_that_is_wrong_keeps_no_document_from_being_made(lms: LmsStandIn) -> None:
    """A run that is taken over counts anew while others fail and recover, so its counts may miss one."""
    algebra(lms, finished=2, unfinished=0)
    configuration = diploma(options={"typewriter": {"jams_on": "Learner Number 1"}})
    done = issue(configuration)
    CredentialRun.objects.filter(pk=done.pk).update(failed=0)
    configuration.options = {}
    configuration.save()
    assert make(now=NOW + HOUR).made == 1
    done.refresh_from_db()
    assert (done.issued, done.failed) == (2, 0)
