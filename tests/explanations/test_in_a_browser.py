"""Asking why in a real browser: by keyboard alone, on a phone, and for those who hear the page."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from badges.conf import PASSING_STATUS
from tests.explanations.scenes import passes
from tests.factories import LearnerFactory, UserFactory, make_template, requirement
from tests.support.accessibility import barriers

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/admin/lms_badges/learner/why/"


@pytest.fixture
def signed_in(browser: Any, live_server: Any, client: Any, admin_user: Any) -> Any:
    """A browser in which an administrator is signed in."""
    client.force_login(admin_user)
    browser.get(f"{live_server.url}/health/live")
    browser.add_cookie({"name": "sessionid", "value": client.cookies["sessionid"].value})
    return browser


def test_why_is_asked_by_keyboard_and_the_answer_fits_a_phone_and_axe_finds_no_barrier(
    signed_in: Any, live_server: Any
) -> None:
    browser = signed_in
    screen = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    LearnerFactory(lms_user_id=41, user=UserFactory(username="बगीचा"))
    make_template(
        slug="star",
        name="S" * 200,
        requirements=[requirement(), requirement("b", group="g"), requirement("c", group="g")],
        criteria={"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 3}}},
    )
    passes(41, is_passing=False)
    browser.get(f"{live_server.url}{PAGE}")
    assert barriers(browser) == []
    browser.find_element(By.NAME, "person").send_keys("बगीचा")
    browser.find_element(By.NAME, "template").send_keys("star", Keys.ENTER)
    WebDriverWait(browser, 20).until(lambda _: browser.find_elements(By.CSS_SELECTOR, ".lms-badges-sentences"))
    assert "is_passing was false" in browser.find_element(By.CSS_SELECTOR, ".lms-badges-sentences").text
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    assert barriers(browser) == []
    browser.get(f"{browser.current_url}&language=ar")
    answer = browser.find_element(By.CSS_SELECTOR, ".lms-badges-sentences")
    assert (answer.get_attribute("lang"), answer.get_attribute("dir")) == ("ar", "rtl")
    assert barriers(browser) == []
