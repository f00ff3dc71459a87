"""What staff rely on who give a file: every row is carried out once, and a run can be taken back as one."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import pytest
from django.utils import timezone

from badges import api
from badges.bulk import run_kinds, uploads
from badges.bulk.uploads import BulkAction, BulkReasons, Upload
from badges.exceptions import BlockedError
from badges.models import BulkRow, Learner, OutboxMessage, Run, RunMode, RunState, UserCredential
from badges.runs import queue, worker
from tests.factories import LearnerFactory, UserFactory, credly_issuer, make_template
from tests.support.statement_counts import counted_statements

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

LATER = dt.timedelta(hours=1)


def read(*rows: str, action: BulkAction = BulkAction.AWARD) -> Upload:
    return uploads.read("\n".join(["learner,template,reason", *rows]).encode(), action=action)


def start(
    *rows: str, action: BulkAction = BulkAction.AWARD, mode: RunMode = RunMode.APPLY, by: Any = None, **reasons: Any
) -> Run:
    upload = read(*rows, action=action)
    assert upload.problems == []
    return uploads.start(upload, BulkReasons(**reasons), mode=mode, by=by)


def finish(run: Run) -> Run:
    worker.work(now=lambda: timezone.now() + LATER)
    run.refresh_from_db()
    assert run.state == RunState.DONE, run.note
    return run


def done(*rows: str, **given: Any) -> Run:
    return finish(start(*rows, **given))


def revoke(*rows: str, **given: Any) -> Run:
    return done(*rows, action=BulkAction.REVOKE, **given)


def result_of(run: Run) -> dict[str, str]:
    with run.result.open() as file:
        rows = csv.DictReader(io.StringIO(file.read().decode()))
        return {row["row"]: row["outcome"] for row in rows}


def holds(learner: Learner, template: Any) -> bool:
    return api.credentials_of(learner, template=template.slug).filter(status="awarded").exists()


def test_every_row_of_a_file_is_awarded_with_its_cause_and_its_messages() -> None:
    boss, template = UserFactory(username="boss"), make_template(issuers=[credly_issuer()])
    by_uuid, by_id, by_name = LearnerFactory(), LearnerFactory(), LearnerFactory(user__username="名探偵")
    run = done(
        f"{by_uuid.uuid},{template.slug},Helped everybody.",
        f"{by_id.lms_user_id},{template.uuid},",
        f"名探偵,{template.slug},",
        by=boss,
        reason="Season 3.",
    )
    found = {each.learner_id: each for each in UserCredential.objects.all()}
    assert found.keys() == {by_uuid.pk, by_id.pk, by_name.pk}
    credential = found[by_uuid.pk]
    assert (credential.cause_kind, credential.cause_person, credential.cause_reason) == (
        "person",
        boss,
        "Helped everybody.",
    )
    assert (credential.cause_event_type, credential.cause_event_id) == ("bulk_award", str(run.pk))
    assert found[by_id.pk].cause_reason == "Season 3."
    assert credential.credly_badge.state == "created"
    assert OutboxMessage.objects.filter(channel="announce", type="badge.awarded").count() == 3
    assert OutboxMessage.objects.filter(channel="credly", type="issue").count() == 3
    assert (run.done, run.total, run.read_counts()) == (3, 3, {"awarded": 3})
    assert result_of(run) == {"2": "awarded", "3": "awarded", "4": "awarded"}


def test_what_cannot_be_awarded_says_why_and_the_rest_is_awarded() -> None:
    template, boss = make_template(), UserFactory()
    holder, blocked, new = LearnerFactory(), LearnerFactory(), LearnerFactory()
    api.award(holder, template.slug)
    api.award(blocked, template.slug)
    api.revoke(blocked, template.slug, by=boss)
    rows = [f"{learner.lms_user_id},{template.slug}," for learner in (holder, blocked, new)]
    run = done(*rows, f"{new.user.username},{template.slug},the same person by another name")
    assert result_of(run) == {"2": "already held", "3": "blocked", "4": "awarded", "5": "duplicate"}
    assert run.read_counts() == {"already held": 1, "awarded": 1, "blocked": 1, "duplicate": 1}
    assert [holds(learner, template) for learner in (holder, blocked, new)] == [True, False, True]


def test_a_plan_changes_nothing_and_says_what_would_become_of_each_row() -> None:
    template, holder, new = make_template(), LearnerFactory(), LearnerFactory()
    api.award(holder, template.slug)
    account = UserFactory(username="fantasio")
    learners = Learner.objects.count()
    rows = [f"{holder.uuid},{template.slug},", f"{new.uuid},{template.slug},", f"fantasio,{template.slug},"]
    plan = done(*rows, mode=RunMode.PLAN)
    assert plan.read_counts() == {"already held": 1, "would be awarded": 2}
    assert plan.result.name.endswith("/bulk-award-plan.csv")
    assert (UserCredential.objects.count(), Learner.objects.count()) == (1, learners)
    with pytest.raises(queue.RunRefused, match="Only a closed run that has applied something"):
        queue.undo(plan)
    assert done(*rows).read_counts() == {"already held": 1, "awarded": 2}
    assert api.learner_of(account) is not None


def test_an_account_without_a_learner_gets_one_with_the_badge() -> None:
    template, account = make_template(), UserFactory(username="fantasio")
    run = done(f"fantasio,{template.slug},")
    credential = UserCredential.objects.get()
    assert (credential.learner.user, result_of(run)) == (account, {"2": "awarded"})


def test_who_left_since_the_file_was_read_gets_nothing_and_is_named_nowhere() -> None:
    template, learner, account = make_template(), LearnerFactory(), UserFactory(username="fantasio")
    run = start(f"{learner.uuid},{template.slug},Hit by lightning", f"fantasio,{template.slug},Saw the lightning")
    api.retire(learner)
    api.retire(account)
    finish(run)
    assert (run.read_counts(), UserCredential.objects.count()) == ({"unknown": 2}, 0)
    assert set(BulkRow.objects.values_list("reason", flat=True)) == {""}


@pytest.mark.parametrize("has_learner", [True, False])
def test_a_retirement_removes_the_reasons_of_the_runs_that_have_the_person(*, has_learner: bool) -> None:
    make_template(slug="star")
    account, other = UserFactory(username="zorglub"), LearnerFactory()
    if has_learner:
        LearnerFactory(user=account)
    reasons = {"reason": "Zorglub cheated.", "public_reason": "Zorglub did it."}
    undone = revoke("zorglub,star,", "zorglub,star,", **reasons)
    undo = finish(queue.undo(undone))
    begun = start(f"{other.uuid},star,", "zorglub,star,", action=BulkAction.REVOKE, **reasons)
    unrelated = start(f"{other.uuid},star,", action=BulkAction.REVOKE, **reasons)
    assert "Zorglub" in undo.parameters
    api.retire(account)
    for run in (undone, undo, begun):
        run.refresh_from_db()
        assert "Zorglub" not in run.parameters
        assert (run.read_parameters()["rows"], run.read_parameters()["block"]) == (2, True)
    unrelated.refresh_from_db()
    assert unrelated.read_parameters()["reason"] == "Zorglub cheated."


def test_a_worker_writes_no_reason_that_a_retirement_has_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_kinds, "ROWS_PER_STEP", 1)
    make_template(slug="star")
    first, second = LearnerFactory(), LearnerFactory()
    for learner in (first, second):
        api.award(learner, "star")
    rows = [f"{learner.uuid},star," for learner in (first, second)]
    start(*rows, action=BulkAction.REVOKE, public_reason="Zorglub did it.")
    retired = []

    def retire(_: Run) -> None:
        if not retired:
            retired.append(api.retire(second))

    worker.carry_out(queue.claim(now=timezone.now()), on_progress=retire)
    assert UserCredential.objects.get(learner=first).public_reason == "Zorglub did it."
    assert UserCredential.objects.get(learner=second).public_reason == ""


def test_an_account_whose_lms_user_id_belongs_to_somebody_else_gets_nothing(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"user_lms_id_field": "last_name"}
    LearnerFactory(lms_user_id=41, user__last_name="41")
    UserFactory(username="fantasio", last_name="41")
    template, other = make_template(), LearnerFactory(user__last_name="")
    run = done(f"fantasio,{template.slug},", f"{other.uuid},{template.slug},")
    assert result_of(run) == {"2": "unknown", "3": "awarded"}


def test_a_result_that_names_a_retired_person_is_removed() -> None:
    template, learner = make_template(), LearnerFactory(user__username="zorglub")
    run = done(f"zorglub,{template.slug},")
    api.retire(learner)
    run.refresh_from_db()
    assert not run.result


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("nobody,star,", "Row 2: there is no such learner."),
        ("123456,star,", "Row 2: there is no such learner."),
        ("9" * 40 + ",star,", "Row 2: there is no such learner."),
        ("0190e3c0-0000-7000-8000-000000000000,star,", "Row 2: there is no such learner."),
        ("a\0b,star,", "Row 2: there is no such learner."),
        ("anna,moon,", "Row 2: there is no such template."),
        ("anna,s\0,", "Row 2: there is no such template."),
        ("anna,asleep,", "Row 2: the template asleep is not active."),
        ("gone,star,", "Row 2: there is no such learner."),
        ("ANNA,star,", "Row 2: there is no such learner."),
    ],
)
def test_a_file_with_a_mistake_is_refused_and_the_row_is_named(row: str, problem: str) -> None:
    make_template(slug="star")
    make_template(slug="asleep", is_active=False)
    LearnerFactory(user__username="anna")
    api.retire(LearnerFactory(user__username="gone"))
    upload = read(row, "anna,star,")
    assert [found.startswith(problem) for found in upload.problems] == [True], upload.problems
    with pytest.raises(ValueError, match="cannot be carried out"):
        uploads.start(upload, BulkReasons(), mode=RunMode.APPLY)
    assert not Run.objects.exists()


def test_all_mistakes_are_named_in_the_order_of_the_rows() -> None:
    make_template(slug="star")
    upload = read("nobody,star,", ",star,", "nobody,moon,")
    assert [problem.partition(":")[0] for problem in upload.problems] == ["Row 2", "Row 3", "Row 4", "Row 4"]


def test_a_bulk_revocation_revokes_blocks_and_says_what_was_not_held() -> None:
    template, boss = make_template(issuers=[credly_issuer()]), UserFactory()
    holder, other = LearnerFactory(), LearnerFactory()
    UserFactory(username="fantasio")
    credential = api.award(holder, template.slug)
    rows = [f"{holder.uuid},{template.slug},Found out.", f"{other.uuid},{template.slug},", f"fantasio,{template.slug},"]
    run = revoke(*rows, by=boss, public_reason="It was a mistake of ours.")
    credential.refresh_from_db()
    assert (credential.status, credential.blocked) == ("revoked", True)
    assert (credential.revocation_kind, credential.revocation_person, credential.internal_reason) == (
        "person",
        boss,
        "Found out.",
    )
    assert credential.public_reason == "It was a mistake of ours."
    assert (credential.revocation_event_type, credential.revocation_event_id) == ("bulk_revoke", str(run.pk))
    assert result_of(run) == {"2": "revoked", "3": "not held", "4": "not held"}
    assert OutboxMessage.objects.filter(type="revoke").count() == 1


def test_a_badge_of_an_inactive_template_can_be_revoked() -> None:
    template, holder = make_template(slug="star"), LearnerFactory()
    api.award(holder, "star")
    type(template).objects.update(is_active=False)
    assert revoke(f"{holder.uuid},star,", block=False).read_counts() == {"revoked": 1}
    assert not UserCredential.objects.get().blocked


def test_a_bulk_award_is_taken_back_as_one_without_a_block() -> None:
    template, boss = make_template(), UserFactory()
    kept, lost, stays, before = (LearnerFactory() for _ in range(4))
    api.award(before, template.slug)
    run = done(*(f"{each.uuid},{template.slug}," for each in (kept, lost, stays, before)))
    api.revoke(lost, template.slug)
    api.revoke(stays, template.slug)
    later = api.award(stays, template.slug)
    undo = finish(queue.undo(run, person=boss))
    assert undo.read_counts() == {"not held": 2, "revoked": 1}
    assert (undo.done, undo.total) == (3, 3)
    assert result_of(undo) == {"2": "revoked", "3": "not held", "4": "not held"}
    assert [holds(each, template) for each in (kept, lost, stays, before)] == [False, False, True, True]
    credential = UserCredential.objects.get(learner=kept)
    assert (credential.blocked, credential.internal_reason) == (False, "A bulk run was taken back.")
    assert (credential.revocation_person, credential.revocation_event_id) == (boss, str(undo.pk))
    later.refresh_from_db()
    assert later.status == "awarded"


def test_taking_back_twice_does_nothing() -> None:
    template, learner = make_template(), LearnerFactory()
    run = done(f"{learner.uuid},{template.slug},")
    finish(queue.undo(run))
    api.award(learner, template.slug)
    with pytest.raises(queue.RunRefused, match="once"):
        queue.undo(run)
    assert holds(learner, template)


def test_a_bulk_revocation_is_taken_back_as_one() -> None:
    template, boss = make_template(slug="star"), UserFactory()
    learner, again, blocked = (LearnerFactory() for _ in range(3))
    for each in (learner, again, blocked):
        api.award(each, "star")
    run = revoke(*(f"{each.uuid},star," for each in (learner, again, blocked)), by=boss)
    api.award(again, "star", by=boss, lift_block=True)
    api.award(blocked, "star", by=boss, lift_block=True)
    api.revoke(blocked, "star", by=boss, reason="Another story.")
    type(template).objects.update(is_active=False)
    undo = finish(queue.undo(run, person=boss))
    assert undo.read_counts() == {"already held": 1, "awarded": 1, "blocked": 1}
    assert [holds(each, template) for each in (learner, again, blocked)] == [True, True, False]
    old, new = UserCredential.objects.filter(learner=learner).order_by("awarded_at")
    assert (old.status, old.blocked, old.block_lifted_person) == ("revoked", False, boss)
    assert (new.cause_event_type, new.cause_reason) == ("bulk_revoke", "A bulk run was taken back.")
    type(template).objects.update(is_active=True)
    with pytest.raises(BlockedError):
        api.award(blocked, "star")


def test_the_same_file_is_open_once_and_given_again_awards_nobody_twice() -> None:
    template, learner = make_template(), LearnerFactory()
    run = start(f"{learner.uuid},{template.slug},")
    with pytest.raises(queue.RunRefused, match="is open"):
        start(f"{learner.uuid},{template.slug},")
    start(f"{LearnerFactory().uuid},{template.slug},")
    finish(run)
    assert done(f"{learner.uuid},{template.slug},").read_counts() == {"already held": 1}


def test_a_file_is_still_the_same_when_its_run_has_made_a_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_kinds, "ROWS_PER_STEP", 1)
    template, account = make_template(), UserFactory(username="fantasio")
    rows = [f"fantasio,{template.slug},", f"{LearnerFactory().uuid},{template.slug},"]
    run = start(*rows)
    worker.carry_out(queue.claim(now=timezone.now()), should_stop=lambda: True)
    assert api.learner_of(account) is not None
    with pytest.raises(queue.RunRefused, match="is open"):
        start(*rows)
    assert (finish(run).read_counts(), Run.objects.count()) == ({"awarded": 2}, 1)


def test_a_run_goes_on_where_its_worker_ended_and_awards_nobody_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_kinds, "ROWS_PER_STEP", 2)
    template = make_template()
    learners = [LearnerFactory() for _ in range(5)]
    run = start(*(f"{each.uuid},{template.slug}," for each in learners))
    claimed = queue.claim(now=timezone.now())
    steps = iter([False, True])
    worker.carry_out(claimed, should_stop=lambda: next(steps))
    assert UserCredential.objects.count() == 4
    finish(run)
    assert (run.done, run.read_counts(), UserCredential.objects.count()) == (5, {"awarded": 5}, 5)


def test_a_cancelled_run_can_be_taken_back_and_then_not_be_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_kinds, "ROWS_PER_STEP", 1)
    template, first, second = make_template(), LearnerFactory(), LearnerFactory()
    run = start(f"{first.uuid},{template.slug},", f"{second.uuid},{template.slug},")
    claimed = queue.claim(now=timezone.now())
    worker.carry_out(claimed, on_progress=lambda _: queue.cancel(run))
    run.refresh_from_db()
    assert (run.state, run.done) == (RunState.CANCELLED, 1)
    undo = finish(queue.undo(run))
    assert undo.read_counts() == {"revoked": 1}
    assert not queue.can_resume(run)
    with pytest.raises(queue.RunRefused, match="was undone"):
        queue.resume(run)


@pytest.mark.parametrize("action", list(BulkAction))
def test_a_step_costs_the_same_for_few_rows_and_for_many(action: BulkAction) -> None:
    counts = []
    for number in (2, 40):
        template = make_template(issuers=[credly_issuer()])
        rows = []
        for _ in range(number):
            learner = LearnerFactory()
            rows.append(f"{learner.uuid},{template.slug},")
            if action is BulkAction.REVOKE:
                api.award(learner, template.slug)
            else:
                UserFactory(username=f"new{learner.pk}")
                rows.append(f"new{learner.pk},{template.slug},")
        start(*rows, action=action)
        with counted_statements() as statements:
            worker.work()
        counts.append(len(statements))
    # SQLite takes 999 values in a statement; here there are fewer.
    assert counts[0] == counts[1]
    assert UserCredential.objects.filter(status="awarded").count() == (84 if action is BulkAction.AWARD else 0)


def test_the_result_costs_the_same_for_few_accounts_without_a_learner_and_for_many() -> None:
    counts = []
    for number in (2, 20):
        template = make_template()
        accounts = [UserFactory() for _ in range(number)]
        start(*(f"{each.get_username()},{template.slug}," for each in accounts), mode=RunMode.PLAN)
        with counted_statements() as statements:
            worker.work()
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_the_rows_of_an_old_run_are_deleted_with_it() -> None:
    template, learner = make_template(), LearnerFactory()
    done(f"{learner.uuid},{template.slug},")
    assert queue.delete_old(now=timezone.now() + dt.timedelta(days=100), limit=10) == 1
    assert (BulkRow.objects.count(), UserCredential.objects.count()) == (0, 1)


def test_a_badge_at_its_end_is_not_held_although_nobody_has_marked_it_yet() -> None:
    make_template(slug="year", expiry={"days": 30})
    learner, now = LearnerFactory(), timezone.now()
    api.award(learner, "year", now=now - dt.timedelta(days=31))
    assert revoke(f"{learner.uuid},year,").read_counts() == {"not held": 1}
    assert done(f"{learner.uuid},year,").read_counts() == {"awarded": 1}
    assert set(UserCredential.objects.values_list("status", flat=True)) == {"expired", "awarded"}


def test_a_badge_that_is_given_back_ends_when_the_revoked_one_would_have_ended() -> None:
    make_template(slug="year", expiry={"days": 30})
    long, short, now = LearnerFactory(), LearnerFactory(), timezone.now()
    end = api.award(long, "year", now=now - dt.timedelta(days=10)).valid_until
    api.award(short, "year", now=now - dt.timedelta(days=30) + dt.timedelta(minutes=90))
    run = revoke(f"{long.uuid},year,", f"{short.uuid},year,")
    queue.undo(run)
    worker.work(now=lambda: now + dt.timedelta(hours=2))
    assert Run.objects.get(undoes=run).read_counts() == {"awarded": 1, "not held": 1}
    credential = UserCredential.objects.get(status="awarded")
    assert (credential.learner, credential.valid_until) == (long, end)


def test_a_badge_without_an_end_is_given_back_without_one_and_without_a_mail(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"mail": {"awards": True}}
    make_template(slug="star")
    learner = LearnerFactory()
    done(f"{learner.uuid},star,")
    run = revoke(f"{learner.uuid},star,")
    make_template(slug="star", expiry={"days": 30})
    finish(queue.undo(run))
    credential = UserCredential.objects.get(status="awarded")
    assert credential.valid_until is None
    mails = OutboxMessage.objects.filter(channel="mail").values_list("payload", flat=True)
    assert [str(credential.pk) in payload for payload in mails] == [False]
    assert OutboxMessage.objects.filter(type="badge.awarded", payload__contains=str(credential.pk)).exists()
