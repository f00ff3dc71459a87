"""Addresses of the sticker flows. Each is answered with and without a slash at the end; the documented one has none."""

from __future__ import annotations

from badges.rest_api.addresses import with_and_without_slash
from badges.rest_api.flows_v1 import identities, stickers, users

urlpatterns = [
    *with_and_without_slash("award/v1/users/<str:userId>/stickers", stickers.StickersView, "sticker-list"),
    *with_and_without_slash(
        "award/v1/users/<str:userId>/stickers/<str:stickerId>", stickers.StickerView, "sticker-detail"
    ),
    *with_and_without_slash("users/v1/users", users.RegistrationView, "user-register"),
    *with_and_without_slash("users/v1/users/<str:userId>", users.UserView, "user-detail"),
    *with_and_without_slash("users/v1/users/<str:userId>/identities", identities.IdentitiesView, "identity-list"),
    *with_and_without_slash(
        "users/v1/users/<str:userId>/identities/<int:identityId>", identities.IdentityView, "identity-detail"
    ),
]
