"""The LMS over HTTP: what it is asked, about whom, and what happens when it fails."""

from __future__ import annotations

import datetime as dt
import socket
import threading
import time

import pytest

from badges.exceptions import Permanent, Retryable
from credentials_config import lms as lms_client
from credentials_config.contracts import Person
from credentials_config.lms import UnknownContext
from credentials_config.lms.http_client import MAX_ANSWER_BYTES
from credentials_config.testing.lms import LmsStandIn
from tests.credentials_config.lms import school


@pytest.fixture
def school_lms(lms: LmsStandIn) -> LmsStandIn:
    school.fill(lms)
    return lms


def ids(people) -> list[int]:
    return [person.lms_user_id for person in people]


# Contexts


def test_a_course_has_its_own_name_and_dates(school_lms):
    context = lms_client.client().context(school.ALGEBRA)

    assert (context.key, context.name) == (school.ALGEBRA, "Algebra")
    assert context.start == dt.datetime(2026, 2, 1, 8, tzinfo=dt.UTC)
    assert context.end == dt.datetime(2026, 6, 30, 20, tzinfo=dt.UTC)


def test_a_lesson_has_its_own_name_and_the_dates_of_its_course(school_lms):
    context = lms_client.client().context(school.SHEET)

    assert (context.key, context.name) == (school.SHEET, "sheet 1")
    assert context.end == dt.datetime(2026, 6, 30, 20, tzinfo=dt.UTC)


def test_a_pathway_lasts_from_the_first_start_to_the_last_end(school_lms):
    context = lms_client.client().context(school.PATHWAY)

    assert context.name == "Maths"
    assert context.start == dt.datetime(2026, 1, 10, 8, tzinfo=dt.UTC)
    assert context.end == dt.datetime(2026, 9, 1, 20, tzinfo=dt.UTC)


def test_a_pathway_with_a_course_that_never_ends_is_open(school_lms):
    school_lms.change_course(school.ALGEBRA, end=None)

    assert lms_client.client().context(school.PATHWAY).end is None


def test_a_moved_end_is_seen_at_once(school_lms):
    lms_client.client().context(school.ALGEBRA)
    school_lms.change_course(school.ALGEBRA, end="2026-07-31T20:00:00Z")

    assert lms_client.client().context(school.ALGEBRA).end == dt.datetime(2026, 7, 31, 20, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "key", [school.NOWHERE, school.SHEET.replace("sheet_1", "sheet_9"), "path-v1:Demo+Maths+2026+B"]
)
def test_a_context_that_the_lms_does_not_know_is_named_with_the_remedy(school_lms, key):
    with pytest.raises(UnknownContext, match="Correct the context key") as raised:
        lms_client.client().context(key)

    assert key in str(raised.value)


def test_nobody_is_found_in_an_unknown_course_is_an_error_and_no_empty_list(school_lms):
    with pytest.raises(UnknownContext):
        list(lms_client.client().people(school.NOWHERE))
    with pytest.raises(UnknownContext):
        lms_client.client().grades(school.NOWHERE, [Person(1001, "ada")])


def test_a_key_of_nothing_is_refused_without_asking(lms):
    with pytest.raises(Permanent, match="no key of a course"):
        lms_client.client().context("Algebra, second term")

    assert lms.calls == []


def test_steps_come_in_their_order(school_lms):
    assert lms_client.client().steps(school.PATHWAY) == [school.ALGEBRA, school.GEOMETRY]


# People


def test_everyone_who_is_actively_enrolled_comes_once_over_all_pages(school_lms):
    school_lms.enroll_many(school.ALGEBRA, 11)
    school_lms.unenroll(school.ALGEBRA, "learner-3")

    people = list(lms_client.client().people(school.ALGEBRA))

    assert sorted(ids(people)) == [1001, 1002, *range(1004, 1012)]
    assert people[0] == Person(1001, "learner-1", "learner-1@example.com", "Learner Number 1")
    assert school_lms.counts["enrollments"] == 3  # pages of four


def test_people_of_a_lesson_are_those_of_its_course(school_lms):
    school_lms.enroll_many(school.ALGEBRA, 2)

    assert ids(lms_client.client().people(school.SHEET)) == [1001, 1002]


def test_people_of_a_pathway_are_those_enrolled_in_the_pathway(school_lms):
    school_lms.enroll_many(school.ALGEBRA, 3)
    for username in ("learner-2", "learner-3"):
        school_lms.enroll(school.PATHWAY, username)
    school_lms.unenroll(school.PATHWAY, "learner-3")

    assert ids(lms_client.client().people(school.PATHWAY)) == [1002]


def test_a_name_of_blanks_counts_as_none(school_lms):
    school_lms.add_learner("ada", name="   ")
    school_lms.enroll(school.ALGEBRA, "ada")

    assert [person.name for person in lms_client.client().people(school.ALGEBRA)] == [""]


def test_people_are_found_by_name_and_by_id_and_the_unknown_are_left_out(school_lms):
    ada, bob = school_lms.add_learner("ada"), school_lms.add_learner("bob")

    found = lms_client.client().find(usernames=["ada", "nobody", "a,b"], lms_user_ids=[bob.id, 77])

    assert sorted(ids(found)) == [ada.id, bob.id]


def test_no_request_names_more_people_than_the_platform_takes(school_lms, use_lms):
    use_lms(school_lms, chunk=1000)
    school_lms.enroll_many(school.ALGEBRA, 240)

    assert len(list(lms_client.client().people(school.ALGEBRA))) == 240
    assert max(len(call.about) for call in school_lms.calls) == 100


def test_addresses_stay_short_when_names_are_long(school_lms):
    names = [f"{'ж' * 28}{number:02}" for number in range(60)]
    for name in names:
        school_lms.add_learner(name)

    assert len(list(lms_client.client().find(usernames=names))) == 60
    assert school_lms.counts["accounts"] > 1


def test_languages_are_those_that_learners_chose(school_lms):
    ada, bob = school_lms.add_learner("ada", language="ar"), school_lms.add_learner("bob")
    people = [Person(ada.id, "ada"), Person(bob.id, "bob")]

    assert lms_client.client().languages(people) == {ada.id: "ar"}


def test_a_language_that_cannot_be_asked_is_merely_unknown(school_lms):
    ada = school_lms.add_learner("ada", language="ar")
    school_lms.break_down(on="language")

    assert lms_client.client().languages([Person(ada.id, "ada")]) == {}
    assert school_lms.counts["language"] == 1


def test_enrolment_is_told_for_those_asked_about_only(school_lms):
    school_lms.enroll_many(school.ALGEBRA, 6)
    school_lms.unenroll(school.ALGEBRA, "learner-2")
    asked = [Person(1001, "learner-1"), Person(1002, "learner-2"), Person(77, "stranger")]

    assert lms_client.client().enrolled(school.ALGEBRA, asked) == {1001}
    assert school_lms.asked == {"enrollments": ["learner-1", "learner-2", "stranger"]}


@pytest.mark.parametrize("asked", [2, 9])
def test_enrolment_in_a_pathway_is_told_for_few_and_many(school_lms, asked):
    school_lms.enroll_many(school.ALGEBRA, 9)
    for number in (1, 2, 8):
        school_lms.enroll(school.PATHWAY, f"learner-{number}")
    school_lms.unenroll(school.PATHWAY, "learner-2")
    people = [Person(1000 + number, f"learner-{number}") for number in range(1, asked + 1)]

    assert lms_client.client().enrolled(school.PATHWAY, people) == {1001, 1008}.intersection(ids(people))


# What they did


def test_completions_are_asked_for_the_named_learners_in_chunks(school_lms, use_lms):
    use_lms(school_lms, chunk=3)
    school_lms.enroll_many(school.ALGEBRA, 9, completed=0.5)
    school_lms.complete(school.ALGEBRA, "learner-2", 0.75)
    people = [Person(1000 + number, f"learner-{number}") for number in (1, 2, 4, 5)]

    assert lms_client.client().completions(school.ALGEBRA, people) == {1001: 0.5, 1002: 0.75, 1004: 0.5, 1005: 0.5}
    assert school_lms.counts["completions"] == 2
    assert school_lms.asked == {"completions": ["1001", "1002", "1004", "1005"]}


def test_the_completion_of_a_lesson_is_that_of_its_own_subtree(school_lms):
    school_lms.enroll_many(school.ALGEBRA, 2, completed=0.1)
    school_lms.complete(school.SHEET, "learner-1", 1.0)
    school_lms.complete(school.key("sheet 2"), "learner-2", 1.0)
    people = [Person(1001, "learner-1"), Person(1002, "learner-2")]

    assert lms_client.client().completions(school.SHEET, people) == {1001: 1.0, 1002: 0.0}


def test_grades_are_asked_for_the_named_learners_only_and_not_for_those_who_left(school_lms):
    school_lms.enroll_many(school.ALGEBRA, 6)
    school_lms.unenroll(school.ALGEBRA, "learner-2")
    school_lms.score(school.SHEET, "learner-1", 9, 12)
    people = [Person(1001, "learner-1"), Person(1002, "learner-2"), Person(77, "stranger")]

    grades = lms_client.client().grades(school.ALGEBRA, people)

    assert list(grades) == [1001]
    sheet = grades[1001].sections[0]
    assert (sheet.key, sheet.category, sheet.percent, sheet.attempted) == (school.SHEET, "Homework", 0.75, True)
    assert [section.attempted for section in grades[1001].sections] == [True, False, False, False]
    assert school_lms.asked["gradebook"] == ["learner-1"]


def test_a_learner_known_by_id_alone_is_asked_about_by_the_name_of_today(school_lms):
    school_lms.enroll_many(school.ALGEBRA, 1, completed=0.8)
    school_lms.change_learner("learner-1", new_username="ada")

    client = lms_client.client()

    assert client.completions(school.ALGEBRA, [Person(1001, "")]) == {1001: 0.8}
    assert list(client.grades(school.ALGEBRA, [Person(1001, "")])) == [1001]
    assert client.enrolled(school.ALGEBRA, [Person(1001, "")]) == {1001}


def test_the_subsections_of_a_section_are_those_below_it(school_lms):
    client = lms_client.client()

    assert client.subsections(school.WEEK) == {school.key(name) for name in ("sheet 1", "sheet 2", "reading")}
    assert client.subsections(school.SHEET) == {school.SHEET}


# Tokens


def test_one_token_serves_many_requests(school_lms):
    for _ in range(3):
        lms_client.client().context(school.ALGEBRA)

    assert (school_lms.counts["token"], school_lms.counts["course"]) == (1, 3)


def test_threads_that_begin_together_fetch_one_token(school_lms):
    school_lms.slow_down(0.2, on="token")
    client = lms_client.client()
    threads = [threading.Thread(target=client.context, args=(school.ALGEBRA,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert school_lms.counts == {"course": 4, "token": 1}


def test_a_token_that_became_too_old_is_renewed(school_lms):
    client = lms_client.client()
    client.context(school.ALGEBRA)
    school_lms.expire_tokens()

    assert client.context(school.ALGEBRA).name == "Algebra"
    assert school_lms.counts["token"] == 2


def test_a_wrong_secret_names_the_settings_and_is_not_shown(school_lms, use_lms):
    use_lms(school_lms, client_secret="wr0ng-secret")

    with pytest.raises(Permanent, match="client_id and client_secret") as raised:
        lms_client.client().context(school.ALGEBRA)

    assert "wr0ng" not in str(raised.value)
    assert school_lms.counts == {"token": 1}


def test_other_settings_make_another_client(school_lms, use_lms):
    first = lms_client.client()
    use_lms(school_lms, chunk=7)

    assert lms_client.client() is not first
    assert lms_client.client() is lms_client.client()


# Failures


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_what_fails_for_a_moment_is_asked_again(school_lms, status):
    school_lms.break_down(status=status, on="course", times=2)

    assert lms_client.client().context(school.ALGEBRA).name == "Algebra"
    assert school_lms.counts["course"] == 3


@pytest.mark.parametrize("failure", ["drop", "html", "half", "list"])
def test_answers_that_break_are_asked_for_again(school_lms, failure):
    match failure:
        case "drop":
            school_lms.drop(on="enrollments")
        case "html":
            school_lms.answer(status=200, body="<html>login</html>", on="enrollments")
        case "half":
            school_lms.answer(status=200, body='{"results": [', on="enrollments")
        case "list":
            school_lms.answer(status=503, body="[]", on="enrollments")
    school_lms.enroll_many(school.ALGEBRA, 2)

    assert ids(lms_client.client().people(school.ALGEBRA)) == [1001, 1002]


def test_what_keeps_failing_is_given_up_for_now(school_lms):
    school_lms.break_down(on="course")

    with pytest.raises(Retryable, match=r"failed \(503\)"):
        lms_client.client().context(school.ALGEBRA)

    assert school_lms.counts["course"] == 4


def test_an_lms_that_is_down_is_retryable(school_lms):
    school_lms.refuse()

    with pytest.raises(Retryable, match="cannot be reached"):
        lms_client.client().context(school.ALGEBRA)


def test_an_lms_that_does_not_answer_is_retryable(school_lms, use_lms):
    use_lms(school_lms, timeout=0.2, attempts=1)
    school_lms.slow_down(3, on="course")

    with pytest.raises(Retryable, match="in time"):
        lms_client.client().context(school.ALGEBRA)


def test_retry_after_is_waited_for(school_lms):
    school_lms.throttle(retry_after=1, on="course", times=1)
    began = time.monotonic()

    lms_client.client().context(school.ALGEBRA)

    assert time.monotonic() - began >= 1.0


def test_retry_after_may_be_a_date(school_lms):
    school_lms.throttle(retry_after=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=4), on="course", times=1)
    began = time.monotonic()

    lms_client.client().context(school.ALGEBRA)

    assert time.monotonic() - began >= 0.5


def test_a_retry_after_that_is_too_long_is_handed_on_at_once(school_lms):
    school_lms.throttle(retry_after=3600, on="course")

    with pytest.raises(Retryable, match="429") as raised:
        lms_client.client().context(school.ALGEBRA)

    assert raised.value.retry_after == 3600
    assert school_lms.counts["course"] == 1


@pytest.mark.parametrize("invalid", ["soon", "nan", "-5", "", "Fri, 01 Mar 99999999999999999999 12:00:30 GMT"])
def test_a_retry_after_that_says_nothing_does_not_matter(school_lms, invalid):
    school_lms.throttle(retry_after=invalid, on="course", times=1)

    assert lms_client.client().context(school.ALGEBRA).name == "Algebra"


def test_a_refusal_names_the_remedy_and_nobody(school_lms):
    school_lms.enroll_many(school.ALGEBRA, 1)
    school_lms.answer(status=403, body='{"developer_message": "learner-1 is not staff"}', on="gradebook", times=None)

    with pytest.raises(Permanent, match="must be staff") as raised:
        lms_client.client().grades(school.ALGEBRA, [Person(1001, "learner-1")])

    assert "learner-1" not in str(raised.value)


def test_redirects_are_not_followed(school_lms):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        url = f"http://127.0.0.1:{stranger.getsockname()[1]}/login"
        school_lms.answer(status=302, headers={"Location": url}, on="course")

        with pytest.raises(Permanent, match="redirects"):
            lms_client.client().context(school.ALGEBRA)
        stranger.settimeout(0.1)
        with pytest.raises(TimeoutError):
            stranger.accept()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_link_to_another_host_is_not_followed(school_lms, host):
    school_lms.enroll_many(school.ALGEBRA, 9)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        school_lms.link_elsewhere(f"http://{host}:{stranger.getsockname()[1]}/next", on="enrollments")

        with pytest.raises(Permanent, match="another host"):
            list(lms_client.client().people(school.ALGEBRA))
        stranger.settimeout(0.1)
        with pytest.raises(TimeoutError):
            stranger.accept()


def test_a_link_without_a_host_or_with_the_wrong_scheme_stays_at_the_lms(school_lms):
    school_lms.enroll_many(school.ALGEBRA, 6)
    link = f"{school_lms.url.replace('http:', 'https:')}/api/enrollment/v1/enrollments?course_id={school.GEOMETRY}"
    school_lms.link_elsewhere(link.replace("+", "%2B"), on="enrollments")

    assert ids(lms_client.client().people(school.ALGEBRA)) == [1001, 1002, 1003, 1004]

    school_lms.link_elsewhere("/api/enrollment/v1/enrollments?course_id=none", on="enrollments")
    assert ids(lms_client.client().people(school.ALGEBRA)) == [1001, 1002, 1003, 1004]


def test_an_answer_that_is_too_big_names_the_setting_and_is_not_asked_for_again(school_lms):
    school_lms.answer(status=200, body=f'"{"x" * MAX_ANSWER_BYTES}"', on="course", times=None)

    with pytest.raises(Permanent, match="page_size"):
        lms_client.client().context(school.ALGEBRA)

    assert school_lms.counts["course"] == 1


def test_a_list_that_leads_to_itself_ends_with_an_error(school_lms):
    school_lms.enroll_many(school.ALGEBRA, 6)
    school_lms.link_elsewhere("/api/enrollment/v1/enrollments?course_id=none", on="enrollments", times=None)

    with pytest.raises(Permanent, match="does not end"):
        list(lms_client.client().people(school.ALGEBRA))


def test_paths_of_another_lms_come_from_the_settings(school_lms, use_lms):
    use_lms(school_lms, paths={"course": "/api/enrollment/v2/{key}"})
    with pytest.raises(UnknownContext):
        lms_client.client().context(school.ALGEBRA)
    assert school_lms.calls[-1].path == "/api/enrollment/v2/course-v1:Demo%2BAlgebra%2B2026"

    use_lms(school_lms, paths={"cuorse": "/x"})
    with pytest.raises(Permanent, match="cuorse"):
        lms_client.client().context(school.ALGEBRA)


@pytest.mark.parametrize("url", ["", "lms.example.org", "ftp://lms.example.org", "https://user:word@lms.example.org"])
def test_an_unusable_url_names_the_setting(settings, url):
    settings.CREDENTIALS_CONFIG = {"lms": {"transport": "http", "url": url}}

    with pytest.raises(Permanent, match=r"\['url'\]"):
        lms_client.client()


def test_an_unknown_transport_names_the_choices(settings):
    settings.CREDENTIALS_CONFIG = {"lms": {"transport": "grpc"}}

    with pytest.raises(Permanent, match="Choose 'auto', 'python'"):
        lms_client.client()
