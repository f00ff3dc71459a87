"""What differs between a provider and what is written here is found, and repaired when somebody asks for it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from badges import api, delivery
from badges.catalog.models import BadgeTemplate, TemplateIssuer
from badges.issuers import reconciling
from badges.issuers.base import BadgeFact, KnownBadge
from badges.models import OutboxMessage, ProviderDifference, Run, UserCredential
from badges.runs import queue, worker
from badges.runs.models import RunMode
from tests.factories import NOON, LearnerFactory, make_template
from tests.support.providers import TestedProvider

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]


@pytest.fixture
def template(provider: TestedProvider) -> BadgeTemplate:
    """A template that is called the same at the provider."""
    made = provider.template(slug="star")
    rename_there(provider, made, made.name)
    return made


def place(template: BadgeTemplate) -> TemplateIssuer:
    return template.issuers.get()


def rename_there(provider: TestedProvider, template: BadgeTemplate, name: str) -> None:
    there = place(template).external_template
    if provider.slug == "credly":
        provider.standin.change_template(there, name=name)
    else:
        provider.standin.change_group(int(there), name=name)


def award(template: BadgeTemplate, number: int = 1) -> list[UserCredential]:
    awarded = [api.award(LearnerFactory(), template.slug, now=NOON) for _ in range(number)]
    delivery.drain()
    return awarded


def delete_there(provider: TestedProvider, credential: UserCredential) -> None:
    external_id = provider.external_id(provider.row(credential))
    if provider.slug == "credly":
        provider.standin.delete_badge(external_id)
    else:
        provider.standin.delete_credential(int(external_id))


def run(provider: TestedProvider, mode: RunMode = RunMode.PLAN, **parameters: Any) -> dict[str, int]:
    given = {"provider": provider.slug, "organization": provider.organization, **parameters}
    started = queue.start("reconcile_provider", mode=mode, parameters=given)
    worker.work()
    finished = Run.objects.get(pk=started.pk)
    assert finished.state == "done", finished.note
    return finished.read_counts()


def found() -> list[tuple[str, str, str]]:
    newest = Run.objects.order_by("-pk").first()
    assert newest
    rows = ProviderDifference.objects.filter(run=newest).order_by("pk")
    return [(row.difference, row.here, row.there) for row in rows]


def test_where_nothing_differs_nothing_is_told_or_done(provider: TestedProvider, template: BadgeTemplate) -> None:
    award(template, 3)
    before = OutboxMessage.objects.count()
    assert run(provider) == run(provider, RunMode.APPLY) == {}
    assert OutboxMessage.objects.count() == before


def test_a_badge_that_is_missing_there_is_issued_anew(provider: TestedProvider, template: BadgeTemplate) -> None:
    lost, _ = award(template, 2)
    delete_there(provider, lost)
    before = provider.row(lost).state
    assert run(provider) == {"missing there": 1, "would be repaired": 1}
    assert found() == [("missing_there", before, "")]
    assert provider.row(lost).state == before
    assert run(provider, RunMode.APPLY) == {"missing there": 1, "repaired": 1}
    delivery.drain()
    assert len(provider.valid_badges()) == 2
    assert provider.external_id(provider.row(lost)) in provider.valid_badges()
    assert run(provider) == {}


def test_a_badge_that_nobody_asked_for_is_issued(provider: TestedProvider, template: BadgeTemplate) -> None:
    award(template)
    late = api.award(LearnerFactory(), template.slug, now=NOON)
    OutboxMessage.objects.filter(channel=provider.slug, key=str(late.learner_template_id)).delete()
    assert run(provider) == {"missing there": 1, "would be repaired": 1}
    assert found() == [("missing_there", "created", "")]
    provider.row(late).delete()  # nor was there a row
    assert run(provider, RunMode.APPLY) == {"missing there": 1, "repaired": 1}
    delivery.drain()
    assert len(provider.valid_badges()) == 2


def test_a_badge_that_waits_or_is_a_dead_letter_is_no_difference(
    provider: TestedProvider, template: BadgeTemplate
) -> None:
    api.award(LearnerFactory(), template.slug, now=NOON)
    assert run(provider) == {}
    delivery.give_up(OutboxMessage.objects.filter(channel=provider.slug), reason="It takes too long.")
    assert OutboxMessage.objects.get(channel=provider.slug).state == "dead"
    assert run(provider) == {}


def template_with_duplicates(provider: TestedProvider) -> BadgeTemplate:
    """Make a template of which the provider issues any number to the same person."""
    there = provider.add_template(allows_duplicates=True)
    made = make_template(
        slug="star", issuers=[{"provider": provider.slug, "organization": provider.organization, "template": there}]
    )
    rename_there(provider, made, made.name)
    return made


def forget_here(provider: TestedProvider, credential: UserCredential, **columns: Any) -> str:
    """Let the row of an issued badge begin anew; return the badge's id there."""
    row = provider.row(credential)
    external_id = provider.external_id(row)
    provider.issuer.reset([KnownBadge(row.pk, external_id, row.state)])
    type(row).objects.filter(pk=row.pk).update(**columns)
    return external_id


@pytest.mark.parametrize("state", ["created", "error"])
def test_a_badge_that_is_missing_here_is_taken_over(provider: TestedProvider, state: str) -> None:
    (credential,) = award(template_with_duplicates(provider))
    external_id = forget_here(provider, credential, state=state)
    assert run(provider) == {"missing here": 1, "would be repaired": 1}
    assert run(provider, RunMode.APPLY) == {"missing here": 1, "repaired": 1}
    delivery.drain()
    assert provider.all_badges() == [external_id]
    assert provider.external_id(provider.row(credential)) == external_id


def test_a_badge_that_nobody_here_has_earned_is_for_people(provider: TestedProvider, template: BadgeTemplate) -> None:
    (credential,) = award(template)
    UserCredential.objects.filter(pk=credential.pk).delete()
    assert run(provider, RunMode.APPLY) == {"missing here": 1}
    row = ProviderDifference.objects.get()
    assert (row.credential_id, row.external_id, row.is_repaired) == (None, provider.all_badges()[0], False)
    assert len(provider.valid_badges()) == 1


def test_what_is_issued_later_than_its_award_is_taken_over_if_it_is_there(provider: TestedProvider) -> None:
    (credential,) = award(template_with_duplicates(provider))
    row = provider.row(credential)
    row.delete()
    command("badges_issue", "--template", "star", "--apply")
    delivery.drain()
    assert provider.all_badges() == [provider.external_id(row)]
    assert provider.external_id(provider.row(credential)) == provider.external_id(row)


def test_another_state_is_written(provider: TestedProvider, template: BadgeTemplate) -> None:
    (credential,) = award(template)
    there = provider.external_id(provider.row(credential))
    if provider.slug == "credly":
        provider.standin.accept_badge(there)
    else:
        provider.standin.expire_credential(int(there))
    expected = "accepted" if provider.slug == "credly" else "expired"
    assert run(provider) == {"other state": 1, "would be repaired": 1}
    assert found()[0][2] == expected
    run(provider, RunMode.APPLY)
    assert provider.row(credential).state == expected
    assert run(provider) == {}


def test_what_is_told_while_a_list_is_read_is_newer_than_the_list(
    provider: TestedProvider, template: BadgeTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    (credential,) = award(template)
    there = provider.external_id(provider.row(credential))
    if provider.slug == "credly":
        provider.standin.accept_badge(there)
    else:
        provider.standin.expire_credential(int(there))
    newer = "rejected" if provider.slug == "credly" else "pending"
    ask = provider.issuer.template

    def told_meanwhile(organization: str, external_id: str) -> Any:
        now = timezone.now()
        provider.issuer.write_badges(organization, [BadgeFact(there, newer, now)], now=now)
        return ask(organization, external_id)

    monkeypatch.setattr(provider.issuer, "template", told_meanwhile)
    run(provider, RunMode.APPLY)
    assert provider.row(credential).state == newer


@pytest.mark.parametrize("state_here", [None, "revoked"])
def test_a_badge_that_is_revoked_here_and_valid_there_is_revoked_there(
    provider: TestedProvider, template: BadgeTemplate, state_here: str | None
) -> None:
    (credential,) = award(template)
    api.revoke(credential.learner, template.slug, now=timezone.now())
    OutboxMessage.objects.filter(channel=provider.slug, type="revoke").delete()
    row = provider.row(credential)
    type(row).objects.update(state=state_here or row.state)
    assert run(provider, RunMode.APPLY) == {"other state": 1, "repaired": 1}
    assert found()[0][:2] == ("other_state", "revoked")
    delivery.drain()
    assert provider.valid_badges() == []
    assert run(provider) == {}


def test_another_name_is_told_once_for_the_template_and_changed_nowhere(
    provider: TestedProvider, template: BadgeTemplate
) -> None:
    award(template, 2)
    rename_there(provider, template, "Renamed there")
    assert run(provider, RunMode.APPLY) == {"other name": 1}
    assert found() == [("other_name", template.name, "Renamed there")]
    assert BadgeTemplate.objects.get().name == template.name


def test_another_account_that_has_none_of_the_badges_does_not_issue_them_anew(
    provider: TestedProvider, template: BadgeTemplate
) -> None:
    credentials = award(template, 3)
    for credential in credentials:
        delete_there(provider, credential)
    assert run(provider, RunMode.APPLY) == {"missing there": 3}
    assert provider.all_badges() == []
    assert run(provider, RunMode.APPLY, reissue_all=True) == {"missing there": 3, "repaired": 3}
    delivery.drain()
    assert len(provider.valid_badges()) == 3


def test_all_pages_are_compared(provider: TestedProvider, template: BadgeTemplate) -> None:
    award(template, 60)
    assert run(provider) == {}


def test_a_badge_that_a_list_has_left_out_is_looked_up_before_it_counts_as_missing(
    provider: TestedProvider, template: BadgeTemplate
) -> None:
    award(template, 30)
    provider.standin.answer(on=provider.look_up, status=200, body="{}")
    assert run(provider) == {}


def test_what_was_deleted_there_and_is_known_so_here_is_not_issued_anew(
    provider: TestedProvider, template: BadgeTemplate
) -> None:
    (credential,) = award(template)
    delete_there(provider, credential)
    type(provider.row(credential)).objects.update(state="deleted")
    assert run(provider, RunMode.APPLY) == {}


def test_what_was_taken_back_there_is_not_issued_anew(provider: TestedProvider, template: BadgeTemplate) -> None:
    (credential,) = award(template)
    delete_there(provider, credential)
    type(provider.row(credential)).objects.update(state="revoked")
    assert run(provider, RunMode.APPLY) == {"missing there": 1}
    delivery.drain()
    assert provider.all_badges() == []


def test_the_badge_of_a_retired_person_is_no_difference(provider: TestedProvider, template: BadgeTemplate) -> None:
    (credential,) = award(template)
    api.retire(credential.learner.lms_user_id)
    delivery.drain()
    assert run(provider, RunMode.APPLY) == {}


def test_a_run_that_is_interrupted_goes_on_with_its_template_and_counts_once(provider: TestedProvider) -> None:
    for number in range(3):
        (lost, _) = award(provider.template(slug=f"star-{number}"), 2)
        delete_there(provider, lost)
    given = {"provider": provider.slug, "organization": provider.organization}
    started = queue.start("reconcile_provider", mode=RunMode.APPLY, parameters=given)
    stops = iter([False, False, True] + [False] * 50)
    while Run.objects.get(pk=started.pk).is_open:
        claimed = queue.claim(now=timezone.now(), run_id=started.pk)
        assert claimed
        worker.carry_out(claimed, should_stop=lambda: next(stops))
        assert ProviderDifference.objects.filter(difference="missing_there").count() <= 3
    counts = Run.objects.get(pk=started.pk).read_counts()
    assert (counts["missing there"], counts["repaired"]) == (3, 3)
    assert Counter(ProviderDifference.objects.values_list("difference", flat=True))["missing_there"] == 3


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"organization": "unknown"}, "no organization"),
        ({"provider": "nobody"}, "No issuer 'nobody'"),
        ({"reissue_all": 1}, "reissue_all: write true or false"),
        ({"x": 1}, "x: there is no such parameter"),
    ],
)
def test_wrong_parameters_are_refused(provider: TestedProvider, parameters: dict[str, Any], words: str) -> None:
    given = {"provider": provider.slug, "organization": provider.organization, **parameters}
    with pytest.raises(Exception, match=words):
        queue.start("reconcile_provider", mode=RunMode.PLAN, parameters=given)


# --- the commands ----------------------------------------------------------------------------------------------------


def command(*words: str) -> str:
    output = io.StringIO()
    call_command(*words, stdout=output, stderr=output)
    return output.getvalue()


def test_the_command_prints_a_table_and_repairs_on_request(
    provider: TestedProvider, template: BadgeTemplate, tmp_path: Path
) -> None:
    lost, _ = award(template, 2)
    delete_there(provider, lost)
    said = command("badges_reconcile", provider.slug, "--result", str(tmp_path / "all.csv"))
    assert "missing there: 1, would be repaired: 1" in said
    assert f"missing there  {place(template).external_template}" in said
    assert "give the same command with --repair" in said
    (row,) = csv.DictReader((tmp_path / "all.csv").read_text().splitlines())
    assert (row["difference"], row["credential"], row["repaired"]) == ("missing there", str(lost.pk), "no")
    assert "repaired: 1" in command("badges_reconcile", provider.slug, "--repair")
    delivery.drain()
    assert "no differences" in command("badges_reconcile", provider.slug, "--organization", provider.organization)


def test_no_result_has_a_formula_for_a_spreadsheet(
    provider: TestedProvider, template: BadgeTemplate, tmp_path: Path
) -> None:
    rename_there(provider, template, "=1+1")
    command("badges_reconcile", provider.slug, "--result", str(tmp_path / "all.csv"))
    (row,) = csv.DictReader((tmp_path / "all.csv").read_text().splitlines())
    assert row["there"] == "'=1+1"
    (row,) = csv.DictReader(reconciling.as_csv(Run.objects.get().pk).decode().splitlines())
    assert row["there"] == "'=1+1"


def test_the_command_names_what_is_wrong(provider: TestedProvider, template: BadgeTemplate) -> None:
    with pytest.raises(CommandError, match="no provider 'nobody'"):
        command("badges_reconcile", "nobody")
    with pytest.raises(CommandError, match="no such organization"):
        command("badges_reconcile", provider.slug, "--organization", "unknown")
    provider.standin.answer(status=401, times=None)
    with pytest.raises(CommandError, match="1 of 1 organizations"):
        command("badges_reconcile", provider.slug)


def test_a_mistyped_template_does_not_keep_the_others_from_being_compared(
    provider: TestedProvider, template: BadgeTemplate
) -> None:
    lost, _ = award(template, 2)
    delete_there(provider, lost)
    mistyped = provider.template(slug="mistyped")
    TemplateIssuer.objects.filter(template=mistyped).update(external_template="../algebra")
    counts = run(provider)
    assert counts == {"missing there": 2, "would be repaired": 1}


def test_the_badges_of_a_template_are_issued_at_a_provider_that_was_added_later(provider: TestedProvider) -> None:
    template = make_template(slug="star")
    award(template, 3)
    with pytest.raises(CommandError, match="template: there is no template"):
        command("badges_issue", "--template", "star")
    TemplateIssuer.objects.create(
        template=template,
        provider=provider.slug,
        organization=provider.organization,
        external_template=provider.add_template(),
    )
    TemplateIssuer.objects.create(template=template, provider="another", organization="x", external_template="y")
    with pytest.raises(CommandError, match="provider: the template is not issued there"):
        command("badges_issue", "--template", "star", "--provider", "nowhere")
    only = ("badges_issue", "--template", "star", "--provider", provider.slug)
    said = command(*only)
    assert f"to be issued at {provider.slug}: 3" in said
    assert "--apply" in said
    delivery.drain()
    assert provider.all_badges() == []
    assert f"to be issued at {provider.slug}: 3" in command(*only, "--apply")
    delivery.drain()
    assert len(provider.valid_badges()) == 3
    assert f"to be issued at {provider.slug}: 0" in command(*only, "--apply")
