"""The package of the page "Write an issuer" is installed as is written, and issues and revokes badges."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from badges import api, delivery
from badges.catalog.validation import providers
from badges.checks import check_config
from badges.issuers import registry
from badges.models import Circuit, OutboxMessage
from badges.outbox import channels
from badges.testing.standin import ALL, Failure, Refused, Reply, Request, StandIn
from tests.factories import NOON, LearnerFactory, make_template
from tests.support.documented_code import code_blocks

PAGE = "how-tos/write-an-issuer"
TOKEN = "hall-token"

pytestmark = pytest.mark.django_db(transaction=True)


class Hall(StandIn):
    """The Badge Hall: an address for each badge."""

    verbs, observations, failure = {}, {}, Failure
    throttled = broken = ""

    def __init__(self) -> None:
        super().__init__()
        self._api = self
        self.badges: dict[str, dict[str, Any]] = {}
        self.asked = 0

    def answer(self, request: Any = None, **failure: Any) -> Any:  # type: ignore[override]
        if not isinstance(request, Request):
            return super().answer(**failure)
        self.asked += 1
        failing = self._failures.take(ALL)
        reply = Reply(200) if failing and not failing.carried_out else self._do(request)
        if failing:
            failing.apply_to(reply)
        return reply

    def _do(self, request: Request) -> Reply:
        try:
            badge = request.path.removeprefix("/badges/")
            if request.method == "PUT":
                self.badges[badge] = request.json()
            elif self.badges.pop(badge, None) is None:
                raise Refused(404, "No such badge")
        except Refused as refused:
            return Reply(refused.status, {"error": refused.message})
        return Reply(200, {})


@pytest.fixture
def hall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Hall]:
    """Install the package of the page into this process, and configure it with a Badge Hall."""
    (described,) = code_blocks(PAGE, "toml")
    project = tomllib.loads(described)["project"]
    package = tmp_path / "badge_hall"
    package.mkdir()
    models, issuer = code_blocks(PAGE, "python")
    for name, code in (("__init__", ""), ("models", models), ("issuer", issuer)):
        (package / f"{name}.py").write_text(code)
    info = tmp_path / f"badge_hall-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(tmp_path))
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "badge_hall"]
    registry.clear_cache()
    channels.clear_cache()
    providers.cache_clear()
    model = apps.get_model("badge_hall", "HallBadge")
    with connection.schema_editor() as editor:
        editor.create_model(model)
    with Hall() as standin:
        settings.LMS_BADGES_CONFIG = {"hall": {"url": standin.url, "tokens": {"library": TOKEN}, "timeout": 1}}
        yield standin
    with connection.schema_editor() as editor:
        editor.delete_model(model)
    registry.clear_cache()
    channels.clear_cache()
    providers.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "badge_hall"]:
        del sys.modules[name]
    apps.all_models.pop("badge_hall", None)


def award(learner: Any) -> Any:
    (issuer,) = code_blocks(PAGE, "json")
    return api.award(learner, make_template(slug="reader", issuers=[json.loads(issuer)]).slug, now=NOON)


def test_a_badge_is_issued_and_revoked_with_the_package_of_the_page(hall: Hall) -> None:
    learner = LearnerFactory(user__email="ada@example.com")
    credential = award(learner)
    delivery.drain()
    assert hall.badges[str(credential.pk)]["email"] == "ada@example.com"
    (issued,) = registry.issued([credential.pk])[credential.pk]
    assert (issued.provider, issued.state) == ("hall", "issued")
    api.revoke(learner, "reader", now=NOON)
    delivery.drain()
    assert hall.badges == {}
    assert registry.issued([credential.pk])[credential.pk][0].state == "revoked"
    assert check_config() == []


def test_an_outage_loses_and_doubles_nothing(hall: Hall) -> None:
    learner = LearnerFactory()
    hall.drop(carried_out=True)
    credential = award(learner)
    delivery.drain()
    assert registry.issued([credential.pk])[credential.pk][0].state == "asked"
    api.revoke(learner, "reader", now=NOON)
    delivery.try_now(OutboxMessage.objects.filter(channel="hall"))
    delivery.drain()
    delivery.drain()
    assert hall.badges == {}
    assert not OutboxMessage.objects.filter(channel="hall").exclude(state="delivered").exists()


def test_a_missing_token_is_one_problem(hall: Hall, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG["hall"]["tokens"] = {}
    award(LearnerFactory())
    delivery.drain()
    assert (Circuit.objects.get().name, Circuit.objects.get().reason) == ("hall:library", "problem")
    assert hall.asked == 0
