"""The verification page for people: by keyboard, on a phone, without JavaScript, in light and in dark."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from credentials_config.models import CredentialStatus
from tests.credentials_config.factories import CredentialFactory
from tests.factories import NOON
from tests.support.accessibility import barriers
from tests.support.contrast import contrast

ASK = "/credentials/verify/"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def without_script(browser: Any) -> Any:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    return browser


def on_a_phone(browser: Any) -> None:
    screen = {"width": 320, "height": 640, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def test_a_code_is_typed_and_sent_by_keyboard_without_javascript(without_script: Any, live_server: Any) -> None:
    browser, credential = without_script, CredentialFactory(learner_name="Spip")
    browser.get(f"{live_server.url}{ASK}")
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    field = browser.switch_to.active_element
    assert field.get_attribute("name") == "code"
    field.send_keys(credential.verification_code.lower(), Keys.ENTER)
    assert browser.current_url == f"{live_server.url}{ASK}{credential.verification_code}"
    assert browser.find_element(By.TAG_NAME, "h1").text.endswith("This certificate is valid")


@pytest.mark.parametrize("name", ["Spip", "W" * 200, "سبيب السنجاب" * 10, "王" * 200])
def test_nothing_sticks_out_on_a_small_phone(browser: Any, live_server: Any, name: str) -> None:
    credential = CredentialFactory(
        learner_name=name,
        status=CredentialStatus.INVALIDATED,
        invalidated_at=NOON,
        public_reason="x" * 255,
        context_name="Algebra\n" + "y" * 200,
    )
    on_a_phone(browser)
    browser.get(f"{live_server.url}{ASK}{credential.verification_code}")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 320
    for element in browser.find_elements(By.CSS_SELECTOR, "input, button"):
        assert element.size["height"] >= 44  # a finger's width


@pytest.mark.parametrize(("language", "edge"), [("en", "left"), ("ar", "right")])
def test_values_stand_beside_their_labels_in_every_script(
    browser: Any, live_server: Any, language: str, edge: str
) -> None:
    code = CredentialFactory(learner_name="سبيب السنجاب", context_name="Algebra").verification_code
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {"Accept-Language": language}})
    browser.get(f"{live_server.url}{ASK}{code}")
    edges = browser.execute_script(EDGES, edge)
    assert len(edges) == 5
    assert max(edges) - min(edges) < 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_enough_contrast_and_axe_finds_no_barrier(browser: Any, live_server: Any, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    states: list[dict[str, Any]] = [
        {},
        {"expires_at": NOON},
        {"status": CredentialStatus.INVALIDATED, "invalidated_at": NOON, "public_reason": "Copied."},
    ]
    addresses = [CredentialFactory(**given).verification_code for given in states] + ["nothing", ""]
    grounds = set()
    for address in addresses:
        browser.get(f"{live_server.url}{ASK}{address}")
        grounds.add(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        for element in browser.find_elements(By.CSS_SELECTOR, "h1, p, dt, dd, label, button, input"):
            text, ground = browser.execute_script(COLOURS, element)
            assert contrast(text, ground) >= 4.5, (address, element.tag_name, text, ground)
        assert barriers(browser) == [], address
    assert len(grounds) == 1


def test_headings_language_and_labels_are_there_for_those_who_hear_the_page(browser: Any, live_server: Any) -> None:
    credential = CredentialFactory()
    for address in (credential.verification_code, "nothing", ""):
        browser.get(f"{live_server.url}{ASK}{address}")
        assert len(browser.find_elements(By.TAG_NAME, "h1")) == 1
        assert len(browser.find_elements(By.TAG_NAME, "main")) == 1
        assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
        assert browser.title
        label = browser.find_element(By.CSS_SELECTOR, "label[for=code]")
        assert label.text
        assert browser.find_element(By.ID, "code").accessible_name == label.text


# Where the text of each answer begins or ends.
EDGES = """
return [...document.querySelectorAll("dd")].map((answer) => {
  const text = document.createRange();
  text.selectNodeContents(answer);
  return text.getBoundingClientRect()[arguments[0]];
});
"""

# The colour of an element's text, and of what is behind it.
COLOURS = """
let ground = arguments[0];
while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
return [getComputedStyle(arguments[0]).color, getComputedStyle(ground).backgroundColor];
"""
