"""Lists of the admin stay quick, and show a total only when it is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.credentials_config.admin.pages import CREDENTIALS
from tests.credentials_config.factories import CredentialFactory


def test_a_list_that_was_not_counted_to_its_end_shows_no_total(
    staff: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("badges.common.admin.MAX_COUNT", 3)
    CredentialFactory.create_batch(4)
    operator = staff("view_credential")

    with CaptureQueriesContext(connection) as queries:
        page = operator.get(CREDENTIALS).content.decode()

    assert "3+ credentials" in page
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert counts
    assert [sql for sql in counts if "LIMIT 3" not in sql] == []
