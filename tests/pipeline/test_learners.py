"""What a learner relies on: they get the badge, whatever their username is here and at the LMS."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from badges import pipeline
from badges.awarding.models import UserCredential
from badges.intake.models import InboxMessage, Learner

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"


@pytest.fixture(autouse=True)
def star(template):
    template("star", {"key": "pass", "course": ALGEBRA})


@pytest.fixture
def host_keeps_lms_ids(settings) -> str:
    """Let the host have a field for the LMS user id: text, as some hosts have it."""
    settings.LMS_BADGES_CONFIG = {"user_lms_id_field": "last_name"}
    return "last_name"


def test_a_person_who_was_renamed_at_the_lms_is_found_by_the_hosts_own_field(passing, host_keeps_lms_ids):
    user = get_user_model().objects.create(username="spip", **{host_keeps_lms_ids: "41"})

    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=41, username="spip-the-squirrel")])

    assert UserCredential.objects.get().learner.user == user
    assert list(get_user_model().objects.values_list("username", flat=True)) == ["spip"]


def test_a_learner_who_was_renamed_at_the_lms_stays_one_learner_and_keeps_the_account(template, passing):
    template("pair", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})
    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=41, username="spip")])

    pipeline.handle([passing(course_key=BOTANY, lms_user_id=41, username="spip-the-squirrel")])

    assert UserCredential.objects.filter(template__slug="pair").get().learner == Learner.objects.get()
    assert get_user_model().objects.get().get_username() == "spip"


def test_of_two_accounts_with_the_same_lms_id_it_is_always_the_older_one(passing, host_keeps_lms_ids):
    older, _ = (get_user_model().objects.create(username=name, **{host_keeps_lms_ids: "41"}) for name in ("b", "a"))

    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=41, username="c")])

    assert UserCredential.objects.get().learner.user == older


def test_a_username_that_the_host_knows_as_another_lms_user_is_a_dead_letter(passing, host_keeps_lms_ids):
    get_user_model().objects.create(username="zoe", **{host_keeps_lms_ids: "7"})

    result = pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=8, username="zoe")])

    assert (result.dead, result.awarded) == (1, 0)
    assert not Learner.objects.exists()


def test_a_new_account_stores_the_lms_id_in_the_hosts_own_field(passing, host_keeps_lms_ids):
    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=41, username="spip")])

    assert getattr(get_user_model().objects.get(), host_keeps_lms_ids) == "41"


def test_a_new_account_can_do_no_more_than_at_the_lms(passing):
    pipeline.handle([passing(course_key=ALGEBRA, username="spip", is_active=False)])

    user = get_user_model().objects.get()
    assert not user.is_active
    assert not user.has_usable_password()
    assert not user.check_password("")
    assert not user.is_staff


def test_a_learner_without_lms_id_gets_it_from_an_event_and_stays_one_learner(passing):
    learner = Learner.objects.create(user=get_user_model().objects.create(username="spip"))

    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=41, username="spip")])

    learner.refresh_from_db()
    assert learner.lms_user_id == 41
    assert UserCredential.objects.get().learner == learner


def test_of_two_new_people_with_one_username_the_second_is_a_dead_letter(passing):
    names = [{"lms_user_id": 9, "username": "zoe"}, {"lms_user_id": 8, "username": "zoe"}]

    result = pipeline.handle([passing(course_key=ALGEBRA, **name) for name in names])

    assert (result.dead, result.awarded) == (1, 1)
    assert InboxMessage.objects.get(state="dead").lms_user_id == 9


def test_a_pending_event_about_an_unknown_person_is_stored_with_that_reason(passing):
    pipeline.receive(passing(course_key=ALGEBRA, with_pii=False))

    pipeline.process_pending()

    assert InboxMessage.objects.values_list("state", "reason").get() == ("unmatched", "no learner")
