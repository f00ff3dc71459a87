"""What users prefer."""

from django.conf import settings
from django.db import models


class UserPreference(models.Model):
    """A key and what the user chose for it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preferences")
    key = models.CharField(max_length=255)
    value = models.TextField()
