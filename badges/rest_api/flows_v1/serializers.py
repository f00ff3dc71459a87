"""The bodies of requests and answers of the sticker flows."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from rest_framework import serializers

from badges.awarding.models import INTERNAL_REASON_LENGTH
from badges.catalog.causes import REASON_LENGTH
from badges.catalog.event_types import LearnerData
from badges.catalog.learner_paths import ISSUER_LENGTH, SUBJECT_LENGTH
from badges.common.request_bodies import StrictSerializer, TextField
from badges.intake.learners import new_account
from badges.rest_api.times import utc_time_field

STICKER_ID_LENGTH = 150  # of a slug
EMAIL_LENGTH = 254  # of Django's accounts, and by RFC 5321
PASSWORD_LENGTH = 256  # hashing a longer one takes longer
NAME_LENGTH = 150  # of the first and of the last name in Django's accounts
_STICKER_ID = "The slug of the badge template."


class AssignStickerSerializer(StrictSerializer):
    """Which sticker a person gets, and why."""

    stickerId = TextField(max_length=STICKER_ID_LENGTH, help_text="The slug or the UUID of a badge template.")
    reason = TextField(
        required=False, default="", allow_blank=True, max_length=REASON_LENGTH, help_text="For staff only."
    )


class RemoveStickerSerializer(StrictSerializer):
    """Why a sticker is removed."""

    reason = TextField(
        required=False, default="", allow_blank=True, max_length=INTERNAL_REASON_LENGTH, help_text="For staff only."
    )


class HeldStickerSerializer(serializers.Serializer[Any]):
    """A sticker that a person holds."""

    stickerId = serializers.CharField(source="template.slug", help_text=_STICKER_ID)
    assignedAt = utc_time_field(source="awarded_at")


class HeldStickerWithReasonSerializer(HeldStickerSerializer):
    """A sticker that a person holds, as staff see it."""

    reason = serializers.CharField(
        source="cause_reason",
        required=False,
        help_text="Why it was assigned. Only for who may view everybody's credentials, and only if there is a reason.",
    )

    def to_representation(self, instance: Any) -> Any:
        found = super().to_representation(instance)
        return found if found["reason"] else {name: value for name, value in found.items() if name != "reason"}


class AssignedStickerSerializer(serializers.Serializer[Any]):
    """A sticker that was assigned."""

    userId = serializers.UUIDField(source="learner.uuid", help_text="The UUID of the learner.")
    stickerId = serializers.CharField(source="template.slug", help_text=_STICKER_ID)
    assignedAt = utc_time_field(source="awarded_at")


class RemovedStickerSerializer(serializers.Serializer[Any]):
    """A sticker that was removed."""

    userId = serializers.UUIDField(source="learner.uuid", help_text="The UUID of the learner.")
    stickerId = serializers.CharField(source="template.slug", help_text=_STICKER_ID)
    removedAt = utc_time_field(source="revoked_at")


class StickerCountsSerializer(serializers.Serializer[Any]):
    """How many stickers a person has."""

    held = serializers.IntegerField(help_text="Stickers that are assigned now.")
    claimed = serializers.IntegerField(
        help_text="Stickers that the user has claimed at another service; also those that were removed since."
    )


class UserSerializer(serializers.Serializer[Any]):
    """A user."""

    accountId = serializers.UUIDField(allow_null=True, help_text="The UUID of the learner. Null while there is none.")
    stickers = StickerCountsSerializer()


class RegisterSerializer(StrictSerializer):
    """A new account."""

    email = TextField(
        max_length=EMAIL_LENGTH, validators=[EmailValidator()], help_text="The e-mail address. It is not verified."
    )
    password = TextField(
        required=False,
        max_length=PASSWORD_LENGTH,
        trim_whitespace=False,
        help_text="As the host demands of passwords. Without it, the account is for signing in through an issuer.",
    )
    name = TextField(required=False, default="", allow_blank=True, max_length=NAME_LENGTH, help_text="The full name.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "password" in attrs:
            account = new_account(LearnerData(None, True, attrs["email"], attrs["email"], attrs["name"]))
            try:
                validate_password(attrs["password"], account)
            except ValidationError as error:
                raise serializers.ValidationError({"password": error.messages}) from None
        return attrs


class RegisteredSerializer(serializers.Serializer[Any]):
    """An account that was registered."""

    accountId = serializers.UUIDField(source="uuid", help_text="The UUID of the learner.")


class LinkIdentitySerializer(StrictSerializer):
    """An id at another system."""

    issuer = TextField(max_length=ISSUER_LENGTH, help_text="The system that gave the id, as its events are configured.")
    subject = TextField(max_length=SUBJECT_LENGTH, help_text="The id of the user at that system.")


class IdentitySerializer(serializers.Serializer[Any]):
    """An id that a user has at another system."""

    identityId = serializers.IntegerField(source="pk")
    issuer = serializers.CharField()
    subject = serializers.CharField()
    addedAt = utc_time_field(source="created_at")
