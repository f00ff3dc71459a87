"""What a host like the credentials service relies on: the plugin goes in without touching anything of its own."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.hosts.host import OURS, Host

pytestmark = pytest.mark.live

SEVERITY = ("--fail-level", "ERROR")


@pytest.mark.tables
def test_everything_is_made_from_zero_in_one_go(host: Host) -> None:
    host.run("migrate")
    assert {"lms_badges_badgetemplate", "badges_badgetemplate"} <= set(host.ask("tables"))


# Which migrations others need does not differ between databases, so this runs on one of them.
@pytest.mark.parametrize("first", [*OURS, "core", "badges"])
def test_whichever_app_is_migrated_first_the_others_can_follow(host: Host, first: str) -> None:
    host.run("migrate", first)
    host.run("migrate")
    assert not host.run("showmigrations", "--list").count("[ ]")


@pytest.mark.tables
def test_it_is_added_to_a_host_that_runs_already(host: Host) -> None:
    host.uninstall()
    host.run("migrate")
    host.install()
    host.run("migrate")
    assert {"lms_badges_badgetemplate", "badges_badgetemplate"} <= set(host.ask("tables"))


@pytest.mark.tables
def test_the_host_is_well_and_has_no_migration_to_make(installed: Host) -> None:
    installed.run("check", *SEVERITY)
    installed.run("check", "--database", "default", *SEVERITY)
    installed.run("makemigrations", "--check", "--dry-run")


@pytest.mark.tables
def test_a_codename_alone_finds_one_permission_of_the_host_as_before(installed: Host) -> None:
    found = installed.ask("permissions")
    theirs = {codename for label, codename in found if label not in OURS}
    shared = {codename for label, codename in found if label in OURS and codename in theirs}
    assert not shared
    ours = Counter(codename for label, codename in found if label in OURS)
    assert ours
    assert set(ours.values()) == {1}


@pytest.mark.tables
def test_the_admin_pages_of_both_open(installed: Host) -> None:
    found = installed.ask("pages", apps=[*OURS, "badges", "credentials", "core"])
    assert len(found) > 20
    # 403: rows that nobody adds by hand.
    assert {address for address, status in found.items() if status not in (200, 403)} == set()
    assert {address for address, status in found.items() if status == 403 and not address.endswith("/add/")} == set()


@pytest.mark.tables
def test_its_api_and_the_hosts_answer_each_in_its_own_way(installed: Host) -> None:
    theirs, theirs_too, ours, error_of_ours, schema = installed.ask(
        "answers",
        ("GET", "/api/v2/credentials/"),
        ("DELETE", "/api/v2/credentials/"),
        ("GET", "/api/badges/v1/credentials/"),
        ("GET", "/api/badges/v1/credentials/houba/"),
        ("GET", "/api/schema/"),
    )
    assert theirs[0] == 200
    assert (theirs_too[0], "of_the_host" in theirs_too[2]) == (405, True)
    assert ours[0] == 200
    assert error_of_ours[:2] == [404, "application/problem+json"]
    assert schema[0] == 200


@pytest.mark.tables
def test_permissions_of_the_plugin_open_its_pages_and_none_of_the_hosts(installed: Host) -> None:
    found = installed.ask(
        "pages",
        username="looks",
        permissions=["view_lms_badges_usercredential"],
        apps=["lms_badges", "credentials", "badges"],
    )
    assert {address for address, status in found.items() if status == 200} == {"/admin/lms_badges/usercredential/"}
