"""What an operator types, and is told."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from credentials_config.issuing import run_queue
from credentials_config.models import Credential, CredentialConfiguration, CredentialRun, RunCause
from credentials_config.testing.lms import LmsStandIn
from tests.factories import GEOMETRY
from tests.support.certificates import DAY, NOW, add_algebra, assert_one_each, configure_certificate

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]


def run_command(*command: str, **options: Any) -> str:
    """Run a command and return what it prints."""
    out = io.StringIO()
    call_command(*command, stdout=out, stderr=out, verbosity=0, **options)
    return out.getvalue()


# credentials_run


def test_one_command_goes_from_nothing_to_documents(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=4)
    configure_certificate()
    output = run_command("credentials_run")
    assert "6 people looked at, 4 newly eligible." in output
    assert "Documents made: 4" in output
    assert "failed: 0." in output
    assert "badges_drain" in output
    assert_one_each(learners=4)
    assert "0 newly eligible" in run_command("credentials_run")


def test_only_enabled_and_open_configurations_run(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configure_certificate(enabled=False)
    closed = configure_certificate()
    CredentialConfiguration.objects.filter(pk=closed.pk).update(closed_at=NOW)
    lms.change_course(closed.context_key, end=NOW - 30 * DAY)
    assert "No configuration is enabled and open" in run_command("credentials_run")
    assert not CredentialRun.objects.exists()


def test_a_closed_course_whose_end_moved_runs_again(lms: LmsStandIn) -> None:
    add_algebra(lms)
    closed = configure_certificate()
    CredentialConfiguration.objects.filter(pk=closed.pk).update(closed_at=NOW)
    output = run_command("credentials_run")
    assert "Contexts that are open again: 1." in output
    assert_one_each(learners=3)


@pytest.mark.parametrize("by", ["configuration", "context"])
def test_only_what_is_named_runs(lms: LmsStandIn, by: str) -> None:
    add_algebra(lms)
    lms.add_course(GEOMETRY, name="Geometry")
    wanted, other = configure_certificate(), configure_certificate(context_key=GEOMETRY)
    run_command("credentials_run", **{by: [wanted.pk if by == "configuration" else wanted.context_key]})
    assert set(CredentialRun.objects.values_list("configuration", flat=True)) == {wanted.pk}
    assert other.runs.count() == 0


@pytest.mark.parametrize("named", [{"configuration": [424242]}, {"context": ["course-v1:No+Such+Thing"]}])
def test_what_is_not_there_is_an_error_that_names_it(named: dict[str, Any], db: None) -> None:
    with pytest.raises(CommandError, match=str(next(iter(named.values()))[0]).replace("+", r"\+")):
        run_command("credentials_run", **named)


def test_what_a_killed_worker_left_is_taken_up(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate()
    asked = run_queue.request(configuration, cause=RunCause.PERSON, now=NOW - DAY)
    assert run_queue.claim(run=asked, now=NOW - DAY) is not None
    run_command("credentials_run", no_runs=True)
    assert_one_each(learners=3)


def test_a_broken_configuration_is_told_with_its_remedy_and_the_others_go_on(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configure_certificate(options={"text_generator": {"broken": True}})
    configure_certificate()
    with pytest.raises(CommandError, match=r"text_generator\.broken: it is; repair it"):
        run_command("credentials_run")
    assert_one_each(learners=3)


def test_a_document_that_fails_is_told(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configure_certificate(options={"text_generator": {"fails_on": "Learner Number 1"}})
    with pytest.raises(CommandError, match="1 documents failed"):
        run_command("credentials_run")
    assert Credential.objects.filter(status="available").count() == 2


def test_an_lms_that_is_down_is_told(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configure_certificate()
    lms.break_down()
    with pytest.raises(CommandError, match="To be tried again"):
        run_command("credentials_run")


# credentials_generate


def test_a_dry_run_says_who_would_get_one_who_not_and_why_and_writes_nothing(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=2, unfinished=1)
    configuration = configure_certificate()
    output = run_command("credentials_generate", configuration=configuration.pk, dry_run=True)
    lines = {line.split("\t")[1]: line.split("\t")[2:] for line in output.splitlines() if "\t" in line}
    assert lines["done-1"][0] == "would get one"
    assert lines["half-1"][0] == "would not"
    assert lines["half-1"][1], "and why"
    assert "would get one: 2, has one: 0, would not: 1. Nothing was written." in output
    assert not CredentialRun.objects.exists()
    assert not Credential.objects.exists()
    run_command("credentials_generate", configuration=configuration.pk)
    again = run_command("credentials_generate", configuration=configuration.pk, dry_run=True)
    assert "would get one: 0, has one: 2, would not: 1." in again


def test_a_dry_run_says_which_date_check_fails(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate(availability="on_date", available_on="2999-01-01T00:00:00Z")
    output = run_command("credentials_generate", configuration=configuration.pk, dry_run=True)
    assert "A run now would be skipped: Credentials are available from 2999-01-01" in output


def test_generating_keeps_to_the_date_checks_unless_dates_are_ignored(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate(enabled=False, availability="on_date", available_on="2999-01-01T00:00:00Z")
    output = run_command("credentials_generate", configuration=configuration.pk)
    assert "skipped. Credentials are available from 2999-01-01" in output
    assert "--ignore-dates" in output
    run_command("credentials_generate", configuration=configuration.pk, ignore_dates=True)
    assert_one_each(learners=3)


def test_generating_twice_at_once_is_refused_with_the_reason(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate()
    assert run_queue.claim(run=run_queue.request(configuration, cause=RunCause.SCHEDULE)) is not None
    with pytest.raises(CommandError, match="runs do not overlap"):
        run_command("credentials_generate", configuration=configuration.pk)


def test_generating_from_a_broken_template_is_an_error_that_names_it(lms: LmsStandIn) -> None:
    add_algebra(lms)
    configuration = configure_certificate(options={"text_generator": {"asset": "red"}})
    with pytest.raises(CommandError, match="no asset 'red'"):
        run_command("credentials_generate", configuration=configuration.pk)


def test_generating_for_an_unknown_course_is_an_error(lms: LmsStandIn) -> None:
    configuration = configure_certificate()
    for dry_run in (True, False):
        with pytest.raises(CommandError, match="does not know"):
            run_command("credentials_generate", configuration=configuration.pk, dry_run=dry_run)
