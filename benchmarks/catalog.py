"""
Fill a database for a benchmark: templates and learners, in bulk. A process of its own, for one database.

Every template has two requirements, so that an event can match without completing. Half of the templates share one
event type and one course key and differ only in a second equality condition, so no single index finds them.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import django

SHARED = "course-v1:Shared+Course+1"


def course_of(template: int, part: int) -> tuple[str, str]:
    """Return the course key and name that requirement ``part`` (1 or 2) of a template asks for."""
    if template % 2 == 0:
        return SHARED, f"run {template} part {part}"
    return f"course-v1:Own+C{template}+{part}", "Own course"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--templates", type=int, required=True)
    parser.add_argument("--learners", type=int, required=True)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "service.settings")
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 -- Django is ready only now

    call_command("migrate", verbosity=0)
    make_templates(options.templates)
    make_learners(options.learners)


def make_templates(count: int) -> None:
    """Make active templates, each issued at Credly."""
    from django.db.models import OuterRef, Subquery  # noqa: PLC0415

    from badges.catalog import versions  # noqa: PLC0415
    from badges.catalog.documents import document_text  # noqa: PLC0415
    from badges.catalog.models import BadgeRequirement, BadgeTemplate, TemplateRevision  # noqa: PLC0415
    from badges.conf import PASSING_STATUS  # noqa: PLC0415

    templates = BadgeTemplate.objects.bulk_create(
        BadgeTemplate(slug=f"t{number}", name=f"Template {number}", is_active=True) for number in range(count)
    )
    templates = list(BadgeTemplate.objects.order_by("id"))
    BadgeRequirement.objects.bulk_create(
        BadgeRequirement(template=row, key=f"part-{part}", event_type=PASSING_STATUS)
        for row in templates
        for part in (1, 2)
    )
    TemplateRevision.objects.bulk_create(
        TemplateRevision(template=row, number=1, is_active=True, document=document_text(document_of(row, number)))
        for number, row in enumerate(templates)
    )
    newest = TemplateRevision.objects.filter(template=OuterRef("pk"))
    BadgeTemplate.objects.update(current_revision=Subquery(newest.values("pk")))
    versions.bump_version()


def document_of(template: Any, number: int) -> dict[str, Any]:
    """Return the document of a template: what its revision says."""
    return {
        "slug": template.slug,
        "uuid": str(template.uuid),
        "name": template.name,
        "description": "",
        "image_url": "",
        "is_active": True,
        "award_once": False,
        "issuers": [{"provider": "credly", "organization": "o", "template": template.slug}],
        "requirements": [_requirement(number, part) for part in (1, 2)],
        "penalties": [],
        "criteria": None,
    }


def _requirement(template: int, part: int) -> dict[str, Any]:
    from badges.conf import PASSING_STATUS  # noqa: PLC0415

    course, name = course_of(template, part)
    wanted = {"is_passing": True, "course.course_key": course}
    if course == SHARED:
        wanted["course.display_name"] = name
    rules = [{"path": path, "operator": "eq", "value": value} for path, value in wanted.items()]
    return {"key": f"part-{part}", "event_type": PASSING_STATUS, "group": None, "description": "", "rules": rules}


def make_learners(count: int) -> None:
    """Make people who have been here before."""
    from django.contrib.auth import get_user_model  # noqa: PLC0415

    from badges.intake.models import Learner  # noqa: PLC0415

    users = get_user_model()._default_manager
    users.bulk_create(
        (
            users.model(
                username=f"learner{number}", email=f"learner{number}@example.com", first_name="L", last_name="R"
            )
            for number in range(1, count + 1)
        ),
        batch_size=5000,
    )
    Learner.objects.bulk_create(
        (
            Learner(lms_user_id=int(user.get_username()[7:]), user=user)
            for user in users.filter(username__startswith="learner").order_by("id")
        ),
        batch_size=5000,
    )


if __name__ == "__main__":
    main()
