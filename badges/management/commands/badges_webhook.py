"""Make the address to which a provider sends the webhooks of an organization."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from badges.exceptions import Permanent
from badges.issuers import webhooks


class Command(BaseCommand):
    """``badges_webhook PROVIDER ORGANIZATION``."""

    help = (
        "Make a new address for the webhooks of an organization at a provider and show it, once; the old address is "
        "refused from then on. The admin does the same with a button."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("provider", metavar="PROVIDER", help="the slug of the provider, such as credly")
        parser.add_argument("organization", metavar="ORGANIZATION", help="the organization's id at the provider")

    def handle(self, *args: Any, provider: str, organization: str, **options: Any) -> None:
        try:
            self.stdout.write(webhooks.new_address(provider, organization))
        except Permanent as error:
            raise CommandError(str(error)) from error
        self.stderr.write("Enter it at the provider. It is shown this once; the old address is refused from now on.")
