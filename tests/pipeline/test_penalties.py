"""What a designer relies on: a penalty takes what was earned before it, and nothing else, whatever arrives when."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connections, transaction

from badges import api, pipeline, tasks
from badges.awarding.models import UserCredential
from badges.catalog.api import archive_template, export_template, save_template
from badges.conf import CCX_PASSING_STATUS, PASSING_STATUS
from badges.intake import learners
from badges.intake.events import Event
from badges.intake.models import InboxMessage, Learner
from badges.outbox.models import OutboxMessage
from badges.progress.models import BadgeProgress, Fulfillment, RequirementReset
from tests.factories import LearnerFactory, UserFactory, credly_issuer, make_template, penalty, requirement

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)

Make = Callable[..., Event]


def at(minute: float) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minute)


@pytest.fixture
def passes(passing: Make) -> Make:
    """Make the event of a learner who passes a course in a minute, or fails it."""

    def make(minute: float, course: str = ALGEBRA, *, number: int = 5, **given: Any) -> Event:
        return passing(time=at(minute), course_key=course, lms_user_id=number, username=f"spirou{number}", **given)

    return make


@pytest.fixture
def fails(passes: Make) -> Make:
    def make(minute: float, course: str = ALGEBRA, **given: Any) -> Event:
        return passes(minute, course, is_passing=False, **given)

    return make


def star(**given: Any) -> Any:
    """Make a template: Algebra has to be passed, and failing it is a penalty."""
    return make_template(
        **{
            "slug": "star",
            "requirements": [requirement(course=ALGEBRA)],
            "penalties": [penalty(course=ALGEBRA)],
            **given,
        }
    )


def statuses(slug: str = "star") -> list[str]:
    """Return the states of the credentials of a template, in the order in which they were awarded."""
    return list(UserCredential.objects.filter(template__slug=slug).order_by("id").values_list("status", flat=True))


def fulfilled() -> list[tuple[str, dt.datetime]]:
    """Return the active fulfilments: the key, and the time of the newest fact."""
    rows = Fulfillment.objects.filter(active_key="active").select_related("requirement").order_by("requirement__key")
    return [(row.requirement.key, row.newest_event_time or row.cause_event_time) for row in rows]


# --- the order of facts ----------------------------------------------------------------------------------------------


def test_a_penalty_after_a_fulfilment_revokes_the_badge_and_says_why(passes, fails):
    star()
    pipeline.handle([passes(1)], now=at(2))

    result = pipeline.handle([lost := fails(3)], now=at(4))

    assert (result.matched, result.awarded, result.revoked) == (1, 0, 1)
    credential = UserCredential.objects.get()
    assert (credential.status, credential.revoked_at, credential.blocked) == ("revoked", at(4), False)
    assert (credential.revocation_kind, credential.revocation_event_id) == ("event", lost.id)
    assert credential.revocation_event_time == at(3)
    row = Fulfillment.objects.get()
    assert (row.active_key, row.reset_event_id, row.reset_event_time, row.reset_at) == (None, lost.id, at(3), at(4))
    assert BadgeProgress.objects.get().completed_at is None


def test_a_penalty_that_arrives_before_its_older_fulfilment_makes_it_void(passes, fails):
    star()
    pipeline.handle([passes(-5, BOTANY)])

    pipeline.handle([fails(3)])
    assert not Learner.objects.exists(), "a penalty alone creates no learner"
    result = pipeline.handle([passes(1)])

    assert (result.matched, result.awarded) == (1, 0)
    assert statuses() == fulfilled() == []
    assert pipeline.handle([passes(4)]).awarded == 1


def test_a_fulfilment_at_the_time_of_the_penalty_is_void_too(passes, fails):
    star()
    pipeline.handle([fails(3), passes(3)])
    assert statuses() == []


def test_a_penalty_that_arrives_after_a_newer_fulfilment_takes_nothing(passes, fails):
    star()
    pipeline.handle([passes(5)])

    result = pipeline.handle([fails(3)])

    assert (result.revoked, statuses(), fulfilled()) == (0, ["awarded"], [("pass", at(5))])


def test_a_penalty_between_two_facts_leaves_the_requirement_fulfilled_by_the_newer_one(passes, fails):
    star()
    pipeline.handle([passes(1)])
    pipeline.handle([passes(5)])

    pipeline.handle([fails(3)])

    assert (statuses(), fulfilled()) == (["awarded"], [("pass", at(5))])
    assert Fulfillment.objects.filter(active_key=None, reset_event_time=at(3)).count() == 1


def test_an_older_penalty_that_arrives_later_does_not_move_the_time_back(passes, fails):
    star()
    pipeline.handle([fails(5)])
    pipeline.handle([fails(3)])
    pipeline.handle([passes(4)])

    assert statuses() == []
    assert RequirementReset.objects.get().void_until == at(5)


def test_requirements_come_before_penalties_within_one_event(passes):
    make_template(
        slug="star",
        requirements=[requirement(course=ALGEBRA), requirement("other", course=BOTANY)],
        penalties=[penalty("other", rules=requirement(course=ALGEBRA)["rules"])],
    )
    pipeline.handle([passes(1, BOTANY)])

    pipeline.handle([passes(2, ALGEBRA)])

    assert (statuses(), fulfilled()) == ([], [("pass", at(2))])


def test_an_event_that_is_requirement_and_penalty_at_once_leaves_nothing_fulfilled(passes):
    star(penalties=[penalty(rules=requirement(course=ALGEBRA)["rules"])])

    result = pipeline.handle([passes(1)])

    assert (result.awarded, result.revoked, statuses(), fulfilled()) == (0, 0, [], [])


def test_what_is_redelivered_changes_nothing(passes, fails):
    star()
    first, lost = passes(1), fails(3)
    pipeline.handle([first])
    pipeline.handle([lost])
    pipeline.handle([passes(5)])

    again = pipeline.handle([lost, first])

    assert (again.duplicates, statuses(), fulfilled()) == (2, ["revoked", "awarded"], [("pass", at(5))])


def test_the_same_penalty_under_another_id_changes_nothing(passes, fails):
    star()
    pipeline.handle([passes(1), fails(3)])
    pipeline.handle([passes(5)])

    assert pipeline.handle([fails(3)]).revoked == 0
    assert statuses() == ["revoked", "awarded"]


# --- the badge -------------------------------------------------------------------------------------------------------


def test_earned_again_gives_a_new_credential_which_is_announced_and_issued(passes, fails):
    star(issuers=[credly_issuer()])
    for event in (passes(1), fails(3), passes(5)):
        pipeline.handle([event])

    assert statuses() == ["revoked", "awarded"]
    first, second = UserCredential.objects.order_by("id")
    sent = OutboxMessage.objects.order_by("id").values_list("channel", "type", "payload")
    assert [(channel, type, payload["credential"]) for channel, type, payload in map(_loaded, sent)] == [
        ("announce", "badge.awarded", str(first.pk)),
        ("credly", "issue", str(first.pk)),
        ("announce", "badge.revoked", str(first.pk)),
        ("credly", "revoke", str(first.pk)),
        ("announce", "badge.awarded", str(second.pk)),
        ("credly", "issue", str(second.pk)),
    ]


def test_events_of_one_batch_leave_the_same_rows_as_events_one_by_one(passes, fails):
    star(issuers=[credly_issuer()])

    result = pipeline.handle([passes(1), fails(3), passes(5), fails(7), passes(9)])

    assert (result.awarded, result.revoked) == (3, 2)
    assert statuses() == ["revoked", "revoked", "awarded"]
    types = OutboxMessage.objects.filter(channel="credly").order_by("id").values_list("type", flat=True)
    assert list(types) == ["issue", "revoke", "issue", "revoke", "issue"]


def _loaded(row: tuple[str, str, Any]) -> tuple[str, str, Any]:
    channel, type, payload = row
    return channel, type, json.loads(payload) if isinstance(payload, str) else payload


@pytest.mark.parametrize("together", [True, False])
def test_a_badge_that_is_awarded_once_is_not_earned_again_after_a_penalty(passes, fails, together):
    star(award_once=True)
    events = [passes(1), fails(3), passes(5)]

    for batch in [events] if together else [[event] for event in events]:
        pipeline.handle(batch)

    assert (statuses(), fulfilled()) == (["revoked"], [("pass", at(5))])


def test_a_block_by_a_person_stays_and_lifting_it_awards_what_was_earned_anew(passes, fails):
    star()
    pipeline.handle([passes(1)])
    zoe = UserFactory()
    api.revoke(5, "star", by=zoe, reason="Somebody else sat the exam", block=True)
    pipeline.handle([fails(3)])
    assert pipeline.handle([passes(5)]).awarded == 0

    assert api.lift_block(5, "star", by=zoe, reason="It was her after all") is not None
    assert statuses() == ["revoked", "awarded"]


def test_one_event_that_is_two_penalties_revokes_once(passes, fails):
    star(
        requirements=[requirement("a", course=ALGEBRA), requirement("b", course=BOTANY)],
        penalties=[penalty("a", course=ALGEBRA), penalty("a", "b", course=None)],
    )
    pipeline.handle([passes(1, ALGEBRA), passes(1, BOTANY)])

    result = pipeline.handle([fails(3)])

    assert (result.revoked, statuses(), fulfilled()) == (1, ["revoked"], [])
    assert OutboxMessage.objects.filter(type="badge.revoked").count() == 1


def test_a_badge_stays_while_another_alternative_is_fulfilled(passes, fails):
    star(
        requirements=[
            requirement("a", course=ALGEBRA, group="either"),
            requirement("b", course=BOTANY, group="either"),
            requirement("c", course="course-v1:Uni+Cello+3"),
        ],
        penalties=[penalty("a", course=ALGEBRA)],
    )
    pipeline.handle([passes(1, ALGEBRA), passes(2, BOTANY), passes(2, "course-v1:Uni+Cello+3")])

    assert pipeline.handle([fails(3)]).revoked == 0
    assert (statuses(), fulfilled()) == (["awarded"], [("b", at(2)), ("c", at(2))])


def test_one_penalty_over_two_requirements_resets_both(passes, fails):
    star(
        requirements=[requirement("a", course=ALGEBRA), requirement("b", course=BOTANY)],
        penalties=[penalty("a", "b", course=ALGEBRA)],
    )
    pipeline.handle([passes(1, ALGEBRA), passes(1, BOTANY)])
    pipeline.handle([fails(2)])
    assert fulfilled() == []

    pipeline.handle([passes(3, ALGEBRA)])
    assert statuses() == ["revoked"]
    pipeline.handle([passes(4, BOTANY)])
    assert statuses() == ["revoked", "awarded"]


def test_a_badge_that_staff_awarded_stays_when_nothing_was_earned(passes, fails):
    star(requirements=[requirement("pass", course=ALGEBRA), requirement("b", course=BOTANY)])
    LearnerFactory(lms_user_id=5)
    api.award(5, "star", by=UserFactory(), reason="An event was lost")
    pipeline.handle([passes(1)])

    assert pipeline.handle([fails(3)]).revoked == 0
    assert statuses() == ["awarded"]


def test_a_template_that_demands_more_since_loses_no_badge_to_a_penalty_between_two_facts(passes, fails):
    template = star()
    pipeline.handle([passes(1), passes(5)])
    more = export_template(template)
    more["requirements"].append(requirement("b", course=BOTANY))
    save_template(more, now=at(6))

    pipeline.handle([fails(3)])
    assert statuses() == ["awarded"]
    pipeline.handle([fails(7)])
    assert statuses() == ["revoked"]


# --- which penalties count -------------------------------------------------------------------------------------------


def test_a_penalty_of_an_inactive_template_does_nothing(passes, fails):
    template = star()
    pipeline.handle([passes(1)])
    save_template({**export_template(template), "is_active": False}, now=at(2))

    assert pipeline.handle([fails(3)]).matched == 0
    save_template({**export_template(template), "is_active": True}, now=at(4))
    pipeline.handle([passes(2.5)])

    assert statuses() == ["awarded"]
    assert not RequirementReset.objects.exists()


def test_a_penalty_of_an_archived_template_does_nothing(passes, fails):
    template = star()
    pipeline.handle([passes(1)])
    archive_template(template, author=None, now=at(2))

    assert pipeline.handle([fails(3)]).matched == 0
    assert statuses() == ["awarded"]


def test_times_of_a_penalty_that_was_removed_still_make_older_facts_void(passes, fails):
    template = star()
    pipeline.handle([fails(3)])
    save_template({**export_template(template), "penalties": []}, now=at(4))

    assert pipeline.handle([passes(2)]).awarded == 0
    assert pipeline.handle([fails(6), passes(5)]).awarded == 1, "it is no penalty any more"


def test_a_penalty_without_rules_is_every_event_of_its_type(passes, settings):
    settings.LMS_BADGES_CONFIG = {"events": [PASSING_STATUS, CCX_PASSING_STATUS]}
    star(penalties=[{"event_type": PASSING_STATUS, "requirements": ["pass"]}])

    pipeline.handle([passes(1), passes(2, BOTANY)])

    assert statuses() == []
    assert RequirementReset.objects.get().void_until == at(2)


# --- people ----------------------------------------------------------------------------------------------------------


def test_a_penalty_about_somebody_unknown_is_kept_by_the_lms_user_id_alone(fails):
    star()

    result = pipeline.handle([fails(3, number=41)])

    assert (result.matched, result.revoked) == (1, 0)
    assert not Learner.objects.exists()
    assert not BadgeProgress.objects.exists()
    row = RequirementReset.objects.get()
    assert (row.person, row.void_until, row.requirement.key) == (41, at(3), "pass")
    assert InboxMessage.objects.get().state == "processed"


def test_a_penalty_before_the_lms_user_id_is_known_counts_after_it_is(passes, fails, passing):
    star()
    learner = LearnerFactory(lms_user_id=None, user=UserFactory(username="spirou5"))
    pipeline.handle([fails(3, number=5)])
    assert Learner.objects.get().lms_user_id == 5, "the event binds the account"
    Learner.objects.filter(pk=learner.pk).update(lms_user_id=None)
    RequirementReset.objects.update(person=-learner.pk)

    pipeline.handle([passes(2)])

    assert statuses() == []


def test_a_penalty_from_before_the_learner_had_the_id_takes_what_was_earned_by_the_username(passes, fails, passing):
    star()
    make_template(slug="botanist", requirements=[requirement(course=BOTANY)])
    learner = LearnerFactory(lms_user_id=None, user=UserFactory(username="spirou5"))
    pipeline.handle([passes(1)])
    Learner.objects.filter(pk=learner.pk).update(lms_user_id=None)  # as if the event had named the username only
    pipeline.handle([passing(time=at(3), course_key=ALGEBRA, lms_user_id=5, username="zorglub", is_passing=False)])
    assert statuses() == ["awarded"]

    pipeline.handle([passes(4, BOTANY)])

    assert Learner.objects.get(lms_user_id=5).pk == learner.pk
    assert (statuses(), statuses("botanist")) == (["revoked"], ["awarded"])
    assert [at for _key, at in fulfilled()] == [at(4)]
    revoked = UserCredential.objects.get(template__slug="star")
    assert revoked.revocation_event_time == at(3)


def test_a_stored_penalty_counts_also_when_other_code_makes_the_id_known(passes, passing):
    star()
    learner = LearnerFactory(lms_user_id=None, user=UserFactory(username="spirou5"))
    pipeline.handle([passes(1)])
    Learner.objects.filter(pk=learner.pk).update(lms_user_id=None)  # as if the event had named the username only
    pipeline.handle([passing(time=at(3), course_key=ALGEBRA, lms_user_id=5, username="zorglub", is_passing=False)])
    person = api.LearnerData(5, is_active=True, username="spirou5", email="", name="")

    found = api.get_or_create_learners([person])

    assert found[5].pk == learner.pk
    assert statuses() == ["revoked"]
    assert UserCredential.objects.get().revocation_event_time == at(3)


def test_only_the_person_of_the_event_is_penalized(passes, fails):
    star()
    pipeline.handle([passes(1, number=5), passes(1, number=6)])

    pipeline.handle([fails(3, number=6), fails(3, number=7)])

    assert [(each.learner.lms_user_id, each.status) for each in UserCredential.objects.order_by("learner")] == [
        (5, "awarded"),
        (6, "revoked"),
    ]


def test_penalties_of_signals_are_decided_from_the_inbox(passes, fails):
    star()
    pipeline.handle([passes(1)])

    assert pipeline.receive(fails(3))
    assert pipeline.receive(fails(3, number=41))
    assert pipeline.process_pending().revoked == 1

    assert RequirementReset.objects.count() == 2


def test_a_retired_person_leaves_no_penalty_behind_and_gets_none(passes, fails):
    star()
    pipeline.handle([passes(1, number=5), fails(3, number=5), fails(3, number=6), fails(3, number=7)])

    api.retire(5)
    gone = api.retire(6)

    assert gone.counts["lms_badges"]["resets of requirements"] == 1
    assert [row.person for row in RequirementReset.objects.all()] == [7]
    pipeline.handle([fails(4, number=5), fails(4, number=6)])
    assert [row.person for row in RequirementReset.objects.all()] == [7]


def test_a_person_who_is_retired_after_the_look_up_gets_no_penalty(fails, monkeypatch):
    star()
    look_up = learners.look_up

    def then_retire(*args: Any, **kwargs: Any) -> Any:
        found = look_up(*args, **kwargs)
        api.retire(5)
        return found

    monkeypatch.setattr(learners, "look_up", then_retire)
    pipeline.handle([fails(3)])

    assert not RequirementReset.objects.exists()
    assert not Learner.objects.exists()
    assert not InboxMessage.objects.exclude(payload=None).exists()


def test_penalties_of_people_without_a_learner_are_deleted_in_their_time(passes, fails, settings):
    star()
    pipeline.handle([passes(1, number=5), fails(3, number=5), fails(3, number=6)], now=at(3))
    pipeline.handle([fails(4, number=7)], now=at(4) + dt.timedelta(days=1))

    settings.LMS_BADGES_CONFIG = {"penalty_days": None}
    assert tasks.delete_old_data(now=at(3) + dt.timedelta(days=9)).penalties == 0
    settings.LMS_BADGES_CONFIG = {"penalty_days": 8}
    assert tasks.delete_old_data(now=at(3) + dt.timedelta(days=8, seconds=1)).penalties == 1

    assert sorted(row.person for row in RequirementReset.objects.all()) == [5, 7]


def test_whoever_creates_a_learner_waits_for_a_penalty_about_the_same_person(passes, fails):
    star()
    created = threading.Event()

    def create() -> None:
        try:
            pipeline.handle([passes(1)])
            created.set()
        finally:
            connections.close_all()

    thread = threading.Thread(target=create)
    with transaction.atomic():
        learners.reserve({5})
        thread.start()
        assert not created.wait(0.3)
    thread.join(30)

    assert created.is_set()
    assert statuses() == ["awarded"]


def test_a_template_with_nothing_but_penalties_of_people_can_be_deleted(fails):
    template = star()
    pipeline.handle([fails(3)])

    template.delete()

    assert not RequirementReset.objects.exists()


# --- criteria --------------------------------------------------------------------------------------------------------

TWICE = {"event": PASSING_STATUS, "criteria": {"is_passing": True, "$eventCount": {"$gte": 2}}}


def test_a_penalty_resets_a_criteria_document_whose_count_begins_again(passes, fails):
    star(requirements=[], criteria=TWICE, penalties=[penalty("criteria", course=None)])
    pipeline.handle([passes(1), passes(2)], now=at(2))
    assert statuses() == ["awarded"]

    pipeline.handle([fails(3)], now=at(3))
    pipeline.handle([passes(4)], now=at(4))
    assert statuses() == ["revoked"]
    pipeline.handle([passes(5)], now=at(5))

    assert statuses() == ["revoked", "awarded"]


def test_a_penalty_that_arrives_first_makes_older_events_void_for_a_document(passes, fails):
    star(requirements=[], criteria=TWICE, penalties=[penalty("criteria", course=None)])

    pipeline.handle([fails(3)], now=at(3))
    pipeline.handle([passes(1), passes(2)], now=at(4))
    assert statuses() == []
    pipeline.handle([passes(4)], now=at(4))
    assert statuses() == []
    pipeline.handle([passes(5)], now=at(5))

    assert statuses() == ["awarded"]


def test_a_check_that_becomes_due_leaves_out_what_a_penalty_made_void(passes, fails):
    rest = {
        "$timeWindow": {"last": "1d", "flow": {"$not": {"event": PASSING_STATUS, "criteria": {"is_passing": True}}}}
    }
    once = {"event": PASSING_STATUS, "criteria": {"is_passing": True}}
    star(requirements=[], criteria={"$and": [once, rest]}, penalties=[penalty("criteria", course=None)])
    pipeline.handle([passes(1)], now=at(1))
    pipeline.handle([fails(3)], now=at(3))

    pipeline.process_pending(now=at(3) + dt.timedelta(days=2))

    assert statuses() == []


# --- what people read ------------------------------------------------------------------------------------------------


def test_progress_by_rest_and_in_the_admin_says_what_reset_a_requirement(passes, fails, client):
    template = star(requirements=[requirement("pass", course=ALGEBRA), requirement("other", course=BOTANY)])
    pipeline.handle([passes(1), passes(1, BOTANY)])
    pipeline.handle([lost := fails(3)])
    client.force_login(get_user_model().objects.create_superuser("admin"))

    (row,) = client.get("/api/badges/v1/progress/").json()["results"]
    shown = {each["key"]: each for group in row["groups"] for each in group["requirements"]}
    page = client.get(f"/admin/lms_badges/badgeprogress/{BadgeProgress.objects.get().pk}/change/").content.decode()

    assert shown["pass"]["reset"] == {
        "void_until": "2026-03-01T12:03:00Z",
        "event_source": lost.source,
        "event_id": lost.id,
        "event_type": PASSING_STATUS,
        "template_revision": template.current_revision.number,
    }
    assert (shown["pass"]["fulfilled_at"], shown["other"]["reset"]) == (None, None)
    assert f"Reset by the event {lost.id} of" in page
    assert f"Reset: The event {lost.id} of" in page
    credential = UserCredential.objects.get()
    page = client.get(f"/admin/lms_badges/usercredential/{credential.pk}/change/").content.decode()
    assert f"The event {lost.id} of" in page
