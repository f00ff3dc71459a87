"""Views of ours in a host that wraps each request in a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.core.handlers.base import BaseHandler
from django.db import connections
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

from badges.common.api_view import PluginAPIView
from badges.models import IdempotentRequest, UserCredential
from tests.factories import LearnerFactory, make_template
from tests.support.learner_factories import signed_in, somebody


@pytest.fixture(autouse=True)
def atomic_requests(monkeypatch: Any) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)


def patterns(found: Iterable[Any]) -> Iterator[URLPattern]:
    for each in found:
        if isinstance(each, URLResolver):
            yield from patterns(each.url_patterns)
        else:
            yield each


def test_no_view_of_the_rest_api_is_in_a_transaction_of_the_host() -> None:
    views = [each.callback for each in patterns(get_resolver().url_patterns)]
    ours = [view for view in views if issubclass(getattr(view, "cls", object), PluginAPIView)]
    assert len(ours) > 20
    assert [view for view in ours if BaseHandler().make_view_atomic(view) is not view] == []


@pytest.mark.django_db(transaction=True)
def test_a_request_that_fails_frees_its_key_and_one_that_succeeds_keeps_its_answer(monkeypatch: Any) -> None:
    client, learner = signed_in(somebody("award_usercredential"), raise_request_exception=False), LearnerFactory()
    make_template(slug="star")

    def post() -> Any:
        address, headers = f"/api/award/v1/users/{learner.uuid}/stickers", {"Idempotency-Key": "houba"}
        return client.post(address, {"stickerId": "star"}, content_type="application/json", headers=headers)

    with monkeypatch.context() as broken:
        broken.setattr("badges.rest_api.flows_v1.stickers.api.award", lambda *_, **__: 1 / 0)
        assert post().status_code == 500
    assert not IdempotentRequest.objects.exists()
    assert (post().status_code, post().headers["Idempotent-Replayed"]) == (201, "true")
    assert UserCredential.objects.count() == 1
