"""Serializers of request bodies that refuse what they do not know."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

NAME_SHOWN = 100
MOST_NAMED = 20  # unknown fields in one answer


class StrictSerializer(serializers.Serializer[Any]):
    """The base of request bodies. An unknown field is refused, since its meaning would be ignored without a word."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            known = ", ".join(self.fields)
            unknown = [str(name)[:NAME_SHOWN] for name in data if name not in self.fields]
            if unknown:
                remedy = _("There is no such field; known are %(known)s.") % {"known": known}
                raise serializers.ValidationError({name: [remedy] for name in unknown[:MOST_NAMED]})
        return super().to_internal_value(data)


class TextField(serializers.CharField):
    """Text on one line, without characters that no database stores."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError(_("Write text, in quotes."))
        if any("\ud800" <= char <= "\udfff" for char in data):
            raise serializers.ValidationError(_("There is half a character in it (\\ud800 to \\udfff); take it out."))
        return super().to_internal_value(data)
