"""Staff with and without permissions, a browser, and words for filling in a template's page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver


@pytest.fixture
def staff(db: None) -> Callable[..., Any]:
    """Make a member of staff with these permissions: ``staff("view_badgetemplate")``."""
    from django.contrib.auth.models import Permission  # noqa: PLC0415 -- Django is not ready when this file is imported

    from tests.factories import UserFactory  # noqa: PLC0415

    def make(*permissions: str, **given: Any) -> Any:
        user = UserFactory(is_staff=True, **given)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        assert user.user_permissions.count() == len(permissions)
        return user

    return make


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """Start a headless Chromium."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,1400"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.binary_location = "/usr/bin/chromium"
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()
