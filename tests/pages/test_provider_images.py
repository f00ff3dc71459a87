"""The image that a provider has for a template is shown wherever the template has no image of its own."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from badges.announcements.signals import badge_data
from badges.awarding.models import UserCredential
from badges.issuers import registry
from badges.issuers.base import TemplateFact
from badges.issuers.models import TemplateState
from badges.issuers.templates import write_templates
from badges.models import BadgeTemplate
from tests.factories import UserCredentialFactory, UserFactory, credly_issuer, make_template

pytestmark = pytest.mark.django_db
ORGANIZATION, TEMPLATE = "0e0e0e0e-0000-4000-8000-00000000000a", "7e7e7e7e-0000-4000-8000-00000000000b"
THEIRS, OWN = "https://images.example.com/theirs.png", "https://images.example.org/own.png"


def told(image: str) -> None:
    """Write what Credly says of its template."""
    fact = TemplateFact(TEMPLATE, TemplateState.ACTIVE, name="Theirs", image_url=image, management_url=f"{THEIRS}#page")
    write_templates(registry.get("credly"), ORGANIZATION, [fact], now=timezone.now())


@pytest.fixture
def held() -> UserCredential:
    template = make_template(slug="ours", issuers=[credly_issuer(ORGANIZATION, TEMPLATE)])
    return UserCredentialFactory(template=template, learner__user=UserFactory(username="ada"), is_public=True)


def shown(held: UserCredential, admin_client: Any) -> list[str]:
    """Return what shows the image: the learner's page, the public page, REST and announcements."""
    learner = Client()
    learner.force_login(held.learner.user)
    row = UserCredential.objects.select_related("template", "learner__user").get(pk=held.pk)
    return [
        learner.get("/badges/").content.decode(),
        Client().get(f"/badges/credentials/{held.pk}/").content.decode(),
        learner.get("/api/badges/v1/credentials/").content.decode(),
        admin_client.get("/api/badges/v1/templates/").content.decode(),
        str(badge_data(row)),
    ]


def test_the_image_of_the_provider_stands_in(held, admin_client):
    told(THEIRS)
    assert [THEIRS in each for each in shown(held, admin_client)] == [True] * 5


def test_an_image_of_its_own_goes_first(held, admin_client):
    told(THEIRS)
    BadgeTemplate.objects.update(image_url=OWN)
    found = shown(held, admin_client)
    assert [OWN in each for each in found] == [True] * 5
    assert [THEIRS in each for each in found] == [False] * 5


def test_no_other_scheme_is_loaded(held, admin_client):
    told("javascript:alert(1)//https://images.example.com")
    assert not any("javascript:" in each.replace("text/javascript", "") for each in shown(held, admin_client))


def test_a_template_says_what_its_providers_say(held, admin_client):
    told(THEIRS)
    detail = admin_client.get("/api/badges/v1/templates/ours/").json()
    assert detail["at_providers"] == [
        {
            "provider": "credly",
            "organization": ORGANIZATION,
            "template": TEMPLATE,
            "name": "Theirs",
            "state": "active",
            "image_url": THEIRS,
            "management_url": f"{THEIRS}#page",
        }
    ]
    assert detail["document"].get("image_url", "") == ""
