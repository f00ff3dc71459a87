"""The pages for people: by keyboard, on a phone, without JavaScript, in light and in dark."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as host
from django.test import Client
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from badges.conf import PASSING_STATUS
from tests.credentials_config.factories import CredentialFactory
from tests.factories import (
    REVOKED,
    BadgeProgressFactory,
    LearnerFactory,
    UserCredentialFactory,
    make_template,
    requirement,
)
from tests.support.accessibility import barriers
from tests.support.contrast import contrast

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/badges/"


@pytest.fixture
def learner() -> Any:
    return LearnerFactory()


@pytest.fixture
def signed_in(browser: Any, live_server: Any, learner: Any) -> Any:
    """A browser in which the learner is signed in."""
    client = Client()
    client.force_login(learner.user)
    browser.get(f"{live_server.url}/badges/credentials/houba/")  # cookies need a page of their host
    name = host.SESSION_COOKIE_NAME
    browser.add_cookie({"name": name, "value": client.cookies[name].value})
    return browser


def addresses(learner: Any) -> list[str]:
    """Give a learner what the pages can show, with names that need room; return the addresses of all pages."""
    names = ["Nest", "W" * 200, "باني العش " * 12, "王" * 150]
    for name in names:
        template = make_template(name=name, description="x" * 300)
        UserCredentialFactory(learner=learner, is_public=True, template=template)
    lost = UserCredentialFactory(learner=learner, is_public=True, **REVOKED, public_reason="y" * 255)
    UserCredentialFactory(learner=learner)
    CredentialFactory(learner=learner, context_name="z" * 200)
    demanded = [requirement("a", group="g"), requirement("b", group="g", description="v" * 200)]
    document = {"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 5}}}
    begun = make_template(requirements=demanded, criteria=document)
    BadgeProgressFactory(learner=learner, template=begun)
    for number in range(11):
        make_template(slug=f"other-{number}")
    why = [f"{PAGE}why/{slug}/" for slug in (begun.slug, lost.template.slug)]
    return [PAGE, f"{PAGE}?ended=yes", *why, f"/badges/credentials/{lost.pk}/", "/badges/credentials/houba/"]


def on_a_phone(browser: Any) -> None:
    screen = {"width": 320, "height": 640, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def test_a_badge_is_shared_by_keyboard_without_javascript(signed_in: Any, live_server: Any, learner: Any) -> None:
    browser, credential = signed_in, UserCredentialFactory(learner=learner)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(f"{live_server.url}{PAGE}")
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    button = browser.switch_to.active_element
    assert button.text.startswith("Share")
    button.send_keys(Keys.ENTER)
    assert browser.current_url == f"{live_server.url}{PAGE}#badge-{credential.pk}"
    address = browser.find_element(By.CSS_SELECTOR, "input[readonly]").get_attribute("value")
    assert not any(each.is_displayed() for each in browser.find_elements(By.CSS_SELECTOR, "[data-copy]"))
    browser.delete_all_cookies()
    browser.get(address)
    assert browser.find_element(By.TAG_NAME, "h1").text == credential.template.name
    assert "This badge is valid." in browser.find_element(By.TAG_NAME, "main").text


def test_a_button_copies_the_public_address(signed_in: Any, live_server: Any, learner: Any) -> None:
    browser, credential = signed_in, UserCredentialFactory(learner=learner, is_public=True)
    permission = {"permission": {"name": "clipboard-write"}, "setting": "granted", "origin": live_server.url}
    browser.execute_cdp_cmd("Browser.setPermission", permission)
    browser.execute_cdp_cmd("Browser.setPermission", {**permission, "permission": {"name": "clipboard-read"}})
    browser.get(f"{live_server.url}{PAGE}")
    button = browser.find_element(By.CSS_SELECTOR, "[data-copy]")
    button.send_keys(Keys.ENTER)
    WebDriverWait(browser, 10).until(lambda _: button.text.startswith("Copied"))
    copied = browser.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied == f"{live_server.url}/badges/credentials/{credential.pk}/"


def test_nothing_sticks_out_on_a_small_phone_and_everything_can_be_touched_and_axe_finds_no_barrier(
    signed_in: Any, live_server: Any, learner: Any
) -> None:
    on_a_phone(signed_in)
    for address in addresses(learner):
        signed_in.get(f"{live_server.url}{address}")
        assert signed_in.execute_script("return document.documentElement.scrollWidth") <= 320, address
        for element in signed_in.find_elements(By.CSS_SELECTOR, "input:not([type=hidden]), button, .button"):
            assert element.size["height"] >= 44 or not element.is_displayed()  # a finger's width
        assert barriers(signed_in) == [], address


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_enough_contrast_and_axe_finds_no_barrier(
    signed_in: Any, live_server: Any, learner: Any, scheme: str
) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    signed_in.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    for address in addresses(learner):
        signed_in.get(f"{live_server.url}{address}")
        shades = signed_in.execute_script(COLOURS)
        assert shades
        for text, ground in shades:
            assert contrast(text, ground) >= 4.5, (address, text, ground)
        assert barriers(signed_in) == [], address


def test_headings_language_and_labels_are_there_for_those_who_hear_the_page(
    signed_in: Any, live_server: Any, learner: Any
) -> None:
    for address in addresses(learner):
        signed_in.get(f"{live_server.url}{address}")
        levels = [int(each.tag_name[1]) for each in signed_in.find_elements(By.CSS_SELECTOR, "h1, h2, h3")]
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in zip([0, *levels], levels, strict=False))
        assert len(signed_in.find_elements(By.TAG_NAME, "main")) == 1
        assert signed_in.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
        assert signed_in.title
        ids = signed_in.execute_script("return [...document.querySelectorAll('[id]')].map((each) => each.id)")
        assert len(ids) == len(set(ids))
        names = [
            (each.tag_name, each.accessible_name)
            for each in signed_in.find_elements(By.CSS_SELECTOR, "input:not([type=hidden]), button, a.button")
            if each.is_displayed()
        ]
        assert all(name for _tag, name in names)
        # A button says of which badge it is.
        buttons = [name for tag, name in names if tag in ("button", "input")]
        assert len(buttons) == len(set(buttons))


# The colour of the text of each element that has some, and of what is behind it.
COLOURS = """
const opaque = (element) => {
  while (element && getComputedStyle(element).backgroundColor === "rgba(0, 0, 0, 0)") element = element.parentElement;
  return getComputedStyle(element || document.body).backgroundColor;
};
const found = new Set();
for (const element of document.querySelectorAll("main *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
  if (own || element.tagName === "INPUT") found.add(JSON.stringify([getComputedStyle(element).color, opaque(element)]));
}
return [...found].map(JSON.parse);
"""
