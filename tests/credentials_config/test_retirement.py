"""
What a person who leaves relies on: no table and no file of the plugin holds their data afterwards.

The tables are found by asking Django for the models of both apps, so a new table is searched without being named here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection

from badges import api, pipeline
from badges.catalog.causes import CauseKind
from badges.intake.events import Unreadable
from badges.models import Learner, Run, UserCredential
from badges.runs import kinds, worker
from badges.runs import queue as badges_runs
from badges.runs.models import RunMode
from credentials_config.issuing import lifecycle
from credentials_config.models import Credential
from credentials_config.testing.lms import LmsStandIn
from tests.factories import ALGEBRA, make_passing, make_template
from tests.support.certificates import NOW, START, configure_certificate, deliver, issue, make, run
from tests.support.listing_run import Listing

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables, pytest.mark.usefixtures("text_generator")]

OURS = ("lms_badges", "lms_credentials_config")
LMS_ID = 918273645
CANARIES = (str(LMS_ID), "canary-username", "Canary-Fullname", "canary-mail", "canary-reason", "canary-note")
BOTANY = "course-v1:Canaries+Botany+2026"


def rows_with_a_canary() -> Iterator[str]:
    """Yield where a canary is, by table and column, without asking any model what is personal."""
    for label in OURS:
        for model in apps.get_app_config(label).get_models(include_auto_created=True):
            table = connection.ops.quote_name(model._meta.db_table)
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM {table}")
                columns = [column[0] for column in cursor.description]
                for row in cursor.fetchall():
                    for column, value in zip(columns, row, strict=True):
                        text = value.decode(errors="replace") if isinstance(value, bytes | memoryview) else str(value)
                        yield from (
                            f"{model._meta.db_table}.{column}: {canary}" for canary in CANARIES if canary in text
                        )


def files_with_a_canary(folder: Path) -> list[str]:
    return [
        file.name
        for file in folder.rglob("*")
        if file.is_file() and any(canary.encode() in file.read_bytes() for canary in CANARIES)
    ]


def rows_that_name(user_id: Any) -> list[str]:
    """Return the columns of both apps that lead to an account."""
    return [
        f"{model._meta.db_table}.{field.column}"
        for label in OURS
        for model in apps.get_app_config(label).get_models()
        for field in model._meta.concrete_fields
        if field.related_model is get_user_model() and model._base_manager.filter(**{field.name: user_id}).exists()
    ]


@pytest.fixture
def listing() -> Iterator[None]:
    kinds.register("listing", Listing())
    yield
    kinds.unregister("listing")


@pytest.fixture
def canary(listing: None, lms: LmsStandIn, folder: Path, settings: Any) -> Any:
    """Let a person leave traces everywhere; return their account."""
    settings.LMS_BADGES_CONFIG = {"keep_unmatched": True}
    author = get_user_model().objects.create(username="canary-username", email="canary-mail@example.com")
    make_template("star", {"key": "pass", "course": ALGEBRA})
    make_template("half", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})
    person = {"lms_user_id": LMS_ID, "username": "canary-username", "name": "Canary-Fullname"}
    # decided, a near miss, one that waits, and what nobody could decode
    pipeline.handle([make_passing(course_key=ALGEBRA, **person)])
    pipeline.handle([make_passing(course_key=BOTANY, is_passing=False, **person)])
    pipeline.receive(make_passing(course_key=BOTANY, **person))
    broken = json.dumps({"data": {"name": "Canary-Fullname", "email": "canary-mail@example.com", "id": LMS_ID}})[:-1]
    pipeline.handle([Unreadable("file:x@3 5f", "This is not JSON.", received_from="file:x:3", body=broken)])
    # certificates: one with its document, one that waits for it, and a run that the person started
    lms.add_course(ALGEBRA, name="Algebra", start=START)
    lms.add_learner("canary-username", id=LMS_ID, name="Canary-Fullname", email="canary-mail@example.com")
    lms.enroll(ALGEBRA, "canary-username")
    lms.complete(ALGEBRA, "canary-username", 1.0)
    issue(configure_certificate())
    made = Credential.objects.get()
    lifecycle.reissue([made], now=NOW)
    Credential.objects.update(internal_note="canary-note about Canary-Fullname")
    searched = run(configure_certificate(), person=author)
    # runs of a kind that names people in its parameters, its result and a note
    named: dict[str, Any] = {"people": [LMS_ID, "canary-username"]}
    badges_runs.start("listing", mode=RunMode.APPLY, parameters=named)
    worker.work()
    badges_runs.start("listing", mode=RunMode.APPLY, parameters={**named, "person": "canary-username"})
    Run.objects.filter(pk=searched.pk).update(note=f"LMS user {LMS_ID} (canary-username) is unknown.")
    # what the person did by hand, and what was written about the person
    UserCredential.objects.update(cause_kind=CauseKind.PERSON, cause_person=author, cause_reason="canary-reason")
    return author


def test_nothing_of_a_retired_person_is_left_in_any_table_or_file(canary: Any, folder: Path) -> None:
    before = set(rows_with_a_canary())
    assert {place.rpartition(":")[2].strip() for place in before} >= set(CANARIES), "each was stored somewhere"
    assert {Path(name).suffix for name in files_with_a_canary(folder)} == {".txt", ".csv"}
    assert len(rows_that_name(canary.pk)) >= 3

    api.retire(LMS_ID)
    deliver()
    pipeline.process_pending()
    make()
    worker.work()

    assert list(rows_with_a_canary()) == []
    assert files_with_a_canary(folder) == []
    assert rows_that_name(canary.pk) == []


def test_the_facts_stay_without_the_person(canary: Any) -> None:
    code = Credential.objects.exclude(document="").get().verification_code

    api.retire(LMS_ID)

    assert UserCredential.objects.get(template__slug="star").learner == Learner.objects.get()
    assert Credential.objects.get(verification_code=code).status == "available"


@pytest.mark.parametrize("is_retired", [False, True])
def test_waiting_deliveries_reach_nobody(canary: Any, mailoutbox: list[Any], is_retired: bool) -> None:
    if is_retired:
        api.retire(LMS_ID)
    deliver()

    assert bool(mailoutbox) is not is_retired
