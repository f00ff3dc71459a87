"""A command of the host."""

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Do nothing."""

    def handle(self, *args: str, **options: object) -> None:
        self.stdout.write("of the host")
