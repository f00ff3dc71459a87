"""Addresses of the sticker flows. Each is answered with and without a slash at the end; the documented one has none."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path

from badges.rest_api.flows_v1 import identities, stickers, users


def _both(route: str, view: Any, name: str) -> list[URLPattern]:
    return [path(route, view.as_view(), name=name), path(f"{route}/", view.as_view(schema=None))]


urlpatterns = [
    *_both("award/v1/users/<str:userId>/stickers", stickers.StickersView, "sticker-list"),
    *_both("award/v1/users/<str:userId>/stickers/<str:stickerId>", stickers.StickerView, "sticker-detail"),
    *_both("users/v1/users", users.RegistrationView, "user-register"),
    *_both("users/v1/users/<str:userId>", users.UserView, "user-detail"),
    *_both("users/v1/users/<str:userId>/identities", identities.IdentitiesView, "identity-list"),
    *_both("users/v1/users/<str:userId>/identities/<int:identityId>", identities.IdentityView, "identity-detail"),
]
