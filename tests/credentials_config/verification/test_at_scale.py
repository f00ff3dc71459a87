"""A long table answers as quickly as a short one: with one statement, by the index of the code."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials_config.issuing.codes import new_code
from credentials_config.models import Credential, CredentialStatus
from tests.credentials_config.factories import CredentialFactory
from tests.factories import NOON

ROWS = 20_000
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


def test_a_code_is_found_by_its_index(client: Any) -> None:
    one = CredentialFactory()
    over = {"status": CredentialStatus.EXPIRED, "active_key": None, "document_number": 1, "issued_at": NOON}
    rows = (
        Credential(
            verification_code=new_code(),
            learner=one.learner,
            configuration=one.configuration,
            learner_name="Spip",
            **over,
        )
        for _ in range(ROWS)
    )
    Credential.objects.bulk_create(rows, batch_size=500)
    if connection.vendor != "mysql":  # where it would commit, and unique values need no statistics
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {Credential._meta.db_table}")
    with CaptureQueriesContext(connection) as queries:
        assert client.get(f"/credentials/verify/{one.verification_code}").status_code == 200
        assert client.get(f"/credentials/verify/{new_code()}").status_code == 404
    assert len(queries) == 2
    with connection.cursor() as cursor:
        word = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
        cursor.execute(f"{word} {queries.captured_queries[0]['sql']}")
        plan = str(cursor.fetchall())
    by_index = {"sqlite": "verification_code=?", "postgresql": "Index Scan", "mysql": "const"}[connection.vendor]
    assert by_index in plan, plan
    # The whole name: the tables beside it begin alike, are short here, and may be read through.
    assert not re.search(rf"\b(Seq Scan on|SCAN) {Credential._meta.db_table}\b", plan), plan
