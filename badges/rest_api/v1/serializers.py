"""Read-only serializers of credentials and progress."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from badges.awarding.models import INTERNAL_REASON_LENGTH, PUBLIC_REASON_LENGTH, CredentialStatus
from badges.catalog.causes import REASON_LENGTH, Caused, CauseKind
from badges.common.request_bodies import StrictSerializer, TextField
from badges.intake.models import Learner
from badges.progress.models import RequirementReset
from badges.progress.reading import RequirementReport
from badges.rest_api.times import utc_time_field


class LearnerSerializer(serializers.Serializer[Learner]):
    """The learner."""

    uuid = serializers.UUIDField()
    lms_user_id = serializers.IntegerField(allow_null=True)
    username = serializers.SerializerMethodField(help_text="Null when the account is gone.")

    @extend_schema_field({"type": ["string", "null"]})
    def get_username(self, learner: Learner) -> str | None:
        return learner.user.get_username() if learner.user else None


class TemplateSerializer(serializers.Serializer[Any]):
    """The badge template."""

    uuid = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    image_url = serializers.CharField(
        source="shown_image_url", help_text="The template's own image, or else its provider's; empty: there is none."
    )


class CauseSerializer(serializers.Serializer[Caused]):
    """The cause. Who did it, and the reason that a person wrote, are shown only to staff, in the admin."""

    kind = serializers.ChoiceField(source="cause_kind", choices=CauseKind.choices)
    event_source = serializers.CharField(source="cause_event_source")
    event_id = serializers.CharField(source="cause_event_id")
    event_type = serializers.CharField(source="cause_event_type")
    event_time = utc_time_field(source="cause_event_time", allow_null=True)
    template_revision = serializers.IntegerField(source="revision.number")


class RevocationCauseSerializer(serializers.Serializer[Any]):
    """The cause of a revocation. Who did it, and the reason for staff, are shown only to staff, in the admin."""

    kind = serializers.ChoiceField(source="revocation_kind", choices=CauseKind.choices)
    event_source = serializers.CharField(source="revocation_event_source")
    event_id = serializers.CharField(source="revocation_event_id")
    event_type = serializers.CharField(source="revocation_event_type")
    event_time = utc_time_field(source="revocation_event_time", allow_null=True)
    template_revision = serializers.IntegerField(
        source="revocation_revision.number", allow_null=True, default=None, help_text="Null when it is not known."
    )


class IssuedSerializer(serializers.Serializer[Any]):
    """The credential's badge at a provider."""

    provider = serializers.CharField()
    state = serializers.CharField(help_text="The provider's word, or created, no_response or error before it has one.")
    external_id = serializers.CharField(help_text="The provider's id of the badge; empty before it is issued.")
    url = serializers.CharField(help_text="Where the provider shows the badge; empty before it does.")
    issued_at = utc_time_field(allow_null=True)


class CredentialSerializer(serializers.Serializer[Any]):
    """A badge that a learner was awarded."""

    id = serializers.UUIDField()
    status = serializers.SerializerMethodField(
        help_text="`replaced`: the badge was earned anew before its end, and a newer credential took its place."
    )
    awarded_at = utc_time_field()
    valid_until = utc_time_field(allow_null=True, help_text="When the badge ends; null for one that has no end.")
    ended_at = utc_time_field(allow_null=True, help_text="When it expired or was replaced.")
    replaces = serializers.UUIDField(
        source="replaces_id", allow_null=True, help_text="The id of the credential whose place it took."
    )
    learner = LearnerSerializer()
    template = TemplateSerializer()
    cause = CauseSerializer(source="*")
    revoked_at = utc_time_field(allow_null=True)
    public_reason = serializers.CharField(help_text="Why it was revoked; empty when nobody said so.")
    blocked = serializers.BooleanField(
        help_text="Whether the learner does not get the badge again until staff lift the block."
    )
    revocation = serializers.SerializerMethodField(help_text="The cause of the revocation; null while it is held.")
    issued = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ChoiceField(choices=CredentialStatus.choices))
    def get_status(self, credential: Any) -> str:
        return str(credential.status_at(timezone.now()))

    @extend_schema_field(RevocationCauseSerializer(allow_null=True))
    def get_revocation(self, credential: Any) -> Any:
        return RevocationCauseSerializer(credential).data if credential.revocation_kind else None

    @extend_schema_field(IssuedSerializer(many=True))
    def get_issued(self, credential: Any) -> Any:
        return IssuedSerializer(self.context["issued"].get(credential.pk, []), many=True).data


@extend_schema_field({"type": ["string", "integer"], "maxLength": 255})
class PersonField(TextField):
    """A person as one text, or as a number, which is an LMS user id."""

    def to_internal_value(self, data: Any) -> Any:
        is_number = isinstance(data, int) and not isinstance(data, bool)
        return super().to_internal_value(str(data) if is_number else data)


class AwardSerializer(StrictSerializer):
    """Who gets which badge."""

    user_id = PersonField(
        max_length=255, help_text="A UUID is that of a learner, digits are an LMS user id, else it is a username."
    )
    template = TextField(max_length=150, help_text="The slug of the template.")
    reason = TextField(
        required=False, default="", allow_blank=True, max_length=REASON_LENGTH, help_text="For staff only."
    )


class RevokeSerializer(StrictSerializer):
    """Why a badge is revoked."""

    public_reason = TextField(
        max_length=PUBLIC_REASON_LENGTH,
        help_text="The learner and everybody who can open the public page of the badge can read it, and the providers "
        "get it.",
    )
    internal_reason = TextField(
        required=False, default="", allow_blank=True, max_length=INTERNAL_REASON_LENGTH, help_text="For staff only."
    )
    block = serializers.BooleanField(
        required=False, default=True, help_text="The learner does not get the badge again until the block is lifted."
    )


class LiftBlockSerializer(StrictSerializer):
    """Why a block is lifted."""

    reason = TextField(
        required=False, default="", allow_blank=True, max_length=REASON_LENGTH, help_text="For staff only."
    )


class LiftedBlockSerializer(serializers.Serializer[Any]):
    """What lifting a block led to."""

    credential = CredentialSerializer(help_text="The revoked credential, which is not blocked any more.")
    awarded = CredentialSerializer(
        allow_null=True,
        help_text="The new credential, when all requirements of today were fulfilled and it was awarded again.",
    )


class ResetSerializer(serializers.Serializer[RequirementReset]):
    """The last reset of a requirement by a penalty."""

    void_until = utc_time_field(help_text="The time of the penalty's event. What was earned up to then does not count.")
    event_source = serializers.CharField()
    event_id = serializers.CharField()
    event_type = serializers.CharField()
    template_revision = serializers.IntegerField(source="revision.number")


class RequirementSerializer(serializers.Serializer[Any]):
    """A requirement of a group, with its fulfilment. The criteria document is the one with the key ``criteria``."""

    key = serializers.CharField(source="requirement.key")
    event_type = serializers.SerializerMethodField(help_text="Null for the criteria document.")
    description = serializers.CharField(help_text="The criteria document is described in the reader's language.")
    fulfilled_at = utc_time_field(source="fulfillment.fulfilled_at", allow_null=True, default=None)
    cause = CauseSerializer(source="fulfillment", allow_null=True)
    reset = ResetSerializer(allow_null=True, help_text="The last reset by a penalty; null when there was none.")

    missing = serializers.ListField(
        child=serializers.CharField(),
        allow_null=True,
        help_text="What is missing of the criteria document, in the reader's language. Null for other requirements, "
        "when it is fulfilled, and for who may not view the logged events.",
    )

    @extend_schema_field({"type": ["string", "null"]})
    def get_event_type(self, reported: RequirementReport) -> str | None:
        return reported.requirement.event_type or None


class GroupSerializer(serializers.Serializer[Any]):
    """A group of alternative requirements, of which one is enough."""

    group = serializers.CharField(source="name", allow_null=True, help_text="Null for a requirement that stands alone.")
    fulfilled = serializers.BooleanField()
    requirements = RequirementSerializer(many=True)


class ProgressSerializer(serializers.Serializer[Any]):
    """The progress of a learner on a badge, by its current requirements."""

    id = serializers.UUIDField()
    learner = LearnerSerializer()
    template = TemplateSerializer()
    begun_at = utc_time_field(source="created_at")
    completed_at = utc_time_field(allow_null=True)
    fulfilled_groups = serializers.IntegerField(source="report.fulfilled")
    total_groups = serializers.IntegerField(source="report.total")
    groups = GroupSerializer(source="report.groups", many=True)


class RetiringPersonSerializer(StrictSerializer):
    """Who is to be retired. Exactly one of the fields is given."""

    lms_user_id = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    username = serializers.CharField(required=False, max_length=255)
    learner = serializers.UUIDField(required=False, help_text="The UUID of the learner.")

    def validate_username(self, username: str) -> str:
        if username.isdigit():  # badges.api takes digits for an LMS user id
            raise serializers.ValidationError(_("This may be an LMS user id. Write lms_user_id or learner."))
        return username

    def validate(self, attrs: Any) -> Any:
        if len(attrs) != 1 or set(self.initial_data) != set(attrs):
            raise serializers.ValidationError(_("Write exactly one of lms_user_id, username and learner."))
        return attrs


class RetirementSerializer(serializers.Serializer[Any]):
    """What a retirement changed. The numbers are 0 when it is repeated, or when nothing is known of the person."""

    is_remembered = serializers.BooleanField(
        help_text="False when the LMS user id is not known here; a late event can then bring the person back."
    )
    changed = serializers.DictField(
        source="counts",
        child=serializers.DictField(child=serializers.IntegerField()),
        help_text="The numbers of changed rows, by app and by what was removed.",
    )
