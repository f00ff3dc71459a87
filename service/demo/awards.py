"""Awards that no learning event causes: by a person, by a certification of another service, and by engagement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import OutputWrapper
from django.test import Client
from rich.console import Console

from badges.models import BadgeTemplate, CertificationMapping, Learner

BY_HAND = "helping-hand"
CERTIFICATION, BY_CERTIFICATION = "red-cross/first-aid", "first-aider"
LMS_USER_ID = 5001


def give_by_hand(console: Console, staff: str) -> None:
    """Let staff assign a badge by REST, twice: the second request is refused."""
    body = {"stickerId": BY_HAND, "reason": "Showed the newcomers around."}
    for _ in range(2):
        _post(console, staff, f"/api/award/v1/users/{LMS_USER_ID}/stickers", body)


def give_for_certification(stdout: OutputWrapper, folder: Path) -> None:
    """Map a certification to a badge, and receive the event of another service that a learner has completed it."""
    template = BadgeTemplate.objects.get(slug=BY_CERTIFICATION)
    CertificationMapping.objects.get_or_create(certification_id=CERTIFICATION, template=template)
    event = {
        "specversion": "1.0",
        "id": f"first-aid-{LMS_USER_ID}",
        "source": "/certifications",
        "type": "certifications.certificationCompleted.v1",
        "time": "2026-10-01T09:00:00Z",
        "data": {
            "accountId": str(Learner.objects.get(lms_user_id=LMS_USER_ID).uuid),
            "certificationId": CERTIFICATION,
            "completedAt": "2026-10-01T09:00:00Z",
        },
    }
    path = folder / "certifications.jsonl"
    path.write_text(json.dumps(event) + "\n", encoding="utf-8")
    call_command("consume_badge_events", bus="file", input=str(path), stdout=stdout)


def give_for_engagement(console: Console) -> None:
    """Let a learner finish a quiz: it gives XP, and XP gives badges. The same quiz again gives nothing."""
    call_command("badges_pack", "apply", "engagement", verbosity=0)
    learner = Learner.objects.get(lms_user_id=LMS_USER_ID)
    assert learner.user is not None
    for _ in range(2):
        _post(console, learner.user.get_username(), "/api/v1/quiz/result", {"event_id": "demo-quiz-1", "score": 90})


def _post(console: Console, username: str, path: str, body: dict[str, Any]) -> None:
    """Send a request as somebody who is signed in, and print it with the answer."""
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(get_user_model()._default_manager.get_by_natural_key(username))
    response = client.post(path, json.dumps(body), content_type="application/json")
    console.print(f"  {username}: POST {path} {json.dumps(body)}", markup=False, highlight=False)
    console.print(f"  → {response.status_code} {response.content.decode()}", markup=False, highlight=False)
