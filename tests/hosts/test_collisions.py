"""What a host relies on: nothing of the plugin has a name that the host has already."""

from __future__ import annotations

import pytest

from tests.hosts.host import OURS, Host

pytestmark = [pytest.mark.tables, pytest.mark.live]


def test_no_command_of_one_hides_a_command_of_the_other(installed: Host) -> None:
    ours, theirs = installed.ask("commands", OURS)
    assert set(ours) & set(theirs) == set()
    assert {"badges_drain", "credentials_run"} <= set(ours)
    assert {"sync_organization_badge_templates", "migrate"} <= set(theirs)


def test_no_template_and_no_static_file_of_one_hides_one_of_the_other(installed: Host) -> None:
    for kind in ("templates", "static"):
        ours, theirs = installed.ask("named_files", kind, OURS)
        assert set(ours) & set(theirs) == set()
        assert ours
        assert theirs
        # In a folder of our own, so that a file which the host adds later does not meet ours either.
        assert [name for name in ours if not name.removeprefix("admin/").startswith(OURS)] == []


def test_every_address_leads_to_whom_it_belongs(installed: Host) -> None:
    namespaces, hidden = installed.ask("addresses", OURS)
    assert set(OURS) <= set(namespaces)
    assert {"badges", "api", "credentials", "credentials_api", "v1", "admin"} & set(OURS) == set()
    assert hidden == []


def test_no_table_constraint_or_index_has_a_name_of_the_hosts(installed: Host) -> None:
    ours, theirs = installed.ask("database_names", OURS)
    assert set(ours) & set(theirs) == set()
    assert [name for name in ours if not name.startswith(("lms_badges", "lms_credentials_config", "lms_cc"))] == []


def test_the_hosts_settings_are_what_they_were(installed: Host, host: Host) -> None:
    host.uninstall()
    without, with_plugin = host.ask("own_settings"), installed.ask("own_settings")
    changed = {name for name, value in without.items() if with_plugin[name] != value}
    # Apps are added, and an outgoing event where its topic is not named; nothing else of the host's changes.
    of_this_test = {"DATABASES", "MEDIA_ROOT"}
    assert changed - of_this_test <= {"INSTALLED_APPS", "EVENT_BUS_PRODUCER_CONFIG"}
    assert with_plugin["INSTALLED_APPS"][: len(without["INSTALLED_APPS"])] == without["INSTALLED_APPS"]
    for event_type, topics in without["EVENT_BUS_PRODUCER_CONFIG"].items():
        assert with_plugin["EVENT_BUS_PRODUCER_CONFIG"][event_type] == topics


def test_loggers_tasks_and_cache_keys_carry_our_names(installed: Host) -> None:
    assert installed.ask("foreign_loggers") == []
    tasks, schedule = installed.ask("tasks")
    assert tasks
    assert [name for name in tasks if not name.startswith(("badges.", "credentials_config."))] == []
    assert [name for name in schedule if not name.startswith(("badges-", "credentials-"))] == []
    keys = installed.ask("cache_keys", "/api/badges/v1/credentials/", "/credentials/verify/houba")
    assert keys
    assert [key for key in keys if not key.removeprefix("throttle_").startswith(OURS)] == []
