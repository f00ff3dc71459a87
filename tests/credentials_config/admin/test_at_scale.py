"""A few rows are found in a long list as quickly as in a short one."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials_config.issuing.codes import new_code
from credentials_config.models import Credential, CredentialStatus
from tests.credentials_config.admin.pages import CREDENTIALS
from tests.credentials_config.factories import CredentialFactory
from tests.factories import NOON

ROWS = 10_000
TABLE = Credential._meta.db_table
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


def plan_of_the_list(client: Any, **asked: str) -> str:
    """Return how the database finds the rows of a page of the list."""
    with CaptureQueriesContext(connection) as queries:
        assert client.get(CREDENTIALS, asked).status_code == 200
    sorted_ = [query["sql"] for query in queries if "ORDER BY" in query["sql"] and TABLE in query["sql"]]
    assert len(sorted_) == 1
    with connection.cursor() as cursor:
        cursor.execute(f"{'EXPLAIN QUERY PLAN' if connection.vendor == 'sqlite' else 'EXPLAIN'} {sorted_[0]}")
        return str(cursor.fetchall())


def test_the_newest_of_a_status_are_found_by_an_index_whether_few_or_many(admin_client: Any) -> None:
    failed = CredentialFactory(status=CredentialStatus.ERROR, document="")
    over = {"status": CredentialStatus.EXPIRED, "active_key": None, "issued_at": NOON}
    rows = (
        Credential(verification_code=new_code(), learner=failed.learner, configuration=failed.configuration, **over)
        for _ in range(ROWS)
    )
    Credential.objects.bulk_create(rows, batch_size=500)
    if connection.vendor != "mysql":  # where it would commit
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {TABLE}")
    few, many, all_ = (
        plan_of_the_list(admin_client, status__exact="error"),
        plan_of_the_list(admin_client, status__exact="expired"),
        plan_of_the_list(admin_client),
    )
    assert "lms_cc_credential_newest" in few
    for plan in (few, many, all_):
        assert not any(sorts in plan for sorts in ("TEMP B-TREE", "Sort", "filesort")), plan
