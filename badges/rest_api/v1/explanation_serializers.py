"""Serializers of an answer to "why did or didn't this person get the badge". The command writes the same JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from badges.api import Answer, answer_sentences
from badges.awarding.models import CredentialStatus
from badges.catalog.causes import CauseKind
from badges.common.request_bodies import TextField
from badges.explanations.answers import CriteriaFacts, State
from badges.explanations.reading import Hindrance
from badges.rest_api.times import utc_time_field


class ExplanationQuerySerializer(serializers.Serializer[Any]):
    """About whom and about which template is asked."""

    template = TextField(max_length=150)
    username = TextField(required=False, max_length=255)
    lms_user_id = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    learner = serializers.UUIDField(required=False)


class ExplainedPersonSerializer(serializers.Serializer[Any]):
    """Who was asked about."""

    uuid = serializers.UUIDField(allow_null=True, help_text="Null for a person who is no learner yet.")
    lms_user_id = serializers.IntegerField(allow_null=True)
    username = serializers.CharField(allow_null=True)


class ExplainedTemplateSerializer(serializers.Serializer[Any]):
    """The badge template."""

    slug = serializers.CharField()
    name = serializers.CharField()
    is_active = serializers.BooleanField()
    archived_at = utc_time_field(allow_null=True)
    award_once = serializers.BooleanField()
    revision = serializers.IntegerField(allow_null=True, help_text="The number of its current revision.")


class ExplainedCauseSerializer(serializers.Serializer[Any]):
    """A cause. People are not named. The event is empty for what no event has caused."""

    kind = serializers.ChoiceField(choices=CauseKind.choices)
    event_source = serializers.CharField()
    event_id = serializers.CharField()
    event_type = serializers.CharField()
    event_time = utc_time_field(allow_null=True)
    template_revision = serializers.IntegerField(allow_null=True, help_text="The revision that decided.")


class ExplainedCredentialSerializer(serializers.Serializer[Any]):
    """A credential of the person for the template."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=CredentialStatus.choices)
    awarded_at = utc_time_field()
    valid_until = utc_time_field(allow_null=True)
    ended_at = utc_time_field(allow_null=True, help_text="When it expired or was replaced.")
    cause = ExplainedCauseSerializer()
    revoked_at = utc_time_field(allow_null=True)
    revocation = ExplainedCauseSerializer(allow_null=True)
    public_reason = serializers.CharField()
    blocked = serializers.BooleanField()
    block_lifted_at = utc_time_field(allow_null=True)


class ExplainedFulfillmentSerializer(serializers.Serializer[Any]):
    """A fulfilment of a requirement."""

    fulfilled_at = utc_time_field()
    cause = ExplainedCauseSerializer()
    reset_at = utc_time_field(allow_null=True, help_text="Null while it counts.")
    reset = ExplainedCauseSerializer(allow_null=True)


class ExplainedRuleSerializer(serializers.Serializer[Any]):
    """A rule, and what an event had at its key path."""

    path = serializers.CharField()
    operator = serializers.CharField()
    value = serializers.JSONField(allow_null=True)
    expected = serializers.CharField(help_text="The operator and the value in the reader's language.")
    observed = serializers.JSONField(allow_null=True, help_text="Null for nothing, and for what is personal.")
    holds = serializers.BooleanField()
    note = serializers.CharField(help_text="`personal`, or why there was nothing to compare, or empty.")


class ExplainedEventSerializer(serializers.Serializer[Any]):
    """A stored event, and what the rules say of it."""

    source = serializers.CharField()
    id = serializers.CharField()
    type = serializers.CharField()
    time = utc_time_field(allow_null=True)
    holds = serializers.BooleanField()
    hindrance = serializers.ChoiceField(
        choices=[(each.value, each.value) for each in Hindrance],
        allow_null=True,
        help_text="Why it may not have counted although all rules hold now.",
    )
    rules = ExplainedRuleSerializer(many=True)


class ExplainedRequirementSerializer(serializers.Serializer[Any]):
    """A requirement: what fulfilled it, or what came closest."""

    key = serializers.CharField()
    description = serializers.CharField()
    event_type = serializers.CharField(help_text="Empty for the criteria document.")
    fulfillment = ExplainedFulfillmentSerializer(allow_null=True)
    past = ExplainedFulfillmentSerializer(many=True, help_text="Fulfilments that do not count any more.")
    void_until = utc_time_field(allow_null=True, help_text="What was done up to then does not count.")
    reset = ExplainedCauseSerializer(allow_null=True, help_text="The last reset by a penalty.")
    closest = ExplainedEventSerializer(
        allow_null=True, help_text="The event for which the most rules hold, of those for which not all do."
    )
    uncounted = ExplainedEventSerializer(many=True, help_text="Events that fit now, and did not count.")
    events_read = serializers.IntegerField()
    missing = serializers.ListField(child=serializers.CharField(), help_text="What is missing of the document.")
    problem = serializers.CharField(help_text="Why its rules cannot be used; empty when they can.")


class ExplainedGroupSerializer(serializers.Serializer[Any]):
    """Requirements of which one is enough."""

    group = serializers.CharField(allow_null=True, help_text="Null for a requirement that stands alone.")
    fulfilled = serializers.BooleanField()
    requirements = ExplainedRequirementSerializer(many=True)


_TRACE_SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": "A JSON Pointer into the document."},
        "operator": {"type": "string"},
        "operand": {"description": "As it is written."},
        "observed": {"description": "What was compared with it; null if there was nothing."},
        "event": {"type": ["string", "null"], "description": "The id and the source of the event that decided."},
        "result": {"type": "boolean"},
        "missing": {"type": "string"},
        "note": {"type": "string", "description": "Why there was nothing to compare."},
        "children": {"type": "array", "items": {"type": "object"}, "description": "The steps that it rests on."},
    },
}


class ExplainedCriteriaSerializer(serializers.Serializer[Any]):
    """What the logged events say of the criteria document."""

    description = serializers.CharField()
    satisfied = serializers.BooleanField()
    earned_at = utc_time_field(allow_null=True, help_text="The first moment at which it held, if that is known.")
    missing = serializers.ListField(child=serializers.CharField())
    events_read = serializers.IntegerField()
    counts_from = utc_time_field(allow_null=True, help_text="From when on events count, by their arrival.")
    events_before = serializers.IntegerField(help_text="How many events arrived earlier, and do not count.")
    is_complete = serializers.BooleanField(help_text="False when there are older events, which were not read.")
    trace = serializers.SerializerMethodField(help_text="The steps of the evaluation.")

    @extend_schema_field(_TRACE_SCHEMA)
    def get_trace(self, criteria: CriteriaFacts) -> dict[str, Any]:
        return criteria.trace_as_json()


class ExplanationSerializer(serializers.Serializer[Any]):
    """Why a person did or did not get a badge."""

    at = utc_time_field()
    state = serializers.ChoiceField(
        choices=[(each.value, each.value) for each in State],
        help_text="Whether the badge is held, or the first reason why not.",
    )
    sentences = serializers.SerializerMethodField(help_text="The answer in the reader's language, to be sent as it is.")
    person = ExplainedPersonSerializer()
    template = ExplainedTemplateSerializer()
    credentials = ExplainedCredentialSerializer(many=True, help_text="Those of every status, newest first.")
    fulfilled_groups = serializers.IntegerField()
    total_groups = serializers.IntegerField()
    groups = ExplainedGroupSerializer(many=True)
    criteria = ExplainedCriteriaSerializer(allow_null=True)
    condition_holds = serializers.BooleanField(
        allow_null=True, help_text="Whether the badge condition holds now; null when the template has none."
    )
    events_read = serializers.IntegerField(help_text="How many stored events the rules were asked about.")
    is_complete = serializers.BooleanField(help_text="False when there are older events, which were not looked at.")

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_sentences(self, answer: Answer) -> list[str]:
        return answer_sentences(answer)
