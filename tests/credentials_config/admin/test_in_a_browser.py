"""The preview by keyboard, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from credentials_config.models import CredentialType
from tests.credentials_config.admin.pages import page_of
from tests.credentials_config.factories import CredentialTypeFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def signed_in(browser: Any, live_server: Any, admin_client: Any) -> Any:
    browser.get(f"{live_server.url}/health/live")
    browser.add_cookie({"name": "sessionid", "value": admin_client.cookies["sessionid"].value})
    return browser


def test_enter_in_a_field_of_the_preview_shows_it_and_saves_nothing(signed_in: Any, live_server: Any) -> None:
    kind = CredentialTypeFactory(name="Diploma", generator="text_generator", options={"learners": ["anna"]})
    signed_in.get(f"{live_server.url}{page_of(kind)}")
    name = signed_in.find_element(By.ID, "id_name")
    name.clear()
    name.send_keys("Never saved")
    signed_in.find_element(By.ID, "preview_name").send_keys(Keys.ENTER)
    WebDriverWait(signed_in, 20).until(lambda browser: len(browser.window_handles) == 2)
    assert signed_in.current_url.endswith(page_of(kind))
    assert CredentialType.objects.get().name == "Diploma"
