"""An LMS to ask: the stand-in, and the settings that lead there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from credentials_config import lms as lms_client
from credentials_config.testing.lms import LmsStandIn

QUICK = {"base_delay": 0.01, "max_delay": 5.0, "timeout": 5}


@pytest.fixture
def lms(use_lms: Callable[..., None]) -> Iterator[LmsStandIn]:
    """Run a stand-in LMS that the settings lead to; pages of four, so that everything comes in several."""
    with LmsStandIn(page_size=4) as standin:
        use_lms(standin)
        yield standin


@pytest.fixture
def use_lms(settings: Any) -> Iterator[Callable[..., None]]:
    """Lead the settings to a stand-in (in this process or another): ``use_lms(standin, chunk=3)``."""

    def use(standin: Any, **more: Any) -> None:
        given = getattr(settings, "CREDENTIALS_CONFIG", {})
        settings.CREDENTIALS_CONFIG = {**given, "lms": {**standin.settings, **QUICK, **more}}

    yield use
    lms_client.forget()
