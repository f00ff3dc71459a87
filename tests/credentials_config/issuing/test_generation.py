"""Documents are made once, whatever fails around them, and each kind of failure has its own effect."""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage, storages

from badges.api import RunState
from credentials_config.issuing import document_queue, documents, generation, lifecycle
from credentials_config.models import Credential, CredentialAsset, CredentialRun, CredentialStatus
from credentials_config.testing.lms import LmsStandIn
from tests.support.certificates import (
    DAY,
    HOUR,
    NOW,
    add_algebra,
    assert_one_each,
    configure_certificate,
    deliver,
    document_of,
    files_in,
    issue,
    make,
    run,
    waiting,
)
from tests.support.text_generator import TextGenerator

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

MINUTE = dt.timedelta(minutes=1)


def issuing(settings: Any, **rules: Any) -> None:
    given = settings.CREDENTIALS_CONFIG
    settings.CREDENTIALS_CONFIG = {**given, "issuing": {**given.get("issuing", {}), **rules}}


def statuses() -> dict[str, str]:
    return dict(Credential.objects.values_list("learner_name", "status"))


# One learner's document


@pytest.mark.parametrize("failure", ["fails_on", "crashes_on"])
def test_one_document_that_fails_leaves_the_others_going_and_keeps_its_error(lms: LmsStandIn, failure: str) -> None:
    add_algebra(lms, finished=3, unfinished=0)
    done = issue(configure_certificate(options={"text_generator": {failure: "Learner Number 2"}}))
    assert statuses() == {
        "Learner Number 1": "available",
        "Learner Number 2": "error",
        "Learner Number 3": "available",
    }
    failed = Credential.objects.get(status=CredentialStatus.ERROR)
    assert {"fails_on": "The name does not fit; shorten it", "crashes_on": "ZeroDivisionError"}[failure] in failed.error
    assert "Learner" not in failed.error, "what an unforeseen error says may be about a person"
    assert (done.outcome, done.issued, done.failed) == (RunState.DONE, 2, 1)


def test_a_document_that_fails_backs_off_and_stops_after_some_tries_until_someone_retries(
    lms: LmsStandIn, settings: Any
) -> None:
    issuing(settings, max_attempts=3)
    add_algebra(lms, finished=1, unfinished=0)
    configuration = configure_certificate(options={"text_generator": {"fails_on": "Learner Number 1"}})
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


def test_a_template_that_breaks_while_documents_are_made_holds_the_configuration_and_costs_no_tries(
    lms: LmsStandIn,
) -> None:
    add_algebra(lms, finished=3, unfinished=0)
    configuration = configure_certificate()
    run(configuration)
    configuration.options = {"text_generator": {"broken": True}}
    configuration.save()
    assert make().postponed == 3
    configuration.refresh_from_db()
    assert configuration.problem == "text_generator.broken: it is; repair it"
    assert set(statuses().values()) == {"generating"}, "not one error for each learner"
    assert set(Credential.objects.values_list("attempts", "error")) == {(0, "")}
    assert make(now=NOW + MINUTE).seen == 0, "it is postponed"
    configuration.options = {}
    configuration.save()
    assert make(now=NOW + HOUR).made == 3
    configuration.refresh_from_db()
    assert (configuration.problem, configuration.problem_until) == ("", None)


def test_another_configuration_is_not_disturbed(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    broken, fine = configure_certificate(), configure_certificate()
    run(broken)
    run(fine)
    broken.options = {"text_generator": {"asset": "red"}}
    broken.save()
    result = make()
    assert (result.made, result.postponed) == (2, 2)
    broken.refresh_from_db()
    assert "no asset 'red'" in broken.problem
    assert set(fine.credentials.values_list("status", flat=True)) == {"available"}


def test_after_a_repair_and_a_retry_nobody_has_to_wait(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    configuration = configure_certificate()
    run(configuration)
    configuration.options = {"text_generator": {"asset": "red"}}
    configuration.save()
    make()
    CredentialAsset.objects.upload("red", b"crimson", name="red.txt")
    configuration.refresh_from_db()
    lifecycle.retry_configuration(configuration, now=NOW)
    assert make().made == 2


# Renderers


def test_templates_are_read_once_for_all_documents_and_again_when_an_asset_has_a_new_version(
    lms: LmsStandIn, text_generator: TextGenerator, settings: Any
) -> None:
    issuing(settings, batch=2)
    CredentialAsset.objects.upload("red", b"crimson", name="red.txt")
    add_algebra(lms, finished=5, unfinished=0)
    configuration = configure_certificate(options={"text_generator": {"asset": "red"}})
    issue(configuration)
    assert text_generator.begun == 1
    CredentialAsset.objects.upload("red", b"scarlet", name="red.txt")
    credential = Credential.objects.first()
    assert credential is not None
    lifecycle.reissue([credential], now=NOW)
    make()
    assert text_generator.begun == 2
    assert document_of(credential).endswith("scarlet")
    assert credential.made_from == {"generator": "text_generator 1", "assets": {"red": 2}}


def test_each_credential_knows_what_it_was_made_from(lms: LmsStandIn) -> None:
    CredentialAsset.objects.upload("red", b"crimson", name="red.txt")
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate(options={"text_generator": {"asset": "red"}}))
    assert Credential.objects.get().made_from["assets"] == {"red": 1}


# The storage


class Killed(BaseException):
    """Ends a worker as SIGKILL would: nothing that it would do afterwards happens."""


class UnreliableStorage(FileSystemStorage):
    """A storage that is down from time to time, or kills the worker that stores a file."""

    down = kills = False

    def _save(self, name: str, content: Any) -> str:
        if UnreliableStorage.kills:
            raise Killed
        if UnreliableStorage.down:
            raise OSError("down")
        return super()._save(name, content)


@pytest.fixture
def unreliable_storage(settings: Any, folder: Path) -> Any:
    here = {
        "BACKEND": "tests.credentials_config.issuing.test_generation.UnreliableStorage",
        "OPTIONS": {"location": str(folder)},
    }
    settings.STORAGES = {**settings.STORAGES, "unreliable_storage": here}
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "documents": {"storage": "unreliable_storage"}}
    yield UnreliableStorage
    UnreliableStorage.down = UnreliableStorage.kills = False


def test_a_storage_that_is_down_holds_the_configuration_and_all_is_made_when_it_is_back(
    lms: LmsStandIn, unreliable_storage: Any, folder: Path
) -> None:
    add_algebra(lms, finished=4, unfinished=0)
    configuration = configure_certificate()
    run(configuration)
    unreliable_storage.down = True
    for minutes in range(0, 30, 5):
        make(now=NOW + minutes * MINUTE)
    configuration.refresh_from_db()
    assert "The storage 'unreliable_storage' does not take documents" in configuration.problem
    assert not Credential.objects.filter(status=CredentialStatus.AVAILABLE).exists()
    assert waiting("credential-mail") == []
    unreliable_storage.down = False
    for hours in range(1, 5):
        make(now=NOW + hours * HOUR)
    assert set(statuses().values()) == {"available"}
    assert len(files_in(folder)) == 4
    configuration.refresh_from_db()
    assert configuration.problem == ""


def test_a_storage_that_was_down_for_a_while_has_cost_most_documents_no_try(
    lms: LmsStandIn, unreliable_storage: Any
) -> None:
    add_algebra(lms, finished=4, unfinished=0)
    run(configure_certificate())
    unreliable_storage.down = True
    make()
    assert sorted(Credential.objects.values_list("attempts", flat=True)) == [0, 0, 0, 1]


def test_names_of_files_reveal_nothing(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    credential = Credential.objects.get()
    expected = documents.file_name(credential.pk, 1, "txt", 1)
    assert credential.document == expected
    for told in (str(credential.pk), credential.pk.hex, credential.verification_code, "done-1", "Learner"):
        assert told.lower() not in expected.lower()


def leave_half(folder: Path, row: Credential) -> None:
    """Leave half a file, as a worker does that is killed while it stores a document."""
    half = folder / documents.file_name(row.pk, row.document_number + 1, "txt", row.claims)
    half.parent.mkdir(parents=True)
    half.write_text("Learner Num")


def test_files_that_killed_workers_left_are_not_taken_for_the_document_and_go(lms: LmsStandIn, folder: Path) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    run(configure_certificate())
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
    lms: LmsStandIn, unreliable_storage: Any, folder: Path, late: str
) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    run(configure_certificate())
    leave_half(folder, *document_queue.claim(10, now=NOW))
    slow = generation.DocumentBatch(document_queue.claim(10, now=NOW + HOUR), NOW + HOUR, lambda: False)
    assert make(now=NOW + 2 * HOUR).made == 1
    if late == "stores it":
        assert slow.make().lost == 1
    else:
        unreliable_storage.kills = True
        with pytest.raises(Killed):
            slow.make()
    deliver()
    credential = Credential.objects.get()
    assert files_in(folder) == [credential.document]
    assert document_of(credential).startswith("Learner Number 1\n")


# Leases


def test_claimed_rows_are_taken_up_when_the_lease_ends_and_not_before(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=3, unfinished=0)
    run(configure_certificate())
    assert len(document_queue.claim(2, now=NOW)) == 2
    assert make(now=NOW).made == 1
    assert make(now=NOW + 4 * MINUTE).seen == 0
    assert make(now=NOW + 5 * MINUTE).made == 2
    assert_one_each(learners=3)
    assert len(waiting("credential-mail")) == 3


def test_a_row_that_kills_its_workers_is_given_up_and_takes_no_other_with_it(lms: LmsStandIn, settings: Any) -> None:
    issuing(settings, max_attempts=3)
    add_algebra(lms, finished=4, unfinished=0)
    run(configure_certificate())
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


def test_a_slow_worker_whose_rows_were_claimed_again_changes_nothing_and_leaves_no_file(
    lms: LmsStandIn, folder: Path
) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    run(configure_certificate())
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
    add_algebra(lms, finished=1, unfinished=0)
    run(configure_certificate())
    batch = generation.DocumentBatch(document_queue.claim(10, now=NOW), NOW, lambda: False)
    lifecycle.invalidate(Credential.objects.all(), public_reason="It was a rehearsal.", now=NOW)
    assert batch.make().lost == 1
    assert statuses() == {"Learner Number 1": "invalidated"}
    assert files_in(folder) == []
    assert waiting("credential-mail") == []


def test_a_worker_that_is_asked_to_stop_gives_back_what_it_has_not_begun(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=5, unfinished=0)
    run(configure_certificate())
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
    add_algebra(lms, finished=100, unfinished=0)
    run(configure_certificate())
    with django_assert_max_num_queries(60):
        assert make().made == 100


def test_documents_are_as_good_when_the_storage_loses_its_folder(lms: LmsStandIn, folder: Path) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    configuration = configure_certificate()
    issue(configuration)
    shutil.rmtree(folder)
    lifecycle.reissue(Credential.objects.all(), now=NOW)
    make()
    assert storages["default"].exists(Credential.objects.get().document)


def test_a_count_that_is_wrong_keeps_no_document_from_being_made(lms: LmsStandIn) -> None:
    """A run that is taken over counts anew while others fail and recover, so its counts may miss one."""
    add_algebra(lms, finished=2, unfinished=0)
    configuration = configure_certificate(options={"text_generator": {"fails_on": "Learner Number 1"}})
    done = issue(configuration)
    CredentialRun.objects.filter(pk=done.pk).update(failed=0)
    configuration.options = {}
    configuration.save()
    assert make(now=NOW + HOUR).made == 1
    done.refresh_from_db()
    assert (done.issued, done.failed) == (2, 0)
