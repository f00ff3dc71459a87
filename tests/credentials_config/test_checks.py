"""System checks of scheduled credentials."""

from __future__ import annotations

from typing import Any

import pytest

from credentials_config.checks import check_config
from credentials_config.generators.pdf import extra

FINE = {"public_url": "https://credentials.test"}


def ids(settings: Any, **given: Any) -> list[str]:
    settings.CREDENTIALS_CONFIG = {**FINE, **given}
    return [str(message.id).rpartition(".")[2] for message in check_config()]


def test_a_host_with_a_public_address_has_no_messages(settings: Any) -> None:
    assert ids(settings) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"public_url": ""}, ["W003"]),
        ({"public_url": "credentials.test"}, ["W003"]),
        ({"isuing": {}}, ["W001"]),
        ({"issuing": {"bach": 1}}, ["W001"]),
        ({"issuing": 5}, ["E002"]),
        ({"documents": {"storage": "cellar"}}, ["E003"]),
        ({"documents": {"links": "secret"}}, ["E003"]),
        ({"schedule": {"every": 0, "period": "days"}}, ["E004"]),
        ({"schedule": {"every": 1, "period": "fortnights"}}, ["E004"]),
    ],
)
def test_each_mistake_is_reported(settings: Any, given: dict[str, Any], expected: list[str]) -> None:
    assert ids(settings, **given) == expected


def test_a_misspelt_key_gets_a_suggestion(settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {**FINE, "issuing": {"max_attempt": 3}}
    (message,) = check_config()
    assert message.hint == "Did you mean 'max_attempts'?"


def test_a_scheduler_that_does_not_read_the_database_is_reported(settings: Any) -> None:
    settings.CELERY_BEAT_SCHEDULER = "celery.beat:PersistentScheduler"
    assert ids(settings) == ["W002"]


def test_settings_that_are_no_dict_are_an_error(settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = ["public_url"]
    assert [message.id for message in check_config()] == ["lms_credentials_config.E001"]


def test_the_missing_extra_is_reported_with_what_to_install(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "LIBRARIES", ("segno", "a_library_that_nobody_has"))
    settings.CREDENTIALS_CONFIG = FINE
    (message,) = check_config()
    assert message.msg == "PDF documents need a_library_that_nobody_has: pip install 'lms-badges[pdf]'"
    assert message.id == "lms_credentials_config.W004"
