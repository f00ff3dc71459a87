"""The bodies of requests and answers."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from rest_framework import serializers

from badges.common.request_bodies import StrictSerializer, TextField
from badges.engagement.experience import MOST
from badges.rules.times import instant

ID_LENGTH = 255
TIME_ZONE_LENGTH = 64


class NumberField(serializers.FloatField):
    """A number of JSON. Text and booleans are refused."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, (int, float)) or not 0 <= data <= MOST:
            raise serializers.ValidationError(_("Write a number from 0 to %(most)d.") % {"most": MOST})
        return float(data)


class WholeNumberField(serializers.IntegerField):
    """A whole number of JSON. Text and booleans are refused."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int) or not 0 <= data <= MOST:
            raise serializers.ValidationError(_("Write a whole number from 0 to %(most)d.") % {"most": MOST})
        return data


class InstantField(serializers.DateTimeField):
    """A time of RFC 3339, with its offset. The formats and the time zone of the host have no effect."""

    def to_internal_value(self, value: Any) -> dt.datetime:
        try:
            return instant(value)
        except ValueError as error:
            raise serializers.ValidationError(_("Write %(wanted)s.") % {"wanted": error}) from None


class TimeZoneField(TextField):
    """The IANA name of a time zone."""

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        try:
            return ZoneInfo(name).key if len(name) <= TIME_ZONE_LENGTH else name
        except (LookupError, ValueError, OSError):
            wanted = _("Write the IANA name of a time zone, such as Europe/Brussels.")
            raise serializers.ValidationError(wanted) from None


class ActivitySerializer(StrictSerializer):
    """What all activities have."""

    event_id = TextField(
        required=False,
        max_length=ID_LENGTH,
        help_text="Yours, one for each activity: what is sent again with the same id counts once. Without it, the "
        "header `Idempotency-Key` is the id.",
    )
    time = InstantField(required=False, help_text="When it happened, by RFC 3339; by default now.")
    time_zone = TimeZoneField(
        required=False,
        max_length=TIME_ZONE_LENGTH,
        help_text="The IANA name of the zone in which your days begin, from now on; by default as before.",
    )


class QuizResultSerializer(ActivitySerializer):
    """The result of a quiz."""

    score = NumberField(min_value=0, max_value=MOST, help_text="The points that were reached.")


class FlashcardsSerializer(ActivitySerializer):
    """A session with flashcards that is complete."""

    cards = WholeNumberField(min_value=0, max_value=MOST, help_text="How many cards were studied.")


class RecordedActivitySerializer(serializers.Serializer[Any]):
    """What an activity gave, and your figures after it."""

    xp_gained = serializers.IntegerField(help_text="The XP of this activity, also when it was sent before.")
    total_xp = serializers.IntegerField(source="stats.total_xp")
    current_streak = serializers.IntegerField(
        source="stats.current_streak", help_text="Days in a row with an activity, up to today or yesterday."
    )
    longest_streak = serializers.IntegerField(source="stats.longest_streak")
    new_badges = serializers.ListField(
        child=serializers.CharField(), help_text="The slugs of the badges that this request has awarded."
    )
