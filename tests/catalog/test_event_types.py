"""Event types: found by settings alone, typed, and with the right path to the learner."""

import importlib

import pytest
from openedx_events.tooling import OpenEdxPublicSignal, load_all_signals

from badges.catalog import event_types
from badges.catalog.event_types import LearnerData
from badges.catalog.learner_paths import LEARNER_PATHS
from badges.conf import CCX_PASSING_STATUS, PASSING_STATUS
from badges.exceptions import UnknownEventType
from badges.rules import Kind, RuleError

ENROLLMENT = "org.openedx.learning.course.enrollment.created.v1"
EXAM = "org.openedx.learning.exam.attempt.submitted.v1"
THREAD = "org.openedx.learning.forum.thread.created.v1"
REGISTRATION = "org.openedx.learning.student.registration.completed.v1"
BADGE_AWARDED = "org.openedx.learning.badge.awarded.v1"
DUEL = "com.acme.duel.fought.v1"
LESSON = "com.acme.lesson.finished.v1"
MENTION = "com.acme.mention.made.v1"


def defined(event_type: str) -> event_types.EventDefinition:
    return event_types.define(event_types.find_signal(event_type))


def user(lms_user_id: int, username: str) -> dict:
    return {
        "id": lms_user_id,
        "is_active": True,
        "pii": {"username": username, "email": f"{username}@example.org", "name": f"{username} Name"},
    }


def test_the_two_passing_statuses_are_configured_and_our_own_output_is_not():
    assert list(event_types.configured()) == [PASSING_STATUS, CCX_PASSING_STATUS]
    with pytest.raises(UnknownEventType, match="add it to LMS_BADGES_CONFIG"):
        event_types.get(BADGE_AWARDED)


def test_our_own_output_is_an_event_type_like_others_when_asked_for(settings):
    settings.LMS_BADGES_CONFIG = {"events": [BADGE_AWARDED]}
    assert event_types.get(BADGE_AWARDED).learner_path == "badge.user"


@pytest.mark.django_db
def test_a_type_that_nobody_defines_says_so():
    with pytest.raises(UnknownEventType, match="no installed package defines it"):
        event_types.get("org.openedx.learning.nothing.v1")


def test_definitions_are_kept_until_settings_change(settings):
    before = event_types.configured()
    assert event_types.configured() is before
    settings.LMS_BADGES_CONFIG = {"events": [ENROLLMENT]}
    assert list(event_types.configured()) == [ENROLLMENT]


@pytest.mark.parametrize(
    "wrong", [{"events": None}, {"events": [5, PASSING_STATUS + "x"]}, {"rules": None}, {"learner_paths": []}]
)
def test_wrong_settings_raise_nothing_here_because_checks_speak_about_them(settings, wrong):
    settings.LMS_BADGES_CONFIG = wrong
    event_types.configured()


def test_the_learner_of_an_enrolment_made_by_staff_is_not_the_staff():
    data = {"enrollment": {"created_by": user(1, "staff"), "user": user(2, "learner")}}
    found = LearnerData(2, True, "learner", "learner@example.org", "learner Name")
    assert defined(ENROLLMENT).learner(data) == found


def test_without_personal_data_the_learner_has_only_an_id():
    data = {"course_passing_status": {"user": {"id": 7, "is_active": False, "pii": None}}}
    assert defined(PASSING_STATUS).learner(data) == LearnerData(7, False, None, None, None)


@pytest.mark.parametrize("data", [{}, {"enrollment": None}, {"enrollment": {"user": None}}, {"enrollment": "x"}])
def test_where_there_is_no_user_there_is_no_learner(data):
    assert defined(ENROLLMENT).learner(data) is None


def test_every_type_of_openedx_events_that_holds_a_user_has_a_learner():
    load_all_signals()
    signals = [s for s in OpenEdxPublicSignal.all_events() if s.event_type.startswith("org.openedx.")]
    holding = {s.event_type for s in signals if event_types.define(s).user_paths}
    undecided = {t for t in holding if defined(t).learner_path is None}
    assert len(holding) >= 30
    assert undecided == set()


def test_the_table_of_learner_paths_names_real_types_and_real_users():
    assert {t: p for t, p in LEARNER_PATHS.items() if p not in defined(t).user_paths} == {}


def test_a_configured_learner_path_wins_over_the_table(settings):
    settings.LMS_BADGES_CONFIG = {"learner_paths": {EXAM: "exam_attempt.requesting_user"}}
    assert defined(EXAM).learner_path == "exam_attempt.requesting_user"


def test_rules_see_the_single_object_of_an_event():
    status = {"is_passing": True}
    assert defined(PASSING_STATUS).subject({"course_passing_status": status}) is status
    assert defined(PASSING_STATUS).subject_shape.at("course.course_key").kind is Kind.TEXT


def test_key_paths_are_typed_and_leave_out_what_is_ignored():
    paths = dict(defined(PASSING_STATUS).key_paths())
    assert paths == {"is_passing": Kind.BOOLEAN, "course.course_key": Kind.TEXT}


@pytest.mark.parametrize("path", ["user.id", "user.pii", "user.pii.email", "course.start"])
def test_ignored_key_paths_are_refused_in_rules_with_the_setting_that_ignores_them(path):
    with pytest.raises(RuleError, match="ignored_keypaths") as refused:
        defined(PASSING_STATUS).compile(path, "exists", True)
    assert refused.value.field == "path"


def test_what_is_ignored_is_not_suggested_either():
    with pytest.raises(RuleError) as refused:
        defined(PASSING_STATUS).compile("course.display_nam", "eq", "x")
    assert "display_name" not in refused.value.message


def test_ignored_key_paths_are_a_setting(settings):
    settings.LMS_BADGES_CONFIG = {"rules": {"ignored_keypaths": ["course"]}}
    paths = dict(defined(PASSING_STATUS).key_paths())
    assert "user.pii.email" in paths
    assert "course.course_key" not in paths
    with pytest.raises(RuleError, match="ignored_keypaths"):
        defined(PASSING_STATUS).compile("course.course_key", "eq", "x")


def test_rules_that_were_saved_before_still_see_what_is_ignored_now():
    assert defined(PASSING_STATUS).subject_shape.at("user.id").kind is Kind.INTEGER


def test_ids_of_forum_threads_are_what_the_forum_has():
    shape = defined(THREAD).subject_shape
    for thread_id in (5, "6401f9"):
        assert defined(THREAD).compile("id", "eq", thread_id).holds({"id": thread_id})
    assert shape.at("group_id").nullable
    assert not shape.at("user.id").nullable


# Signals of other packages


def test_a_signal_of_another_package_is_added_by_setting_alone(settings, acme):
    settings.LMS_BADGES_CONFIG = {"events": [LESSON], "signal_modules": [acme]}
    definition = event_types.get(LESSON)
    assert definition.learner_path == "lesson.learner"
    assert definition.subject_shape.at("title").kind is Kind.TEXT


def test_a_signal_whose_module_is_imported_late_is_found_then(settings, acme):
    settings.LMS_BADGES_CONFIG = {"events": [PASSING_STATUS, LESSON]}
    assert list(event_types.configured()) == [PASSING_STATUS]
    importlib.import_module(acme)
    assert list(event_types.configured()) == [PASSING_STATUS, LESSON]


def test_one_of_two_users_is_not_guessed(settings, acme):
    settings.LMS_BADGES_CONFIG = {"events": [DUEL], "signal_modules": [acme]}
    definition = event_types.get(DUEL)
    assert definition.user_paths == ("duel.winner", "duel.loser")
    assert definition.learner({"duel": {"winner": user(3, "a"), "loser": user(4, "b")}}) is None


def test_one_of_two_users_is_told_by_setting(settings, acme):
    settings.LMS_BADGES_CONFIG = {"events": [DUEL], "signal_modules": [acme], "learner_paths": {DUEL: "duel.loser"}}
    learner = event_types.get(DUEL).learner({"duel": {"winner": user(3, "a"), "loser": user(4, "b")}})
    assert learner.lms_user_id == 4


def test_rules_on_a_signal_with_several_arguments_name_the_argument(settings, acme):
    settings.LMS_BADGES_CONFIG = {"events": [MENTION], "signal_modules": [acme], "rules": {"ignored_keypaths": []}}
    definition = event_types.get(MENTION)
    data = {"user": user(5, "a"), "weather": {"sunny": True}}
    assert definition.subject(data) is data
    assert definition.compile("weather.sunny", "eq", "yes").holds(definition.subject(data))
    assert definition.learner(data).lms_user_id == 5


def test_a_single_argument_that_is_the_user_is_both_subject_and_learner():
    data = {"user": user(6, "ada")}
    assert defined(REGISTRATION).learner(data).username == "ada"
    assert defined(REGISTRATION).subject(data)["id"] == 6


@pytest.mark.parametrize(
    ("event_type", "places"),
    [
        ("org.openedx.learning.ora.submission.created.v1", []),
        ("org.openedx.learning.auth.session.login.completed.v1", [""]),
        ("org.openedx.learning.certificate.created.v1", ["user"]),
    ],
)
def test_what_is_ignored_of_user_is_ignored_of_everybody_whom_an_event_names(
    event_type: str, places: list[str]
) -> None:
    signal = event_types.find_signal(event_type)
    assert signal is not None
    known = {path for path, _kind in event_types.define(signal).key_paths()}
    for place in places:
        for hidden in ("id", "is_active", "pii.username", "pii.email", "pii.name"):
            assert (f"{place}.{hidden}" if place else hidden) not in known


def test_no_event_class_offers_names_or_addresses_of_people_to_rules() -> None:
    offered = {}
    for event_type in event_types.known_types():
        signal = event_types.find_signal(event_type)
        assert signal is not None
        paths = [path for path, _kind in event_types.define(signal).key_paths()]
        offered[event_type] = [path for path in paths if "pii" in path.split(".")]
    assert len(offered) > 20
    assert {event_type: paths for event_type, paths in offered.items() if paths} == {}
