"""What a host relies on that lets the plugin go: its accounts stay its own, and nothing of the plugin is left."""

from __future__ import annotations

import pytest

from tests.hosts.host import OURS, Host

pytestmark = [pytest.mark.tables, pytest.mark.live]


@pytest.fixture
def filled(migrated_host: Host) -> Host:
    """Return the host with somebody who has something in the plugin's tables."""
    migrated_host.ask("fill", "marsupilami")
    return migrated_host


def test_an_account_can_be_deleted_while_the_tables_of_the_uninstalled_plugin_are_still_there(filled: Host) -> None:
    filled.uninstall()
    assert filled.ask("delete_account", "marsupilami") == 1

    filled.install()
    before = filled.ask("look_back")
    assert (before["shown"], before["people"]) == ("1017", [None, None, None])
    assert None not in before["ids"]
    shown = filled.ask("answers", ("GET", "/admin/lms_badges/learner/"), ("GET", "/admin/lms_credentials_config/"))
    assert [status for status, _kind, _body in shown] == [200, 200]

    assert "and 3 references to rows that the host deleted" in filled.run("badges_purge")
    assert filled.ask("look_back")["ids"] == [None, None]


def test_an_account_that_is_deleted_while_the_plugin_is_there_leaves_no_reference(filled: Host) -> None:
    filled.ask("delete_account", "marsupilami")
    assert filled.ask("look_back")["ids"] == [None, None]


def test_a_periodic_task_that_was_deleted_meanwhile_is_made_anew(filled: Host) -> None:
    name = filled.ask("look_back")["task"]
    filled.ask("rows", "DELETE FROM django_celery_beat_periodictask")
    assert filled.ask("look_back")["task"] is None
    filled.ask("save_configuration")
    assert filled.ask("look_back")["task"] == name


def test_uninstalling_leaves_nothing_behind(filled: Host) -> None:
    filled.ask("log_an_entry", "marsupilami")
    planned = filled.run("badges_uninstall", "--plan")
    kinds = {"tables", "content types", "permissions", "migrations", "log", "files", "tasks", "schedules"}
    assert set(filled.ask("left", OURS)) == kinds
    lines = [line.split(maxsplit=1) for line in planned.splitlines()]
    counts = {what: int(count) for count, what in lines if count.isdigit()}
    assert counts["rows in the table lms_badges_learner"] == 1
    assert counts["periodic tasks"] == 1
    assert counts["entries of the admin's log"] == 1
    assert counts["stored files"] >= 3
    assert counts["content types"] > 10

    done = filled.run("badges_uninstall", "--apply")

    assert filled.ask("left", OURS) == {}
    assert "manage.py migrate django_celery_beat zero" in done
    assert filled.run("badges_uninstall", "--plan").startswith("There is nothing")
    filled.run("migrate", "django_celery_beat", "zero")

    filled.uninstall()
    filled.run("migrate", "--check")
    filled.run("check")
    assert filled.ask("delete_account", "marsupilami") == 1


def test_what_others_share_with_it_stays(filled: Host) -> None:
    filled.ask("add_foreign_task", "theirs")
    done = filled.run("badges_uninstall", "--apply")
    assert "django_celery_beat zero" not in done
    assert filled.ask("rows", "SELECT name FROM django_celery_beat_periodictask") == [["theirs"]]
    assert len(filled.ask("rows", "SELECT every FROM django_celery_beat_intervalschedule")) == 1
    assert "badges_badgetemplate" in filled.ask("tables")
    assert [label for label, _codename in filled.ask("permissions") if label == "badges"]


def test_uninstalling_does_what_it_is_told_and_nothing_by_itself(filled: Host) -> None:
    before = filled.ask("left", OURS)
    filled.run("badges_uninstall", succeeds=False)
    filled.run("badges_uninstall", "--plan")
    assert filled.ask("left", OURS) == before
