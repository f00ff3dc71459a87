"""A designer in a real browser: by keyboard alone, and on a phone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import url_matches
from selenium.webdriver.support.wait import WebDriverWait

from badges.catalog.api import export_template
from badges.conf import PASSING_STATUS
from badges.models import BadgeTemplate, UserCredential
from badges.testing.events import passing_status
from tests.admin.pages import ADD, LIST, change
from tests.factories import (
    ALGEBRA,
    BadgeProgressFactory,
    InboxMessageFactory,
    LearnerFactory,
    OutboxMessageFactory,
    make_template,
    requirement,
)

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


@pytest.fixture
def open_page(live_server: Any, browser: Chrome, client: Any, admin_user: Any) -> Callable[[str], None]:
    """Open a page as somebody who is signed in."""
    client.force_login(admin_user)
    browser.get(f"{live_server.url}/health/live")
    browser.add_cookie({"name": "sessionid", "value": client.cookies["sessionid"].value})

    def go(address: str) -> None:
        browser.get(f"{live_server.url}{address}")

    return go


class Keyboard:
    """Somebody without a mouse: Tab until there, then type."""

    def __init__(self, browser: Chrome):
        self.browser = browser

    def to(self, name: str = "", *, words: str = "") -> Any:
        """Press Tab until a field of this name, or a button with these words, has the focus."""
        for _ in range(150):
            ActionChains(self.browser).send_keys(Keys.TAB).perform()
            here = self.browser.switch_to.active_element
            message = here.get_attribute("textContent") or here.get_attribute("value") or ""
            if (name and here.get_attribute("name") == name) or (words and words in message):
                return here
        raise AssertionError(f"Tab never came to {name or words}")


def wait_for(browser: Chrome, pattern: str) -> None:
    WebDriverWait(browser, 20).until(url_matches(pattern))


def test_a_template_is_made_with_the_keyboard_alone(browser: Chrome, open_page: Callable[[str], None]) -> None:
    open_page(ADD)
    keyboard = Keyboard(browser)
    keyboard.to("name").send_keys("Algebra star")
    keyboard.to("is_active").send_keys(Keys.SPACE)
    keyboard.to("requirements-0-event_type").send_keys("org.openedx.learning.course.passing")
    keyboard.to("requirements-0-rules-0-path").send_keys("is_passing")
    keyboard.to("requirements-0-rules-0-value").send_keys("true")
    keyboard.to(words="Add a rule").send_keys(Keys.ENTER)
    second = browser.switch_to.active_element
    assert second.get_attribute("name") == "requirements-0-rules-1-path"
    second.send_keys("course.course_key")
    keyboard.to("requirements-0-rules-1-value").send_keys(ALGEBRA)
    keyboard.to(words="Add another Requirement").send_keys(Keys.ENTER)
    keyboard.to("requirements-1-event_type").send_keys("org.openedx.learning.course.passing")
    keyboard.to("requirements-1-rules-0-path").send_keys("is_passing")
    keyboard.to("requirements-1-rules-0-value").send_keys("no")
    keyboard.to("_save").send_keys(Keys.ENTER)
    wait_for(browser, f"{LIST}$")
    template = BadgeTemplate.objects.get(slug="algebra-star")
    assert template.is_active
    assert [demand["rules"] for demand in export_template(template)["requirements"]] == [
        [
            {"path": "is_passing", "operator": "eq", "value": True},
            {"path": "course.course_key", "operator": "eq", "value": ALGEBRA},
        ],
        [{"path": "is_passing", "operator": "eq", "value": False}],
    ]


def test_suggestions_fit_the_event_type_and_the_value_says_its_kind(
    browser: Chrome, open_page: Callable[[str], None]
) -> None:
    open_page(ADD)
    browser.find_element(By.NAME, "requirements-0-event_type").send_keys(PASSING_STATUS)
    path = browser.find_element(By.NAME, "requirements-0-rules-0-path")
    offered = browser.execute_script("return [...arguments[0].list.options].map((option) => option.value)", path)
    assert offered == ["is_passing", "course.course_key"]
    path.send_keys("is_passing")
    row = path.find_element(By.XPATH, "./ancestor::*[contains(@class, 'lms-badges-rule')][1]")
    assert row.find_element(By.CSS_SELECTOR, "[data-part=kind]").text == "(true or false)"
    operators = browser.execute_script(
        "return [...arguments[0].options].filter((option) => !option.hidden).map((option) => option.value)",
        row.find_element(By.CSS_SELECTOR, "[data-part=operator]"),
    )
    assert "eq" in operators
    assert "gt" not in operators


def test_on_a_phone_nothing_of_a_rule_is_cut_off_and_all_of_it_can_be_reached(
    browser: Chrome, open_page: Callable[[str], None]
) -> None:
    template = make_template(requirements=[requirement("a", group="either"), requirement("b", group="either")])
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    open_page(change(template))
    width = browser.execute_script("return document.documentElement.clientWidth")
    assert width == 390
    controls = browser.find_elements(By.CSS_SELECTOR, ".lms-badges-rules input, .lms-badges-rules select")
    shown = [control for control in controls if control.is_displayed()]
    assert len(shown) == 2 * 3 * 4
    for control in shown:
        assert control.rect["x"] >= 0
        assert control.rect["x"] + control.rect["width"] <= width


def test_criteria_that_are_not_saved_yet_are_tried_with_the_keyboard_alone(
    browser: Chrome, open_page: Callable[[str], None]
) -> None:
    template = make_template()
    open_page(change(template))
    # The fieldset is closed, because there are no criteria yet.
    browser.execute_script("document.querySelector('.module details').open = true")
    keyboard = Keyboard(browser)
    twice = {"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 2}}}
    keyboard.to("criteria").send_keys(json.dumps(twice))
    keyboard.to("events").send_keys(passing_status(lms_user_id=7).line)
    keyboard.to(words="Try").send_keys(Keys.ENTER)
    answer = browser.find_element(By.ID, "lms-badges-tryout-result")
    WebDriverWait(browser, 20).until(lambda _: "1 of 2 events" in answer.text)
    assert "Not satisfied" in answer.text
    assert export_template(template)["criteria"] is None


def test_on_a_phone_the_criteria_and_what_was_tried_fit_the_screen(
    browser: Chrome, open_page: Callable[[str], None]
) -> None:
    template = make_template(criteria={"event": PASSING_STATUS, "criteria": {"course.course_key": "x" * 300}})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    open_page(change(template))
    browser.find_element(By.CSS_SELECTOR, "#lms-badges-tryout button").click()
    answer = browser.find_element(By.ID, "lms-badges-tryout-result")
    WebDriverWait(browser, 20).until(lambda _: "Not satisfied" in answer.text)
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    assert browser.find_element(By.NAME, "criteria").rect["height"] > 200


def test_what_is_demanded_stands_in_line_with_all_else_that_is_told(
    browser: Chrome, open_page: Callable[[str], None]
) -> None:
    progress = BadgeProgressFactory(template=make_template(requirements=[requirement("a", group="either")]))
    open_page(f"/admin/lms_badges/badgeprogress/{progress.pk}/change/")
    state = browser.find_element(By.CSS_SELECTOR, ".field-state .readonly").rect["x"]
    demanded = browser.find_element(By.CSS_SELECTOR, ".field-demands strong").rect["x"]
    alternative = browser.find_element(By.CSS_SELECTOR, ".field-demands ul ul li").rect["x"]
    assert demanded == state
    assert state < alternative < state + 50


def test_a_stored_event_can_be_read_on_a_phone_without_pushing_it_about(
    browser: Chrome, open_page: Callable[[str], None]
) -> None:
    event = InboxMessageFactory(payload='{"course":"%s"}' % ("houba" * 40))
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    open_page(f"/admin/lms_badges/inboxmessage/{event.pk}/change/")
    document = browser.find_element(By.CSS_SELECTOR, ".field-stored_event pre")
    assert document.get_property("scrollWidth") <= document.get_property("clientWidth")


@pytest.mark.parametrize(
    ("page", "make", "field"),
    [
        ("inboxmessage", lambda why: InboxMessageFactory(state="dead", due_at=None, reason=why), "reason"),
        ("outboxmessage", lambda why: OutboxMessageFactory(state="dead", due_at=None, last_error=why), "last_error"),
    ],
)
def test_a_list_of_dead_letters_shows_why_without_scrolling(
    browser: Chrome, open_page: Callable[[str], None], page: str, make: Callable[[str], Any], field: str
) -> None:
    make("The organization has no token. Add it in the admin, then retry this message.")
    open_page(f"/admin/lms_badges/{page}/")
    why = browser.find_element(By.CSS_SELECTOR, f"td.field-{field}").rect
    table = browser.find_element(By.CSS_SELECTOR, "#changelist .results").rect
    assert why["x"] + why["width"] <= table["x"] + table["width"]


def test_the_pages_of_the_api_show_its_document(browser: Chrome, open_page: Callable[[str], None]) -> None:
    open_page("/api/docs/")
    WebDriverWait(browser, 20).until(lambda it: "/api/badges/v1/credentials/" in it.page_source)
    problems = [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]]
    assert problems == []


def test_a_badge_is_awarded_and_revoked_with_the_keyboard_on_a_phone(
    browser: Chrome, open_page: Callable[[str], None]
) -> None:
    template = make_template(slug="algebra-star", requirements=[requirement()])
    learner = LearnerFactory()
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    open_page(f"/admin/lms_badges/learner/{learner.pk}/change/")
    keyboard = Keyboard(browser)
    keyboard.to(words="Award a badge").send_keys(Keys.ENTER)
    wait_for(browser, "/award/$")
    browser.switch_to.active_element.send_keys("algebra-star", Keys.ENTER)  # the cursor is in the first field
    wait_for(browser, "/usercredential/.*/change/$")
    assert "The badge was awarded." in browser.find_element(By.CSS_SELECTOR, ".messagelist").text
    Keyboard(browser).to(words="Revoke").send_keys(Keys.ENTER)
    wait_for(browser, "/revoke/$")
    keyboard = Keyboard(browser)
    keyboard.to(words="Revoke").send_keys(Keys.ENTER)
    error = browser.find_element(By.CSS_SELECTOR, ".errorlist")
    assert error.text == "This field is required."
    wrong = browser.switch_to.active_element
    assert wrong.get_attribute("name") == "public_reason"
    assert error.get_attribute("id") in wrong.get_attribute("aria-describedby")
    wrong.send_keys("Awarded by mistake.")
    for control in browser.find_elements(By.CSS_SELECTOR, "#content textarea, #content input, #content a"):
        assert control.rect["x"] + control.rect["width"] <= 390
    Keyboard(browser).to(words="Revoke").send_keys(Keys.ENTER)
    wait_for(browser, "/usercredential/.*/change/$")
    credential = UserCredential.objects.get(template=template)
    assert (credential.status, credential.public_reason, credential.blocked) == ("revoked", "Awarded by mistake.", True)
