"""Fill a database with badges that are to be issued at Credly. A process of its own, for one database."""

from __future__ import annotations

import argparse
import json
import os

import django

BATCH = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--badges", type=int, required=True)
    parser.add_argument("--organization", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--template", required=True)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "service.settings")
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 -- Django is ready only now

    from badges.catalog.models import BadgeTemplate, TemplateIssuer  # noqa: PLC0415
    from badges.issuers.credly.models import CredlyOrganization  # noqa: PLC0415
    from benchmarks.catalog import make_learners, make_templates  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    organization = CredlyOrganization(uuid=options.organization)
    organization.token = options.token
    organization.save()
    make_templates(1)
    TemplateIssuer.objects.create(
        template=BadgeTemplate.objects.get(),
        provider="credly",
        organization=options.organization,
        external_template=options.template,
    )
    make_learners(options.badges)
    award(options.badges)


def award(badges: int) -> None:
    """Let the pipeline award one badge to each learner."""
    from badges import pipeline  # noqa: PLC0415
    from badges.intake.events import parse_event  # noqa: PLC0415
    from benchmarks import feed  # noqa: PLC0415

    for kind in ("match", "completes"):
        events = [
            parse_event(json.dumps(event), received_from="bench")
            for event in feed.events(kind, learners=badges, templates=1)
        ]
        for number in range(0, badges, BATCH):
            pipeline.handle(events[number : number + BATCH])


if __name__ == "__main__":
    main()
