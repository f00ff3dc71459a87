"""Accounts."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """An account; a newer column holds the id of the same person at the LMS."""

    full_name = models.CharField(max_length=255, blank=True, null=True, db_index=True)
    lms_user_id = models.IntegerField(null=True, db_index=True)

    class Meta:
        get_latest_by = "date_joined"
