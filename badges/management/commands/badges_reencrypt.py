"""Encrypt the secrets of providers with the newest key, so that old keys can be removed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from badges.exceptions import Permanent
from badges.issuers import registry


class Command(BaseCommand):
    """Encrypt every stored secret with the newest key."""

    help = (
        "Encrypt the stored secrets of all providers with the newest key. To rotate keys: put a new one first in "
        "LMS_BADGES_CONFIG['secret_keys'], restart everything, run this, then drop the old keys. All or nothing."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                count = sum(registry.get(slug).reencrypt() for slug in registry.slugs())
        except Permanent as error:
            raise CommandError(f"Nothing was changed. {error}") from error
        self.stdout.write(f"Secrets encrypted with the newest key: {count}. Older keys can be dropped now.")
