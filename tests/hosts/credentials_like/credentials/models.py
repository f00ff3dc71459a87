"""Credentials of the host's own: certificates of programs, and what its badges app builds upon."""

import uuid

from django.contrib.sites.models import Site
from django.db import models


class AbstractCredential(models.Model):
    """Something that can be held."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE)
    is_active = models.BooleanField(default=False)

    class Meta:
        abstract = True


class UserCredential(models.Model):
    """Somebody, by username, holds something."""

    username = models.CharField(max_length=255, db_index=True)
    status = models.CharField(max_length=255, default="awarded")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    def __str__(self) -> str:
        return str(self.uuid)


class UserGrade(models.Model):
    """A grade that was sent by the LMS."""

    username = models.CharField(max_length=150)
    letter_grade = models.CharField(max_length=255, blank=True)

    def __str__(self) -> str:
        return self.username
