"""The stand-in LMS, as a client sees it that knows only the platform's documentation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from credentials_config.testing.lms import ENDPOINTS, LmsProcess, LmsStandIn, RemoteLms

ALGEBRA = "course-v1:Demo+Algebra+2026"
PATHWAY = "path-v1:Demo+Maths+2026+A"


@pytest.fixture
def lms() -> Iterator[LmsStandIn]:
    with LmsStandIn(page_size=2) as lms:
        lms.add_course(ALGEBRA, name="Algebra", policy=[{"assignment_type": "Exam", "count": 2, "dropped": 1}])
        yield lms


@pytest.fixture
def ask(lms: LmsStandIn) -> Iterator[Any]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"JWT {token(lms.url)}"

        def ask(path: str, **parameters: Any) -> requests.Response:
            return session.get(path if path.startswith("http") else lms.url + path, params=parameters, timeout=10)

        yield ask


def token(url: str, **changes: str) -> str:
    return ask_token(url, **changes).json()["access_token"]


def ask_token(url: str, **changes: str) -> requests.Response:
    form = {
        "grant_type": "client_credentials",
        "client_id": "stand-in-client",
        "client_secret": "stand-in-secret",
        "token_type": "jwt",
    }
    return requests.post(f"{url}/oauth2/access_token", data=form | changes, timeout=10)


# Tokens


def test_a_token_is_given_for_the_secret_only(lms):
    answer = ask_token(lms.url)

    assert (answer.status_code, answer.json()["token_type"], answer.json()["expires_in"]) == (200, "JWT", 3600)
    assert ask_token(lms.url, client_secret="guess").status_code == 401
    assert ask_token(lms.url, grant_type="password").status_code == 400


@pytest.mark.parametrize("header", [None, "JWT guess", "Basic c3RhbmQtaW4="])
def test_nothing_is_told_without_a_token(lms, header):
    headers = {"Authorization": header} if header else {}

    answer = requests.get(f"{lms.url}/api/courses/v1/courses/{ALGEBRA}/", headers=headers, timeout=10)

    assert answer.status_code == 401


# Answers


def test_the_pages_of_a_list_hold_everyone_once(lms, ask):
    lms.enroll_many(ALGEBRA, 5)
    lms.unenroll(ALGEBRA, "learner-2")

    page, users = ask("/api/enrollment/v1/enrollments", course_id=ALGEBRA).json(), []
    users += [(entry["user"], entry["is_active"]) for entry in page["results"]]
    while page["next"]:
        page = ask(page["next"]).json()
        assert len(page["results"]) <= 2
        users += [(entry["user"], entry["is_active"]) for entry in page["results"]]

    assert users == [(f"learner-{number}", number != 2) for number in range(1, 6)]


def test_the_numbered_pages_of_completions_hold_those_asked_for(lms, ask):
    lms.enroll_many(ALGEBRA, 5, completed=0.5)
    path = f"/completion-aggregator/v1/course/{ALGEBRA}/"

    page = ask(path, user_ids="1001,1003,1005", page_size=50).json()
    following = ask(page["pagination"]["next"]).json()

    assert [entry["username"] for entry in page["results"] + following["results"]] == [
        "learner-1",
        "learner-3",
        "learner-5",
    ]
    assert following["pagination"]["next"] is None
    assert page["results"][0]["completion"] == {"earned": 50.0, "possible": 100.0, "percent": 0.5}


def test_the_course_grade_drops_the_lowest_and_is_rounded_to_whole_per_cents(lms, ask):
    first, second = (lms.add_subsection(ALGEBRA, name, category="Exam").key for name in ("first", "second"))
    lms.enroll_many(ALGEBRA, 1)
    lms.score(first, "learner-1", 2, 3)
    lms.score(second, "learner-1", 1, 3)

    entry = ask(f"/api/grades/v1/gradebook/{ALGEBRA}/", username="learner-1").json()

    assert (entry["percent"], entry["user_id"]) == (0.67, 1001)
    assert [section["percent"] for section in entry["section_breakdown"]] == [2 / 3, 1 / 3]


def test_the_gradebook_knows_those_who_left_and_not_strangers(lms, ask):
    lms.enroll_many(ALGEBRA, 1)
    lms.unenroll(ALGEBRA, "learner-1")
    lms.add_learner("stranger")

    assert ask(f"/api/grades/v1/gradebook/{ALGEBRA}/", username="learner-1").status_code == 200
    assert ask(f"/api/grades/v1/gradebook/{ALGEBRA}/", username="stranger").status_code == 404


def test_odd_data_is_told_as_it_is(lms, ask):
    lms.enroll_many(ALGEBRA, 1)
    lms.garble_grades(ALGEBRA, "learner-1", percent="A+", section_breakdown=None)
    lms.garble_completion(ALGEBRA, "learner-1", None)

    entry = ask(f"/api/grades/v1/gradebook/{ALGEBRA}/", username="learner-1").json()
    (completion,) = ask(f"/completion-aggregator/v1/course/{ALGEBRA}/", user_ids="1001").json()["results"]

    assert (entry["percent"], entry["section_breakdown"]) == ("A+", None)
    assert completion["completion"]["percent"] is None


def test_a_pathway_has_steps_with_dates_and_learners_by_id(lms, ask):
    lms.add_path(PATHWAY, name="Maths", steps=[ALGEBRA])
    lms.enroll_many(ALGEBRA, 2)
    lms.enroll(PATHWAY, "learner-1")
    lms.enroll(PATHWAY, "learner-2", is_active=False)

    path = ask(f"/api/learning_paths/v1/learning-paths/{PATHWAY}/").json()
    enrolments = ask(f"/api/learning_paths/v1/{PATHWAY}/enrollments/").json()

    assert path["display_name"] == "Maths"
    assert [(step["course_key"], step["course_dates"]) for step in path["steps"]] == [
        (ALGEBRA, ["2020-01-01T00:00:00Z", None])
    ]
    assert [entry["user"] for entry in enrolments] == [1001]


@pytest.mark.parametrize(
    ("path", "parameters", "status"),
    [
        ("/api/courses/v1/courses/course-v1:No+No+No/", {}, 404),
        ("/api/courses/v1/blocks/block-v1:No+No+No+type@sequential+block@no/", {}, 404),
        ("/api/learning_paths/v1/learning-paths/path-v1:No+No+No+No/", {}, 404),
        ("/api/user/v1/accounts", {"username": "nobody"}, 404),
        ("/api/user/v1/accounts", {"lms_user_id": "x"}, 404),
        ("/api/user/v1/preferences/nobody/pref-lang", {}, 404),
        ("/api/enrollment/v1/enrollments", {"username": ",".join(f"u{number}" for number in range(101))}, 400),
        (f"/completion-aggregator/v1/course/{ALGEBRA}/", {"requested_fields": "problem"}, 400),
        ("/api/nothing/v1/", {}, 404),
    ],
)
def test_what_the_platform_refuses_is_refused(ask, path, parameters, status):
    assert ask(path, **parameters).status_code == status


# What goes wrong


def test_a_failure_hits_its_endpoint_as_often_as_asked(lms, ask):
    lms.break_down(on="course", times=2)
    path = f"/api/courses/v1/courses/{ALGEBRA}/"

    assert [ask(path).status_code for _ in range(3)] == [503, 503, 200]
    assert ask(f"/api/grades/v1/policy/courses/{ALGEBRA}/").status_code == 200


def test_throttling_names_the_time_and_dropping_says_nothing(lms, ask):
    path = f"/api/courses/v1/courses/{ALGEBRA}/"
    lms.throttle(retry_after=7, times=1)
    assert (answer := ask(path)).status_code == 429
    assert answer.headers["Retry-After"] == "7"

    lms.drop()
    with pytest.raises(requests.ConnectionError):
        ask(path)


def test_an_unknown_kind_of_endpoint_names_those_there_are(lms):
    with pytest.raises(ValueError, match="gradebook") as raised:
        lms.break_down(on="grades")

    assert all(endpoint in str(raised.value) for endpoint in ENDPOINTS)


def test_refusing_connections_ends_by_itself_on_the_same_port(lms, ask):
    url = lms.url
    lms.refuse(seconds=2)
    with pytest.raises(requests.ConnectionError):
        ask(f"/api/courses/v1/courses/{ALGEBRA}/")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            answer = ask(f"/api/courses/v1/courses/{ALGEBRA}/")
            break
        except requests.ConnectionError:
            time.sleep(0.05)

    assert (answer.status_code, lms.url) == (200, url)


# The record of calls


def test_calls_are_counted_and_tell_whom_they_were_about(lms, ask):
    lms.enroll_many(ALGEBRA, 3)
    lms.clear_calls()

    ask(f"/api/grades/v1/gradebook/{ALGEBRA}/", username="learner-3")
    ask("/api/user/v1/accounts", username="learner-1,learner-2")
    ask(f"/completion-aggregator/v1/course/{ALGEBRA}/", user_ids="1002")

    assert lms.counts == {"accounts": 1, "completions": 1, "gradebook": 1}
    assert lms.asked == {
        "accounts": ["learner-1", "learner-2"],
        "completions": ["1002"],
        "gradebook": ["learner-3"],
    }
    assert [call.status for call in lms.calls] == [200, 200, 200]


# As a process


def test_a_process_is_steered_over_http_and_comes_back_empty_on_the_same_port(tmp_path):
    document = tmp_path / "lms.json"
    document.write_text(
        json.dumps(
            {
                "learners": [{"username": "ada", "name": "Ada"}],
                "courses": [
                    {
                        "key": ALGEBRA,
                        "policy": [{"assignment_type": "Exam", "count": 1}],
                        "subsections": [{"name": "exam", "category": "Exam"}],
                        "enrolled": {"ada": {"completed": 0.9, "scores": {"exam": 0.8}}},
                    }
                ],
                "paths": [{"key": PATHWAY, "steps": [ALGEBRA], "enrolled": ["ada"]}],
            }
        )
    )
    with LmsProcess("--load", str(document)) as lms:
        url = lms.url
        bob = lms.add_learner(username="bob")
        lms.enroll(key=ALGEBRA, username="bob")
        session = {"headers": {"Authorization": f"Bearer {token(url)}"}, "timeout": 10}
        entry = requests.get(f"{url}/api/grades/v1/gradebook/{ALGEBRA}/?username=ada", **session).json()

        assert bob.id == 1002
        assert entry["percent"] == 0.8
        assert lms.counts == {"gradebook": 1, "token": 1}
        assert [call.endpoint for call in RemoteLms(url).calls] == ["token", "gradebook"]
        with pytest.raises(ValueError, match="it is taken"):
            lms.add_learner(username="bob")
        with pytest.raises(ValueError, match="for how many seconds"):
            lms.refuse()

        lms.kill()
        lms.start()
        assert lms.url == url
        assert lms.counts == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_ends_when_told(number):
    command = [sys.executable, "-m", "credentials_config.testing.lms"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(number)
        assert process.wait(60) == 0


def test_a_process_ends_with_the_one_that_started_it():
    command = [sys.executable, "-m", "credentials_config.testing.lms", "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.stdin.close()
        assert process.wait(60) == 0


def test_a_process_that_cannot_start_says_why(tmp_path):
    (tmp_path / "broken.json").write_text("{")
    command = [sys.executable, "-m", "credentials_config.testing.lms", "--load", str(tmp_path / "broken.json")]

    result = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert result.returncode == 1
    assert "Correct --load" in result.stderr


def test_the_stand_in_needs_no_django_and_nothing_of_the_client():
    code = (
        "import sys, credentials_config.testing.lms\n"
        "strangers = ('django', 'credentials_config.lms', 'badges.issuers')\n"
        "print([name for name in sys.modules if name.startswith(strangers)])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)

    assert result.stdout.strip() == "[]", result.stderr
