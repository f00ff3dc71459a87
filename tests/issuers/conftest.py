"""
A Credly to issue at, and credentials to issue.

Nothing of Django is imported on top: pytest may read this file before the settings are chosen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from uuid6 import uuid7

from badges.testing.credly import CredlyStandIn
from tests.support.providers import SLUGS, TestedProvider, tested_provider

if TYPE_CHECKING:
    from badges.awarding.models import UserCredential
    from badges.intake.models import Learner

AWARDED_AT = dt.datetime(2024, 2, 29, 23, 59, 58, tzinfo=dt.UTC)


@pytest.fixture
def credly(settings: Any) -> Iterator[CredlyStandIn]:
    """The stand-in, configured as an operator would."""
    with CredlyStandIn() as stand_in:
        settings.LMS_BADGES_CONFIG = {
            **settings.LMS_BADGES_CONFIG,
            "credly": {
                "CREDLY_API_BASE_URL": stand_in.url,
                "ORGANIZATIONS": {stand_in.organization: stand_in.token},
                "timeout": 1,
            },
        }
        yield stand_in


@pytest.fixture
def learner(db: None) -> Learner:
    """Somebody with all that Credly wants to know."""
    return make_learner(name="Ada Augusta Lovelace")


@pytest.fixture
def award(learner: Learner) -> Callable[..., UserCredential]:
    """Award a badge and prepare it for a provider, as the pipeline does."""
    from badges.awarding.models import UserCredential  # noqa: PLC0415
    from badges.catalog.models import BadgeTemplate, TemplateIssuer  # noqa: PLC0415
    from badges.issuers import registry  # noqa: PLC0415

    def to(
        whom: Learner = learner, *, organization: str, external_template: str, provider: str = "credly"
    ) -> UserCredential:
        template = BadgeTemplate.objects.create(slug=f"template-{uuid7()}", name="Analytical engine")
        revision = template.revisions.create(number=1, document="{}")
        credential = UserCredential.objects.create(
            id=uuid7(),
            learner=whom,
            template=template,
            learner_template_id=uuid7(),
            status="awarded",
            awarded_at=AWARDED_AT,
            revision=revision,
        )
        TemplateIssuer.objects.create(
            template=template, provider=provider, organization=organization, external_template=external_template
        )
        registry.prepare([(credential, (provider, organization, external_template))])
        return credential

    return to


def make_learner(
    *, name: str, username: str = "ada", email: str = "ada@example.com", lms_user_id: int = 1815
) -> Learner:
    from django.contrib.auth import get_user_model  # noqa: PLC0415

    from badges.intake.models import Learner  # noqa: PLC0415

    first, _, last = name.rpartition(" ")
    user = get_user_model().objects.create_user(username, email=email, first_name=first, last_name=last)
    return Learner.objects.create(lms_user_id=lms_user_id, user=user)


@pytest.fixture
def someone() -> Callable[..., Learner]:
    """Make a learner with this name, e-mail address, …"""
    return make_learner


@pytest.fixture(params=SLUGS)
def provider(request: Any, settings: Any) -> Iterator[TestedProvider]:
    """Each provider in turn, with its stand-in."""
    yield from tested_provider(request.param, settings)
