"""Issuers are found by entry points; one that is broken costs only its own badges."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from uuid6 import uuid7

from badges.awarding.models import UserCredential
from badges.exceptions import Permanent
from badges.issuers import registry
from badges.issuers.base import Issuer
from badges.issuers.credly.issuer import CredlyIssuer
from badges.issuers.credly.models import CredlyBadge
from badges.issuers.registry import ProviderChannel
from badges.outbox.models import OutboxMessage
from badges.testing.credly import CredlyStandIn

PLUGIN = """
from badges.issuers.base import Issuer

issued = []


class PaperIssuer(Issuer):
    slug = "paper"

    def prepare(self, targets):
        issued.extend(("prepared", credential.id, place.external_template) for credential, place in targets)

    def issue(self, credential_id):
        issued.append(("issued", credential_id))


class NoIssuer:
    pass
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Install a distribution with three issuers: one that works, one that cannot be imported, one that is none."""
    name = "paper_badges"
    (tmp_path / f"{name}.py").write_text(PLUGIN)
    (tmp_path / f"{name}_broken.py").write_text("raise RuntimeError('the printer is on fire')")
    info = tmp_path / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[badges.issuers]\npaper = {name}:PaperIssuer\nburning = {name}_broken:Issuer\nrock = {name}:NoIssuer\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.clear_cache()
    yield name
    registry.clear_cache()
    sys.modules.pop(name, None)


def message(**payload: Any) -> OutboxMessage:
    return OutboxMessage(sequence=5, channel="paper", key="1", type="issue", payload=json.dumps(payload))


def test_credly_comes_with_the_package() -> None:
    assert isinstance(registry.get("credly"), CredlyIssuer)
    assert "credly" in registry.slugs()


def test_a_plugin_is_found_by_its_entry_point_and_gets_its_messages(plugins: str) -> None:
    credential_id = uuid7()
    assert isinstance(registry.get("paper"), Issuer)
    channel = ProviderChannel("paper")
    channel(message(credential=str(credential_id)))
    assert sys.modules[plugins].issued == [("issued", credential_id)]
    assert channel.circuits(message(credential=str(credential_id))) == ("paper",)


@pytest.mark.parametrize(
    ("slug", "words"),
    [
        ("stone", "No issuer 'stone' is installed .*credly, paper, rock.*Install"),
        ("burning", r"cannot be loaded \(RuntimeError\)\. Repair"),
        ("rock", "is no badges.issuers.base.Issuer but a NoIssuer. Repair"),
    ],
)
def test_an_issuer_that_does_not_work_is_named_with_the_remedy(plugins: str, slug: str, words: str) -> None:
    with pytest.raises(Permanent, match=words):
        ProviderChannel(slug)(message(credential=str(uuid7())))
    assert ProviderChannel(slug).circuits(message(credential=str(uuid7()))) == ()


@pytest.mark.parametrize("payload", ["", "[]", "{}", '{"credential": null}', '{"credential": 7}'])
def test_a_message_that_says_nothing_is_a_dead_letter_that_names_its_row(payload: str) -> None:
    row = OutboxMessage(sequence=5, channel="credly", key="1", type="issue", payload=payload)
    with pytest.raises(Permanent, match="Outbox row 5"):
        ProviderChannel("credly")(row)


@pytest.mark.tables
@pytest.mark.django_db
def test_a_provider_that_is_not_installed_does_not_stop_the_award_of_others(
    award: Callable[..., UserCredential], plugins: str
) -> None:
    first = award(organization="o1", external_template="t1")
    second = award(organization="o2", external_template="t2", provider="stone")
    CredlyBadge.objects.all().delete()
    registry.prepare(
        [
            (first, ("stone", "o3", "t3")),
            (second, ("credly", "o4", "t4")),
            (first, ("credly", "o5", "t5")),
            (second, ("paper", "o6", "t6")),
        ]
    )
    assert set(CredlyBadge.objects.values_list("credential_id", "organization", "external_template", "state")) == {
        (second.id, "", "", "created"),
        (first.id, "", "", "created"),
    }
    assert sys.modules[plugins].issued == [("prepared", second.id, "t6")]


@pytest.mark.tables
@pytest.mark.django_db
def test_preparing_costs_one_statement_whatever_the_number(
    award: Callable[..., UserCredential], django_assert_num_queries: Any
) -> None:
    credentials = [award(organization="o", external_template="t") for _ in range(30)]
    CredlyBadge.objects.all().delete()
    with django_assert_num_queries(1):
        registry.prepare([(credential, ("credly", "o", "t")) for credential in credentials])
    assert CredlyBadge.objects.count() == 30


@pytest.mark.tables
@pytest.mark.django_db
def test_what_was_awarded_while_the_issuer_was_broken_is_issued_when_retried(
    credly: CredlyStandIn, award: Callable[..., UserCredential]
) -> None:
    template = credly.add_template().id
    credential = award(organization=credly.organization, external_template=template)
    CredlyBadge.objects.all().delete()
    credential.template.issuers.all().delete()
    row = message(provider="credly", credential=str(credential.id))
    with pytest.raises(Permanent, match="not issued at Credly"):
        ProviderChannel("credly")(row)
    credential.template.issuers.create(provider="credly", organization=credly.organization, external_template=template)
    ProviderChannel("credly")(row)
    assert CredlyBadge.objects.get().state == "pending"
