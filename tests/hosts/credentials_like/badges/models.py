"""The host's own badges app: models of the same names as the plugin's, with settings read at import."""

import uuid

from django.conf import settings
from django.db import models

from tests.hosts.credentials_like.credentials.models import AbstractCredential, UserCredential

EVENT_TYPES = [(event_type, event_type) for event_type in settings.LMS_BADGES_CONFIG["events"]]
CREDLY_URL = settings.LMS_BADGES_CONFIG["credly"]["CREDLY_API_BASE_URL"]
ACCREDIBLE_URL = settings.LMS_BADGES_CONFIG["accredible"]["ACCREDIBLE_API_BASE_URL"]


class CredlyOrganization(models.Model):
    """An account at Credly."""

    uuid = models.UUIDField(unique=True)
    api_key = models.CharField(max_length=255, blank=True)

    def __str__(self) -> str:
        return str(self.uuid)


class BadgeTemplate(AbstractCredential):
    """A badge that can be earned."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4)
    name = models.CharField(max_length=255)

    def __str__(self) -> str:
        return self.name


class CredlyBadgeTemplate(BadgeTemplate):
    """One of Credly's."""

    organization = models.ForeignKey(CredlyOrganization, on_delete=models.CASCADE)


class BadgeRequirement(models.Model):
    """What must happen."""

    template = models.ForeignKey(BadgeTemplate, on_delete=models.CASCADE, related_name="requirements")
    event_type = models.CharField(max_length=255, choices=EVENT_TYPES)

    def __str__(self) -> str:
        return self.event_type


class DataRule(models.Model):
    """What must be true of the event."""

    requirement = models.ForeignKey(BadgeRequirement, on_delete=models.CASCADE, related_name="rules")
    data_path = models.CharField(max_length=255)

    def __str__(self) -> str:
        return self.data_path


class BadgePenalty(models.Model):
    """What takes a requirement back."""

    template = models.ForeignKey(BadgeTemplate, on_delete=models.CASCADE, related_name="penalties")
    event_type = models.CharField(max_length=255, choices=EVENT_TYPES)
    requirements = models.ManyToManyField(BadgeRequirement)

    def __str__(self) -> str:
        return self.event_type


class PenaltyDataRule(models.Model):
    """What must be true of a penalty's event."""

    penalty = models.ForeignKey(BadgePenalty, on_delete=models.CASCADE, related_name="rules")
    data_path = models.CharField(max_length=255)

    def __str__(self) -> str:
        return self.data_path


class BadgeProgress(models.Model):
    """Somebody has begun."""

    username = models.CharField(max_length=255)
    template = models.ForeignKey(BadgeTemplate, on_delete=models.SET_NULL, null=True)

    def __str__(self) -> str:
        return self.username


class Fulfillment(models.Model):
    """A requirement was met."""

    progress = models.ForeignKey(BadgeProgress, on_delete=models.CASCADE)
    requirement = models.ForeignKey(BadgeRequirement, on_delete=models.SET_NULL, null=True)

    def __str__(self) -> str:
        return str(self.pk)


class CredlyBadge(UserCredential):
    """A credential at Credly."""

    external_uuid = models.UUIDField(null=True, unique=True)


class AccredibleAPIConfig(models.Model):
    """An account at Accredible."""

    name = models.CharField(max_length=255)

    def __str__(self) -> str:
        return self.name


class AccredibleGroup(BadgeTemplate):
    """One of Accredible's templates."""

    api_config = models.ForeignKey(AccredibleAPIConfig, on_delete=models.CASCADE)


class AccredibleBadge(UserCredential):
    """A credential at Accredible."""

    external_id = models.IntegerField(null=True, unique=True)
