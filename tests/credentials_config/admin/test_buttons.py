"""Buttons do nothing without a POST request, the permission and the CSRF token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from credentials_config.models import Credential, CredentialConfiguration, CredentialRun, CredentialStatus
from tests.credentials_config.admin.pages import CONFIGURATIONS, TYPES, button, page_of
from tests.credentials_config.factories import CredentialFactory
from tests.support.certificates import configure_certificate

pytestmark = pytest.mark.django_db

BUTTONS = [
    ("configuration", "generate"),
    ("configuration", "dry_run"),
    ("configuration", "retry"),
    ("available", "reissue"),
    ("available", "invalidate"),
    ("failed", "retry"),
]
SENT = {"public_reason": "Houba.", "options": "{}"}


def permission_of(row: str, name: str) -> str:
    """Return the permission that a button needs."""
    if row == "configuration":
        return "generate_credentialconfiguration"
    return f"{name}_credential"


@pytest.fixture
def rows(course: Any) -> dict[str, Any]:
    """A configuration that has a problem, with a credential that is available and one that failed."""
    configuration = configure_certificate(problem="Repair it.")
    failed = {"status": CredentialStatus.ERROR, "error": "It did not fit.", "document": "", "document_number": 0}
    return {
        "configuration": configuration,
        "available": CredentialFactory(configuration=configuration),
        "failed": CredentialFactory(configuration=configuration, **failed),
    }


def everything() -> list[Any]:
    """All that a button could change."""
    return [
        list(model.objects.order_by("pk").values()) for model in (Credential, CredentialConfiguration, CredentialRun)
    ]


@pytest.fixture
def nothing_happens(rows: dict[str, Any], course: Any, text_generator: Any) -> Any:
    """Assert at the end that nothing was changed, the LMS not asked, and no document made."""
    before = everything()
    yield
    assert everything() == before
    assert not course.calls
    assert not text_generator.begun


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize(("row", "name"), BUTTONS)
@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_anything_but_a_post_triggers_nothing(
    admin_client: Any, rows: dict[str, Any], row: str, name: str, method: str
) -> None:
    assert getattr(admin_client, method)(button(rows[row], name), SENT).status_code == 405


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize(("row", "name"), BUTTONS)
def test_staff_without_the_permission_trigger_nothing(
    staff: Callable[..., Any], rows: dict[str, Any], row: str, name: str
) -> None:
    for permissions in (
        (),
        ("view_credential", "view_credentialconfiguration"),
        # Another page's permission is not this one's.
        ("change_credentialtype", "add_credentialasset", "delete_credentialconfiguration"),
        ("change_credentialconfiguration",),
        tuple({permission_of(*other) for other in BUTTONS} - {permission_of(row, name)}),
    ):
        assert staff(*permissions).post(button(rows[row], name), SENT).status_code == 403


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize(("row", "name"), BUTTONS)
def test_anonymous_users_trigger_nothing(client: Any, rows: dict[str, Any], row: str, name: str) -> None:
    answer = client.post(button(rows[row], name), SENT)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/admin/login/")


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize(("row", "name"), BUTTONS)
def test_other_sites_trigger_nothing(staff: Callable[..., Any], rows: dict[str, Any], row: str, name: str) -> None:
    client = staff(permission_of(row, name), enforce_csrf_checks=True)
    assert client.post(button(rows[row], name), SENT).status_code == 403


@pytest.mark.parametrize(("row", "name"), BUTTONS)
def test_with_the_permission_each_button_does_something(
    staff: Callable[..., Any], rows: dict[str, Any], course: Any, row: str, name: str
) -> None:
    course.add_learner("houba", id=rows["available"].learner.lms_user_id)
    before = everything()
    client = staff(permission_of(row, name))
    assert client.post(button(rows[row], name), SENT).status_code in (200, 302)
    assert course.calls if name == "dry_run" else everything() != before


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize("address", [f"{CONFIGURATIONS}preview/", f"{TYPES}preview/"])
def test_previews_need_a_post_and_a_permission_too(
    admin_client: Any, staff: Callable[..., Any], client: Any, rows: dict[str, Any], address: str
) -> None:
    sent = {**SENT, "preview_of": str(rows["configuration"].pk), "generator": "text_generator"}
    assert admin_client.get(address, sent).status_code == 405
    assert staff("view_credentialconfiguration", "view_credentialtype").post(address, sent).status_code == 403
    assert client.post(address, sent).status_code == 302
    everyone = staff(
        *("change_credentialconfiguration", "change_credentialtype", "view_credentialtype"), enforce_csrf_checks=True
    )
    assert everyone.post(address, sent).status_code == 403


@pytest.mark.parametrize("row", ["configuration", "available", "failed"])
def test_a_permission_to_view_shows_no_buttons(staff: Callable[..., Any], rows: dict[str, Any], row: str) -> None:
    model = rows[row]._meta.model_name
    page = staff(f"view_{model}").get(page_of(rows[row]))
    assert page.status_code == 200
    assert b'class="button"' not in page.content
    verb = {"configuration": "generate", "available": "reissue", "failed": "retry"}[row]
    assert b'class="button"' in staff(f"view_{model}", f"{verb}_{model}").get(page_of(rows[row])).content


def test_a_row_that_is_not_there_is_a_404(admin_client: Any) -> None:
    for address in (f"{CONFIGURATIONS}4711/generate/", f"{CONFIGURATIONS}x/generate/"):
        assert admin_client.post(address).status_code == 404
