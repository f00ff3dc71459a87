"""An Accredible to issue at, and a group there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from badges.testing.accredible import AccredibleStandIn

ORGANIZATION = "academy"


@pytest.fixture
def accredible(settings: Any) -> Iterator[AccredibleStandIn]:
    with AccredibleStandIn() as stand_in:
        configured = {
            "ACCREDIBLE_API_BASE_URL": stand_in.url,
            "ORGANIZATIONS": {ORGANIZATION: stand_in.key},
            "timeout": 0.5,
        }
        settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "accredible": configured}
        yield stand_in


@pytest.fixture
def group(accredible: AccredibleStandIn) -> str:
    return str(accredible.add_group(name="Analytical engine").id)
