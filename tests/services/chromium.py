"""A headless Chromium and its driver."""

from __future__ import annotations

import shutil
from pathlib import Path

from selenium import webdriver

from tests.services.service import ServiceUnavailable

NAME = "chromium"
PACKAGES = "chromium chromium-driver"


def start_browser(profile: Path) -> webdriver.Chrome:
    """Start a browser with its profile in this folder. The caller must call ``quit``."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        remedy = f"apt-get install -y {PACKAGES}   (or leave it out: make test WITHOUT={NAME})"
        raise ServiceUnavailable(f"{NAME}: not here. Install it: {remedy}")
    options = webdriver.ChromeOptions()
    # No sandbox, because tests often run as root. No /dev/shm, because it is small in containers.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,1400"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    options.binary_location = binary
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
