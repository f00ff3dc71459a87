"""What people do to credentials afterwards: reissue, invalidate, issue by hand, retire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from badges import api as badges
from badges.exceptions import Retryable
from credentials_config.issuing import document_queue, documents, generation, lifecycle
from credentials_config.models import ACTIVE, Credential, CredentialStatus
from credentials_config.testing.lms import LmsStandIn
from tests.factories import ALGEBRA
from tests.support.certificates import (
    DAY,
    HOUR,
    NOW,
    add_algebra,
    configure_certificate,
    deliver,
    document_of,
    files_in,
    issue,
    make,
    run,
)

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

LATER = NOW + DAY


@pytest.fixture(autouse=True)
def emails_in_memory(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


# Reissue


def test_a_reissued_document_has_the_new_names_and_keeps_code_and_issue_date(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    before = Credential.objects.get()
    lms.change_learner("done-1", name="Zorglub")
    lms.change_course(ALGEBRA, name="Algebra for beginners")
    assert lifecycle.reissue(Credential.objects.all(), now=LATER) == 1
    make(now=LATER)
    after = Credential.objects.get()
    assert (after.learner_name, after.context_name) == ("Zorglub", "Algebra for beginners")
    assert (after.verification_code, after.issued_at, after.document_number) == (
        before.verification_code,
        before.issued_at,
        2,
    )
    text = document_of(after)
    assert text.startswith("Zorglub\nAlgebra for beginners\nMarch 14, 2026\n")
    assert before.verification_code in text


def test_the_old_document_is_valid_until_the_new_one_is_there_and_removed_after_that(
    lms: LmsStandIn, folder: Path
) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    deliver()
    old = Credential.objects.get()
    lms.change_learner("done-1", name="Zorglub")
    lifecycle.reissue(Credential.objects.all(), now=LATER)
    waits = Credential.objects.get()
    assert (waits.status, waits.learner_name, waits.document) == ("available", "Learner Number 1", old.document)
    make(now=LATER)
    new = Credential.objects.get()
    assert files_in(folder) == sorted([old.document, new.document])
    deliver()
    assert files_in(folder) == [new.document]


def test_a_reissue_that_fails_leaves_the_learner_what_they_had(lms: LmsStandIn, folder: Path) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    configuration = configure_certificate()
    issue(configuration)
    configuration.options = {"text_generator": {"fails_on": "Learner Number 1"}}
    configuration.save()
    lifecycle.reissue(Credential.objects.all(), now=LATER)
    make(now=LATER)
    deliver()
    credential = Credential.objects.get()
    assert credential.status == CredentialStatus.AVAILABLE
    assert credential.error == "The name does not fit; shorten it"
    assert document_of(credential).startswith("Learner Number 1")
    configuration.options = {}
    configuration.save()
    lifecycle.retry(Credential.objects.all(), now=LATER + HOUR)
    make(now=LATER + HOUR)
    credential.refresh_from_db()
    assert (credential.error, credential.document_number) == ("", 2)


def test_a_reissue_while_an_earlier_one_is_being_made_is_the_one_that_holds(
    lms: LmsStandIn, folder: Path, settings: Any
) -> None:
    storage = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    storage["OPTIONS"] = {"location": str(folder), "allow_overwrite": True}  # as object stores do
    settings.STORAGES = {**settings.STORAGES, "default": storage}
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    lms.change_learner("done-1", name="Zorglbu")
    lifecycle.reissue(Credential.objects.all(), now=LATER)
    slow = generation.DocumentBatch(document_queue.claim(10, now=LATER), LATER, lambda: False)
    lms.change_learner("done-1", name="Zorglub")
    lifecycle.reissue(Credential.objects.all(), now=LATER)
    assert make(now=LATER).made == 1
    assert slow.make().lost == 1
    credential = Credential.objects.get()
    assert credential.learner_name == "Zorglub"
    assert document_of(credential).startswith("Zorglub\n")
    deliver()
    assert files_in(folder) == [credential.document]


def test_a_reissue_may_keep_the_names(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    lms.change_learner("done-1", name="Zorglub")
    lms.break_down()
    lifecycle.reissue(Credential.objects.all(), ask_names=False, now=LATER)
    make(now=LATER)
    assert Credential.objects.get().learner_name == "Learner Number 1"


def test_an_lms_that_is_down_refuses_a_reissue_and_changes_nothing(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    lms.break_down()
    with pytest.raises(Retryable):
        lifecycle.reissue(Credential.objects.all(), now=LATER)
    assert Credential.objects.get().due_at is None


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (CredentialStatus.GENERATING, "wait"),
        (CredentialStatus.ERROR, "retry it"),
        (CredentialStatus.INVALIDATED, "issue a new one"),
        (CredentialStatus.EXPIRED, "issue a new one"),
    ],
)
def test_only_what_is_available_can_be_reissued_and_the_refusal_says_what_can_be_done(
    lms: LmsStandIn, status: CredentialStatus, remedy: str
) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    active = ACTIVE if status in (CredentialStatus.GENERATING, CredentialStatus.ERROR) else None
    Credential.objects.update(status=status, active_key=active)
    with pytest.raises(lifecycle.Refused, match=remedy):
        lifecycle.reissue(Credential.objects.all(), now=LATER)


# Invalidate


def test_a_credential_that_is_taken_back_says_why_and_its_document_is_gone(lms: LmsStandIn, folder: Path) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    issue(configure_certificate())
    one = Credential.objects.filter(learner_name="Learner Number 2")
    lifecycle.invalidate(one, public_reason=" Somebody else\nsat the exam. ", note="Seen by Spip", now=LATER)
    deliver()
    taken = one.get()
    assert (taken.status, taken.active_key, taken.invalidated_at) == (CredentialStatus.INVALIDATED, None, LATER)
    assert (taken.public_reason, taken.internal_note) == ("Somebody else sat the exam.", "Seen by Spip")
    assert files_in(folder) == [Credential.objects.get(learner_name="Learner Number 1").document]
    assert lifecycle.invalidate(one, public_reason="Again.", now=LATER) == 0


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 256])
def test_a_public_reason_is_needed_and_must_fit(lms: LmsStandIn, reason: str) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    with pytest.raises(lifecycle.Refused, match="public reason"):
        lifecycle.invalidate(Credential.objects.all(), public_reason=reason)
    assert Credential.objects.get().status == CredentialStatus.AVAILABLE


# Issue by hand


def test_staff_may_give_a_credential_again_that_was_taken_back(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    configuration = configure_certificate()
    issue(configuration)
    lifecycle.invalidate(Credential.objects.all(), public_reason="A mistake.")
    (again,) = lifecycle.issue(configuration, usernames=["done-1"], now=LATER)
    make(now=LATER)
    again.refresh_from_db()
    assert again.status == CredentialStatus.AVAILABLE
    assert Credential.objects.count() == 2
    with pytest.raises(lifecycle.Refused, match="has an active credential"):
        lifecycle.issue(configuration, usernames=["done-1"])


def test_staff_give_to_who_is_not_eligible_only_when_they_say_so(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=0, unfinished=1)
    configuration = configure_certificate()
    number = lms.learners["half-1"].id
    with pytest.raises(lifecycle.Refused, match="not eligible"):
        lifecycle.issue(configuration, lms_user_ids=[number])
    (given,) = lifecycle.issue(configuration, lms_user_ids=[number], override_eligibility=True, now=NOW)
    assert (given.status, given.learner_name) == (CredentialStatus.GENERATING, "Learner Number 1")


def test_an_unknown_name_gives_nothing_to_anybody(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    with pytest.raises(lifecycle.Refused, match="zorglub"):
        lifecycle.issue(configure_certificate(), usernames=["done-1", "zorglub"])
    assert not Credential.objects.exists()


# Retire


def test_a_retired_learners_names_and_documents_are_gone_and_the_code_still_tells_whether_it_is_true(
    lms: LmsStandIn, folder: Path
) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    issue(configure_certificate())
    waits = configure_certificate()
    run(waits)
    number = lms.learners["done-1"].id
    learner = badges.learner_of(number)
    changed = badges.retire(number, now=LATER).counts["lms_credentials_config"]
    assert changed == {"certificates": 2, "documents": 1, "runs": 0}
    deliver()
    gone = Credential.objects.filter(learner=learner)
    assert set(gone.values_list("learner_name", "document", "language", "due_at")) == {("", "", "", None)}
    assert set(gone.values_list("status", flat=True)) == {CredentialStatus.AVAILABLE, CredentialStatus.INVALIDATED}
    kept = Credential.objects.get(learner_name="Learner Number 2", configuration__in=[waits.pk])
    assert kept.status == CredentialStatus.GENERATING
    assert len(files_in(folder)) == 1
    with pytest.raises(lifecycle.Refused, match="retired"):
        lifecycle.reissue(gone.filter(status=CredentialStatus.AVAILABLE))


def test_retiring_somebody_unknown_is_nothing(db: None) -> None:
    assert badges.retire(424242).total == 0


@pytest.mark.parametrize("how", ["taken back", "retired"])
def test_what_a_killed_worker_left_goes_with_the_credential(lms: LmsStandIn, how: str) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    run(configure_certificate())
    document_queue.claim(1, now=NOW)
    row = Credential.objects.get()
    left = storages["default"].save(documents.file_name(row.pk, 1, "pdf", 1), ContentFile(b"Learner Number 1"))
    if how == "retired":
        badges.retire(1001, now=LATER)
    else:
        lifecycle.invalidate(Credential.objects.all(), public_reason="It was a rehearsal.", now=LATER)
    deliver()
    assert not storages["default"].exists(left)


def test_staff_are_told_that_a_person_was_retired_who_is_to_get_a_credential(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=2)
    badges.retire(1001)
    with pytest.raises(lifecycle.Refused, match=r"^LMS user 1001 was retired here"):
        lifecycle.issue(configure_certificate(), lms_user_ids=[1001, 1002])
    assert not Credential.objects.exists()


def test_a_run_leaves_out_who_was_retired_and_does_not_call_it_a_failure(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=3, unfinished=0)
    badges.retire(1001)
    done = issue(configure_certificate())
    assert (done.eligible, done.issued, done.failed, done.note) == (2, 2, 0, "")
    assert done.run.read_counts()["retired"] == 1
