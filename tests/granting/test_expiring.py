"""What learners and operators rely on when badges end: held until the end, expired once, and earned again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from badges import api, pipeline
from badges.announcements.cloud_events import event_of
from badges.awarding.models import UserCredential
from badges.exceptions import AlreadyHeldError, NotHeldError
from badges.granting.expiring import expire_due
from badges.models import BadgeProgress, Fulfillment, Learner, OutboxMessage
from tests.factories import (
    ALGEBRA,
    GEOMETRY,
    NOON,
    UserCredentialFactory,
    make_passing,
    make_template,
    penalty,
    requirement,
)
from tests.support.statement_counts import counted_statements
from tests.support.threads import outcomes_at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

DAY = dt.timedelta(days=1)
# The template of these tests gives badges that hold for a year. They can be renewed in the last thirty days.
END = dt.datetime(2027, 3, 14, 12, 0, tzinfo=dt.UTC)


def template(**given: Any) -> Any:
    return make_template(**{"slug": "first-aid", "expiry": {"years": 1}, **given})


def pass_course(at: dt.datetime, *, course: str = ALGEBRA, decided_at: dt.datetime | None = None, **given: Any) -> int:
    """Let a learner pass a course at a moment, and decide it then or later. Return the number of awards."""
    event = make_passing(course_key=course, lms_user_id=41, username="spirou", time=at, **given)
    return pipeline.handle([event], now=decided_at or at).awarded


def statuses(at: dt.datetime) -> list[str]:
    rows = UserCredential.objects.order_by("awarded_at", "id")
    return [row.status_at(at) for row in rows]


def announced() -> list[str]:
    return list(OutboxMessage.objects.filter(channel="announce").order_by("sequence").values_list("type", flat=True))


def test_a_badge_is_held_until_its_end_and_not_a_moment_longer() -> None:
    template()
    pass_course(NOON)
    before, after = END - dt.timedelta(microseconds=1), END
    assert UserCredential.objects.get().valid_until == END
    assert (statuses(before), statuses(after)) == (["awarded"], ["expired"])
    assert expire_due(now=before) == 0
    assert expire_due(now=after) == 1
    assert expire_due(now=after) == 0
    row = UserCredential.objects.get()
    assert (row.status, row.active_key, row.ended_at) == ("expired", None, END)


def test_a_badge_without_expiry_holds_for_ever() -> None:
    template(expiry=None)
    pass_course(NOON)
    assert UserCredential.objects.get().valid_until is None
    assert expire_due(now=NOON + 40_000 * DAY) == 0


def test_an_expired_badge_leaves_its_history_and_is_earned_again_as_a_new_credential() -> None:
    template()
    pass_course(NOON)
    expire_due(now=END + DAY)
    (row,) = Fulfillment.objects.all()
    assert (row.active_key, row.reset_kind, row.reset_at) == (None, "expired", END + DAY)
    assert BadgeProgress.objects.get().completed_at is None
    assert pass_course(END + 2 * DAY) == 1
    assert statuses(END + 3 * DAY) == ["expired", "awarded"]
    old, new = UserCredential.objects.order_by("awarded_at")
    assert (new.awarded_at, new.replaces) == (END + 2 * DAY, None)
    assert old.ended_at == END
    assert Fulfillment.objects.count() == 2


def test_nobody_is_told_that_an_expired_badge_was_revoked_and_other_services_learn_that_it_ended(settings) -> None:
    settings.LMS_BADGES_CONFIG = {"cloud_events": {"publish": ["stickers.stickerRemovedFromUser.v1"]}}
    template()
    pass_course(NOON)
    expire_due(now=END + DAY)
    assert announced() == ["badge.awarded"]
    (published,) = OutboxMessage.objects.filter(channel="cloud-events")
    assert event_of(published)["data"]["removedAt"] == "2027-03-14T12:00:00.000000Z"


def test_an_event_between_the_end_and_the_sweep_earns_the_badge_again() -> None:
    template()
    pass_course(NOON)
    assert pass_course(END + DAY) == 1
    assert statuses(END + DAY) == ["expired", "awarded"]
    old, new = UserCredential.objects.order_by("awarded_at")
    assert (old.status, old.ended_at, new.replaces) == ("expired", END, old)
    assert expire_due(now=END + DAY) == 0


def test_a_badge_that_is_earned_anew_shortly_before_its_end_is_replaced_without_a_revocation() -> None:
    template()
    pass_course(NOON)
    assert pass_course(END - 10 * DAY) == 1
    old, new = UserCredential.objects.order_by("awarded_at")
    assert (old.status, old.active_key, old.ended_at, old.revoked_at) == ("replaced", None, END - 10 * DAY, None)
    assert (new.replaces, new.status, new.valid_until) == (old, "awarded", dt.datetime(2028, 3, 4, 12, tzinfo=dt.UTC))
    assert announced() == ["badge.awarded", "badge.awarded"]
    assert expire_due(now=END) == 0


@pytest.mark.parametrize("at", [NOON + DAY, NOON + 300 * DAY, END - 31 * DAY])
def test_an_event_long_before_the_end_renews_nothing(at: dt.datetime) -> None:
    template()
    pass_course(NOON)
    assert pass_course(at) == 0
    assert statuses(at) == ["awarded"]


def test_the_setting_says_from_when_on_a_badge_is_renewed(settings) -> None:
    settings.LMS_BADGES_CONFIG = {"expiry": {"renewal_days": 0}}
    template()
    pass_course(NOON)
    assert pass_course(END - DAY) == 0
    settings.LMS_BADGES_CONFIG = {"expiry": {"renewal_days": 2}}
    assert pass_course(END - DAY + dt.timedelta(hours=1)) == 1


def test_an_event_from_the_future_renews_nothing_before_its_time() -> None:
    template()
    pass_course(NOON)
    assert pass_course(END - DAY, decided_at=NOON + DAY) == 0


@pytest.mark.parametrize("wrong", ["30", None, True, float("nan"), 1e300])
def test_a_wrong_setting_stops_no_event(settings, wrong) -> None:
    settings.LMS_BADGES_CONFIG = {"expiry": {"renewal_days": wrong}}
    template()
    pass_course(NOON)
    assert pass_course(END - DAY) == 1


def test_events_renew_a_badge_of_a_few_days_in_its_second_half_only() -> None:
    template(expiry={"days": 4})
    pass_course(NOON)
    assert [pass_course(NOON + hours * dt.timedelta(hours=1)) for hours in (1, 47, 49, 50)] == [0, 0, 1, 0]


def test_a_date_that_comes_each_year_is_not_moved_by_a_renewal() -> None:
    template(expiry={"each_year": "06-30"})
    pass_course(NOON)
    assert pass_course(dt.datetime(2026, 6, 20, tzinfo=dt.UTC)) == 0
    assert pass_course(dt.datetime(2026, 7, 2, tzinfo=dt.UTC)) == 1
    assert UserCredential.objects.latest("awarded_at").valid_until == dt.datetime(2027, 7, 1, tzinfo=dt.UTC)


def test_a_badge_that_was_earned_anew_too_early_for_a_later_end_is_awarded_at_its_end(settings) -> None:
    settings.LMS_BADGES_CONFIG = {"cloud_events": {"publish": ["stickers.stickerRemovedFromUser.v1"]}}
    template(expiry={"each_year": "06-30"})
    pass_course(NOON)
    UserCredential.objects.update(is_public=True)
    assert pass_course(dt.datetime(2026, 6, 20, tzinfo=dt.UTC)) == 0
    end = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    assert expire_due(now=end) == 1
    old, new = UserCredential.objects.order_by("awarded_at")
    assert (old.status, old.ended_at) == ("expired", end)
    assert (new.status, new.awarded_at, new.valid_until) == ("awarded", end, dt.datetime(2027, 7, 1, tzinfo=dt.UTC))
    assert (new.replaces, new.is_public, new.cause_kind, new.cause_event_time) == (old, True, "time", end)
    assert announced() == ["badge.awarded", "badge.awarded"]
    assert OutboxMessage.objects.filter(channel="cloud-events").count() == 1
    # The facts of the second badge do not give a third one.
    assert expire_due(now=new.valid_until) == 1
    assert statuses(new.valid_until) == ["expired", "expired"]


def test_a_badge_with_a_shorter_time_now_that_was_earned_anew_is_awarded_at_its_end() -> None:
    template()
    pass_course(NOON)
    template(expiry={"days": 3})
    assert pass_course(END - 10 * DAY) == 0
    expire_due(now=END)
    assert statuses(END) == ["expired", "awarded"]
    assert UserCredential.objects.latest("awarded_at").valid_until == END + 3 * DAY


@pytest.mark.parametrize("why", ["award_once", "is_active", "archived_at", "retired"])
def test_a_badge_that_was_earned_anew_is_not_awarded_at_its_end_where_no_event_would_award_it(why: str) -> None:
    badge = template(expiry={"each_year": "06-30"}, award_once=why == "award_once")
    pass_course(NOON)
    pass_course(dt.datetime(2026, 6, 20, tzinfo=dt.UTC))
    end = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    if why == "retired":
        Learner.objects.update(lms_user_id=None, user=None)
    elif why != "award_once":
        type(badge).objects.update(**{why: end if why == "archived_at" else False})
    assert expire_due(now=end) == 1
    assert statuses(end) == ["expired"]


def test_all_requirements_have_to_be_met_anew() -> None:
    both = [requirement("algebra", course=ALGEBRA), requirement("geometry", course=GEOMETRY)]
    template(requirements=both)
    pass_course(NOON - DAY)
    pass_course(NOON, course=GEOMETRY)
    assert pass_course(END - 10 * DAY) == 0
    assert pass_course(END - 9 * DAY, course=GEOMETRY) == 1


def test_what_was_met_shortly_before_the_end_counts_after_it() -> None:
    both = [requirement("algebra", course=ALGEBRA), requirement("geometry", course=GEOMETRY)]
    template(requirements=both)
    pass_course(NOON)
    pass_course(NOON, course=GEOMETRY)
    assert pass_course(END - 10 * DAY) == 0
    expire_due(now=END)
    active = Fulfillment.objects.filter(active_key="active")
    assert [row.requirement.key for row in active] == ["algebra"]
    assert pass_course(END + 10 * DAY, course=GEOMETRY) == 1


def test_one_of_a_group_of_alternatives_renews_the_badge() -> None:
    either = [requirement("a", course=ALGEBRA, group="one"), requirement("g", course=GEOMETRY, group="one")]
    template(requirements=either)
    pass_course(NOON)
    assert pass_course(END - 10 * DAY, course=GEOMETRY) == 1


def test_an_old_event_that_arrives_after_the_end_brings_nothing_back() -> None:
    template()
    pass_course(NOON)
    expire_due(now=END)
    assert pass_course(NOON + 100 * DAY, decided_at=END + DAY) == 0
    assert not Fulfillment.objects.filter(active_key="active").exists()
    # One that would have renewed the badge in time does.
    assert pass_course(END - DAY, decided_at=END + DAY) == 1


def test_a_criteria_document_is_earned_again_by_events_after_the_end_only() -> None:
    twice = {"event": make_passing().type, "criteria": {"is_passing": True, "$eventCount": {"$gte": 2}}}
    template(requirements=[], criteria=twice)
    assert [pass_course(NOON - DAY), pass_course(NOON)] == [0, 1]
    expire_due(now=END)
    assert [pass_course(END + DAY), pass_course(END + 2 * DAY)] == [0, 1]


def test_a_criteria_document_that_holds_again_at_the_end_is_asked_then() -> None:
    twice = {"event": make_passing().type, "criteria": {"is_passing": True, "$eventCount": {"$gte": 2}}}
    template(requirements=[], criteria=twice)
    pass_course(NOON - DAY)
    pass_course(NOON)
    assert [pass_course(END - 3 * DAY), pass_course(END - 2 * DAY)] == [0, 0]
    expire_due(now=END)
    assert pipeline.process_pending(now=END + dt.timedelta(minutes=6)).awarded == 1


def test_with_award_once_an_expired_badge_is_neither_renewed_nor_earned_again_but_staff_can_award_it() -> None:
    template(award_once=True)
    pass_course(NOON)
    assert pass_course(END - DAY) == 0
    assert pass_course(END + DAY) == 0
    expire_due(now=END + 2 * DAY)
    assert pass_course(END + 3 * DAY) == 0
    api.award(Learner.objects.get(), "first-aid", now=END + 4 * DAY)
    assert statuses(END + 4 * DAY) == ["expired", "awarded"]


def test_a_block_stands_after_a_revocation_of_a_badge_with_an_end(admin_user) -> None:
    template()
    pass_course(NOON)
    api.revoke(Learner.objects.get(), "first-aid", by=admin_user, now=NOON + DAY)
    assert expire_due(now=END) == 0
    assert pass_course(END + DAY) == 0
    assert statuses(END + DAY) == ["revoked"]


def blocked_badge(admin_user: Any) -> Learner:
    template()
    pass_course(NOON)
    learner = Learner.objects.get()
    api.revoke(learner, "first-aid", by=admin_user, now=NOON + DAY)
    return learner


def test_a_lifted_block_gives_back_the_badge_until_its_old_end(admin_user) -> None:
    learner = blocked_badge(admin_user)
    again = api.lift_block(learner, "first-aid", by=admin_user, now=NOON + 100 * DAY)
    assert again is not None
    assert (again.awarded_at, again.valid_until) == (NOON + 100 * DAY, END)


@pytest.mark.parametrize("passed_again", [None, NOON + 100 * DAY])
def test_a_block_that_is_lifted_after_the_end_gives_no_new_time_for_what_was_done_before(
    admin_user, passed_again: dt.datetime | None
) -> None:
    learner = blocked_badge(admin_user)
    if passed_again:
        pass_course(passed_again)
    assert api.lift_block(learner, "first-aid", by=admin_user, now=END) is None
    assert not UserCredential.objects.filter(blocked=True).exists()
    assert statuses(END) == ["revoked"]
    assert pass_course(END + DAY) == 1


def test_a_block_that_is_lifted_after_the_end_gives_the_badge_for_what_was_done_anew(admin_user) -> None:
    learner = blocked_badge(admin_user)
    pass_course(END - DAY)
    again = api.lift_block(learner, "first-aid", by=admin_user, now=END + DAY)
    assert again is not None
    assert again.valid_until > END + 360 * DAY


def test_after_the_end_of_a_revoked_badge_all_requirements_have_to_be_met_anew() -> None:
    template(requirements=[requirement("algebra", course=ALGEBRA), requirement("geometry", course=GEOMETRY)])
    pass_course(NOON)
    pass_course(NOON, course=GEOMETRY)
    api.revoke(Learner.objects.get(), "first-aid", now=NOON + DAY)
    assert pass_course(END + DAY) == 0
    assert pass_course(END + 2 * DAY, course=GEOMETRY) == 1


def test_what_was_met_anew_after_a_revocation_counts_after_the_end_of_the_revoked_badge() -> None:
    both = [requirement("algebra", course=ALGEBRA), requirement("geometry", course=GEOMETRY)]
    template(requirements=both, penalties=[penalty("algebra", "geometry")])
    pass_course(NOON)
    pass_course(NOON, course=GEOMETRY)
    pass_course(NOON + DAY, is_passing=False)
    assert statuses(NOON + DAY) == ["revoked"]
    pass_course(NOON + 2 * DAY, course=GEOMETRY)
    assert pass_course(END + DAY) == 1


def test_a_badge_at_its_end_can_be_awarded_by_hand_and_not_revoked() -> None:
    template()
    pass_course(NOON)
    learner = Learner.objects.get()
    with pytest.raises(NotHeldError):
        api.revoke(learner, "first-aid", now=END)
    with pytest.raises(AlreadyHeldError):
        api.award(learner, "first-aid", now=END - DAY)
    api.award(learner, "first-aid", now=END)
    assert statuses(END) == ["expired", "awarded"]


def test_editing_the_expiry_changes_later_awards_only() -> None:
    template()
    pass_course(NOON)
    template(expiry={"days": 3})
    assert UserCredential.objects.get().valid_until == END
    pipeline.handle([make_passing(lms_user_id=42, username="fantasio", time=NOON)], now=NOON)
    assert UserCredential.objects.get(learner__lms_user_id=42).valid_until == NOON + 3 * DAY
    template(expiry=None)
    assert expire_due(now=END) == 2


def test_two_events_in_one_batch_award_one_credential() -> None:
    template()
    events = [make_passing(lms_user_id=41, username="spirou", time=at) for at in (NOON, NOON + 360 * DAY)]
    assert pipeline.handle(events, now=NOON + 360 * DAY).awarded == 1


def credentials_at_their_end(count: int) -> None:
    badge = template()
    for number in range(count):
        UserCredentialFactory(template=badge, valid_until=END - number * DAY)


def test_of_parallel_sweeps_each_credential_expires_once(settings) -> None:
    settings.LMS_BADGES_CONFIG = {"cloud_events": {"publish": ["stickers.stickerRemovedFromUser.v1"]}}
    credentials_at_their_end(12)
    outcomes = outcomes_at_once([lambda: expire_due(now=END, limit=5)] * 6)
    assert not [each for each in outcomes if isinstance(each, Exception)]
    while expire_due(now=END, limit=5):
        pass
    assert UserCredential.objects.filter(status="expired").count() == 12
    assert OutboxMessage.objects.filter(channel="cloud-events").count() == 12


def test_awarding_what_was_earned_anew_costs_the_same_for_any_number() -> None:
    template(expiry={"each_year": "06-30"})
    costs = []
    for year, number in ((2026, 1), (2027, 30)):
        for day in (1, 20):
            at = dt.datetime(year, 6, day, tzinfo=dt.UTC)
            events = [make_passing(lms_user_id=each, username=f"u{each}", time=at) for each in range(1, number + 1)]
            pipeline.handle(events, now=at)
        end = dt.datetime(year, 7, 1, tzinfo=dt.UTC)
        with counted_statements() as statements:
            expire_due(now=end)
        assert UserCredential.objects.filter(awarded_at=end).count() == number
        costs.append(statements)
    assert len(costs[0]) == len(costs[1]), costs


def test_a_sweep_costs_the_same_for_any_number() -> None:
    costs = []
    for number in (1, 30):
        credentials_at_their_end(number)
        with counted_statements() as statements:
            assert expire_due(now=END) == number
        costs.append(statements)
    assert len(costs[0]) == len(costs[1]), costs
    assert len(costs[0]) <= 12, costs[0]
