"""The fields of responses and of request bodies."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from badges.common.request_bodies import StrictSerializer, TextField
from credentials_config.rest_api.v1.holdings import KINDS
from credentials_config.rest_api.v1.people import LARGEST_ID
from credentials_config.verification.lookup import State


def _time(**options: Any) -> serializers.DateTimeField:
    """A time in UTC as RFC 3339 writes it, whatever the host's own format and time zone are."""
    return serializers.DateTimeField(format="iso-8601", default_timezone=dt.UTC, **options)


class CertificateSerializer(serializers.Serializer[Any]):
    """The fields that only certificates have."""

    configuration = serializers.IntegerField()
    context_key = serializers.CharField()
    context_name = serializers.CharField()
    name = serializers.CharField(help_text="The learner's name on the document; empty after their data was removed.")
    verification_code = serializers.CharField()
    verify_url = serializers.CharField()
    document_url = serializers.CharField(help_text="Empty while there is no document.")
    reason = serializers.CharField(help_text="Why it was invalidated; may be read by everybody.")


class BadgeSerializer(serializers.Serializer[Any]):
    """The fields that only badges have."""

    uuid = serializers.UUIDField()
    slug = serializers.CharField()
    reason = serializers.CharField(help_text="Why it was revoked; empty while it is held.")


class HoldingSerializer(serializers.Serializer[Any]):
    """A certificate or a badge."""

    kind = serializers.ChoiceField(choices=KINDS)
    id = serializers.UUIDField()
    title = serializers.CharField()
    description = serializers.CharField()
    image_url = serializers.CharField(help_text="Empty when there is no image.")
    status = serializers.CharField(
        help_text="Certificates: available, expired, invalidated; just issued ones generating or error. "
        "Badges: awarded, revoked, expired, replaced."
    )
    held = serializers.BooleanField()
    issued_at = _time()
    expires_at = _time(allow_null=True)
    certificate = CertificateSerializer(allow_null=True)
    badge = BadgeSerializer(allow_null=True)


class ConfiguredSerializer(serializers.Serializer[Any]):
    """A credential that is given in a context."""

    id = serializers.IntegerField()
    title = serializers.CharField()
    availability = serializers.CharField()


class ConfiguredContextSerializer(serializers.Serializer[Any]):
    """What is given in a context."""

    context_key = serializers.CharField()
    has_credentials = serializers.BooleanField()
    credential_count = serializers.IntegerField()
    configurations = ConfiguredSerializer(many=True)


class EligibilitySerializer(serializers.Serializer[Any]):
    """How far a learner is with one of a context's credentials."""

    configuration = serializers.IntegerField()
    title = serializers.CharField()
    eligible = serializers.BooleanField(allow_null=True, help_text="Null when it is not known; `reasons` says why.")
    progress = serializers.DictField(help_text="Figures of the processor, and what they are compared with.")
    reasons = serializers.ListField(child=serializers.CharField(), help_text="What is missing, in sentences.")
    credential = HoldingSerializer(allow_null=True, help_text="The one that the learner has, or had.")


class EligibilityOfContextSerializer(serializers.Serializer[Any]):
    """How far a learner is with each of a context's credentials."""

    context_key = serializers.CharField()
    lms_user_id = serializers.IntegerField()
    username = serializers.CharField()
    credentials = EligibilitySerializer(many=True)


class MetadataSerializer(serializers.Serializer[Any]):
    """What anybody may know who has a credential's verification code."""

    verification_code = serializers.CharField(source="code")
    state = serializers.ChoiceField(choices=[state.value for state in State])
    title = serializers.CharField()
    name = serializers.CharField(help_text="Empty after the learner's data was removed.")
    context_key = serializers.CharField()
    context_name = serializers.CharField()
    issued_at = _time()
    expires_at = _time(allow_null=True)
    revoked_at = _time(allow_null=True)
    reason = serializers.CharField(help_text="Why it was revoked.")


class IssueSerializer(StrictSerializer):
    """The body that issues a certificate."""

    configuration = serializers.IntegerField(min_value=1, max_value=LARGEST_ID)
    lms_user_id = serializers.IntegerField(required=False, min_value=0, max_value=LARGEST_ID)
    username = TextField(required=False, max_length=255)
    override_eligibility = serializers.BooleanField(
        default=False, help_text="Give it although the learner has not earned it."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("lms_user_id" in attrs) == ("username" in attrs):
            raise serializers.ValidationError({"lms_user_id": [_("Write either lms_user_id or username.")]})
        return attrs


class ReissueSerializer(StrictSerializer):
    """The body that reissues a certificate."""

    mail = serializers.BooleanField(default=True, help_text="Tell the learner by e-mail.")
    ask_names = serializers.BooleanField(default=True, help_text="Ask the LMS for the names as they are now.")


class InvalidateSerializer(StrictSerializer):
    """The body that invalidates a certificate."""

    public_reason = TextField(max_length=255, help_text="The verification page shows it.")
    internal_note = TextField(
        required=False, default="", allow_blank=True, max_length=10_000, help_text="For staff only."
    )
