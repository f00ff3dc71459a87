"""A stand-in of the LMS, a folder for documents, a text generator, and the settings that use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from credentials_config import lms as lms_client
from credentials_config.testing.lms import LmsStandIn

if TYPE_CHECKING:
    from tests.support.text_generator import TextGenerator

QUICK = {"base_delay": 0.01, "max_delay": 5.0, "timeout": 5}


@pytest.fixture
def lms(use_lms: Callable[..., None]) -> Iterator[LmsStandIn]:
    """Run a stand-in LMS that the settings lead to; pages of four, so that everything comes in several."""
    with LmsStandIn(page_size=4) as standin:
        use_lms(standin)
        yield standin


@pytest.fixture
def use_lms(settings: Any) -> Iterator[Callable[..., None]]:
    """Let the settings lead to a stand-in (in this process or another): ``use_lms(standin, chunk=3)``."""

    def use(standin: Any, **more: Any) -> None:
        given = getattr(settings, "CREDENTIALS_CONFIG", {})
        settings.CREDENTIALS_CONFIG = {**given, "lms": {**standin.settings, **QUICK, **more}}

    yield use
    lms_client.close_clients()


@pytest.fixture
def course(lms: LmsStandIn) -> LmsStandIn:
    """The LMS, with a course that three learners have finished and two have not."""
    from tests.support.certificates import add_algebra  # noqa: PLC0415 -- Django is not ready yet

    add_algebra(lms)
    return lms


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    """Keep documents and assets in a folder of this test, behind a public address."""
    settings.MEDIA_ROOT = tmp_path / "documents"
    given = getattr(settings, "CREDENTIALS_CONFIG", {})
    settings.CREDENTIALS_CONFIG = {**given, "public_url": "https://credentials.test"}
    return tmp_path / "documents"


@pytest.fixture
def text_generator() -> Iterator[TextGenerator]:
    """Register the generator of plain text."""
    from credentials_config.issuing import renderers  # noqa: PLC0415
    from tests.credentials_config.plugins import registered  # noqa: PLC0415
    from tests.support.text_generator import TextGenerator  # noqa: PLC0415

    with registered(TextGenerator()) as plugin:
        yield plugin
    renderers.close_all()
