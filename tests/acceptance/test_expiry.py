"""What a learner relies on: a badge that ends is told by mail, reminded of, over at its moment, and earned again."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.management import call_command

from badges.testing import events
from tests.factories import ALGEBRA, UserFactory, template_entry
from tests.support.learner_factories import signed_in
from tests.support.smtp_server import SmtpServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

AWARDED = dt.datetime(2027, 1, 31, 9, 0, tzinfo=dt.UTC)
ENDS = dt.datetime(2027, 2, 28, 9, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture
def smtp_server(settings: Any) -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.DEFAULT_FROM_EMAIL = "badges@credentials.test"
        settings.LMS_BADGES_CONFIG = {
            "public_url": "https://credentials.test",
            "mail": {"awards": True, "reminder_days": 7},
        }
        yield server


@pytest.fixture
def spirou() -> Any:
    return UserFactory(username="spirou", email="spirou@palombia.test")


class Life:
    """A learner who passes the same course again and again, on a host whose clock is set."""

    def __init__(self, account: Any, folder: Path):
        self._account = account
        self._folder = folder
        pack = {"pack": 1, "templates": [template_entry(slug="first-aid", name="First aid", expiry={"months": 1})]}
        (folder / "pack.json").write_text(json.dumps(pack))
        call_command("badges_pack", "apply", str(folder / "pack.json"), verbosity=0)

    def pass_the_course(self, at: dt.datetime) -> None:
        event = events.passing_status(course_key=ALGEBRA, lms_user_id=41, username="spirou", time=at)
        (self._folder / "events.jsonl").write_text(event.line + "\n")
        with mock.patch("django.utils.timezone.now", return_value=at):
            call_command("consume_badge_events", bus="file", input=str(self._folder / "events.jsonl"), verbosity=0)
            call_command("badges_drain", verbosity=0)

    def work(self, at: dt.datetime) -> None:
        with mock.patch("django.utils.timezone.now", return_value=at):
            call_command("badges_drain", verbosity=0)

    def badges(self, at: dt.datetime) -> list[str]:
        found = self._read("/api/badges/v1/credentials/", at)
        return [each["status"] for each in found["results"]]

    def stickers(self, at: dt.datetime) -> list[str]:
        found = self._read("/api/award/v1/users/spirou/stickers", at)
        return [each["stickerId"] for each in found["stickers"]]

    def _read(self, address: str, at: dt.datetime) -> Any:
        with mock.patch("django.utils.timezone.now", return_value=at):
            return signed_in(self._account).get(address).json()


def test_a_badge_is_earned_told_reminded_of_over_and_earned_again(
    smtp_server: SmtpServer, spirou: Any, tmp_path: Path
) -> None:
    life = Life(spirou, tmp_path)

    life.pass_the_course(AWARDED)
    assert [email["Subject"] for email in smtp_server.emails] == ["You have earned the badge First aid"]
    assert (life.badges(AWARDED), life.stickers(AWARDED)) == (["awarded"], ["first-aid"])

    life.work(ENDS - 8 * DAY)
    assert len(smtp_server.emails) == 1
    for days in (6, 5):
        life.work(ENDS - days * DAY)
    assert [email["Subject"] for email in smtp_server.emails[1:]] == ["Your badge First aid ends soon"]

    # At its moment, before anything has worked on it.
    assert (life.badges(ENDS), life.stickers(ENDS)) == (["expired"], [])
    life.work(ENDS)
    assert (life.badges(ENDS), life.stickers(ENDS)) == (["expired"], [])

    life.pass_the_course(ENDS + DAY)
    assert life.badges(ENDS + DAY) == ["awarded", "expired"]
    assert life.stickers(ENDS + DAY) == ["first-aid"]
    assert [email["Subject"] for email in smtp_server.emails[2:]] == ["You have earned the badge First aid"]


def test_a_badge_that_is_earned_anew_in_time_never_ends(smtp_server: SmtpServer, spirou: Any, tmp_path: Path) -> None:
    life = Life(spirou, tmp_path)
    life.pass_the_course(AWARDED)
    life.pass_the_course(AWARDED + 20 * DAY)
    life.work(ENDS + DAY)
    assert life.badges(ENDS + DAY) == ["awarded", "replaced"]
    subjects = [email["Subject"] for email in smtp_server.emails]
    assert subjects == ["You have earned the badge First aid", "Your badge First aid was renewed"]
