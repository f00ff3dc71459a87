"""The host's REST framework defaults do not change the plugin's responses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

from tests.factories import UserCredentialFactory
from tests.services.databases import test_database_url

LIST = "api/badges/v1/credentials/"


def ask_hostile_host(*questions: tuple[str, str]) -> list[Any]:
    """Ask in a process of its own: REST framework reads most of its defaults once, when it is imported."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.rest_api.hostile_host.settings",
        "DATABASE_URL": test_database_url(),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.rest_api.hostile_host.ask"],
        input=json.dumps(questions),
        env=environment,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.django_db(transaction=True)
def test_a_hostile_host_changes_nothing(learner: Any, learner_client: Any) -> None:
    for _ in range(2):
        UserCredentialFactory(learner=learner)
    session = learner_client.cookies["sessionid"].value
    answers = ask_hostile_host(
        (session, f"/plugins/{LIST}"),
        (session, f"/plugins/{LIST}?username={learner.user.username}"),
        (session, f"/plugins/{LIST}?lms_user_id=houba"),
        (session, f"/plugins/{LIST}nothing/"),
        ("", f"/plugins/{LIST}"),
        (session, "/plugins/api/badges/v1/progress/"),
    )
    in_reference_host = learner_client.get(f"/{LIST}").json()
    assert [status for status, _, _ in answers] == [200, 200, 400, 404, 401, 200]
    assert json.loads(answers[0][2])["results"] == json.loads(answers[1][2])["results"] == in_reference_host["results"]
    problems = [json.loads(body)["status"] for _, kind, body in answers if kind == "application/problem+json"]
    assert problems == [400, 404, 401]


@pytest.mark.django_db(transaction=True)
def test_the_document_is_ours_and_true_where_the_host_put_us(client: Any) -> None:
    ((status, _, body),) = ask_hostile_host(("", "/plugins/api/schema/"))
    in_hostile_host, in_reference_host = json.loads(body), client.get("/api/schema/").json()
    assert status == 200
    assert list(in_hostile_host["paths"]) == [f"/plugins{path}" for path in in_reference_host["paths"]]
    assert list(in_hostile_host["paths"].values()) == list(in_reference_host["paths"].values())
    assert in_hostile_host["components"] == in_reference_host["components"]
    assert in_hostile_host["info"] == in_reference_host["info"]
