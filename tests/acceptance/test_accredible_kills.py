"""
What an operator relies on when a machine fails: badges at Accredible are neither lost nor issued twice.

The worker is a separate process that is killed with SIGKILL. The stand-in for Accredible is another one. It stores a
badge before it answers. Its group allows duplicates, so it would accept a second badge.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from badges import api, delivery
from badges.issuers.accredible.models import AccredibleBadge
from badges.testing.accredible import AccredibleProcess
from badges.testing.accredible.provider import is_over
from tests.factories import LearnerFactory, make_template
from tests.services.processes import Process

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def accredible(tmp_path: Path, settings: Any, transactional_db: None) -> Iterator[AccredibleProcess]:
    with AccredibleProcess(state=tmp_path / "accredible.sqlite3") as process:
        accredible = {"ACCREDIBLE_API_BASE_URL": process.url, "ORGANIZATIONS": {"academy": process.key}}
        settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "accredible": accredible}
        yield process


@pytest.mark.parametrize("then", ["nothing", "revoked"])
def test_a_worker_killed_between_the_answer_and_our_commit_leaves_one_badge_bound_once(
    accredible: AccredibleProcess, settings: Any, run_manage: Callable[..., Process], then: str
) -> None:
    group = accredible.add_group(allows_duplicates=True).id
    issuer = {"provider": "accredible", "organization": "academy", "template": str(group)}
    template, learner = make_template(issuers=[issuer]), LearnerFactory()
    api.award(learner, template.slug)
    accredible.slow_down(seconds=30, on="issue", times=1)
    config = json.dumps(settings.LMS_BADGES_CONFIG)
    env = {"DJANGO_SETTINGS_MODULE": "tests.delivery.host", "LMS_BADGES_CONFIG": config}
    process = run_manage("badges_drain", "--forever", env=env)
    process.wait_until(lambda: accredible.credentials, what="a badge at Accredible")
    process.kill()
    (there,) = accredible.credentials
    if then == "revoked":
        api.revoke(learner, template.slug)
    delivery.drain(now=timezone.now() + timedelta(minutes=10))
    delivery.drain(now=timezone.now() + timedelta(minutes=20))
    (badge,) = AccredibleBadge.objects.all()
    assert [each.id for each in accredible.credentials] == [there.id]
    assert is_over(accredible.credentials[0]) is (then == "revoked")
    assert (badge.external_id, badge.state) == (str(there.id), "revoked" if then == "revoked" else "accepted")
