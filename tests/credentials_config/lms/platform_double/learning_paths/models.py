"""Learning paths."""

import re

from django.conf import settings
from django.db import models
from opaque_keys import InvalidKeyError
from opaque_keys.edx.django.models import CourseKeyField, LearningContextKeyField
from opaque_keys.edx.keys import LearningContextKey


class LearningPathKey(LearningContextKey):
    """path-v1:{org}+{number}+{run}+{group}."""

    CANONICAL_NAMESPACE = "path-v1"
    KEY_FIELDS = ("org", "number", "run", "group")
    CHECKED_INIT = False
    __slots__ = KEY_FIELDS

    def __init__(self, org, number, run, group):
        super().__init__(org=org, number=number, run=run, group=group)

    @classmethod
    def from_string(cls, serialized):
        """Read a key; the plugin has an entry point for this, which the double has not."""
        return cls._from_string(serialized.removeprefix("path-v1:"))

    @classmethod
    def _from_string(cls, serialized):
        match = re.fullmatch(r"([^+]+)\+([^+]+)\+([^+]+)\+([^+]+)", serialized)
        if not match:
            raise InvalidKeyError(cls, serialized)
        return cls(*match.groups())

    def _to_string(self):
        return "+".join([self.org, self.number, self.run, self.group])


class LearningPathKeyField(LearningContextKeyField):
    """A column of such keys."""

    KEY_CLASS = LearningPathKey


class LearningPath(models.Model):
    """A path."""

    key = LearningPathKeyField(max_length=255, unique=True)
    display_name = models.CharField(max_length=255)


class LearningPathStep(models.Model):
    """A course of a path."""

    course_key = CourseKeyField(max_length=255)
    learning_path = models.ForeignKey(LearningPath, related_name="steps", on_delete=models.CASCADE)
    order = models.PositiveIntegerField(blank=True, null=True)


class LearningPathEnrollment(models.Model):
    """Who takes which path."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    learning_path = models.ForeignKey(LearningPath, on_delete=models.CASCADE)
    is_active = models.BooleanField(default=True)
