"""What staff rely on when a machine dies in the middle of a file: all of it is carried out, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from badges.models import BulkRow, Learner, OutboxMessage, Run, RunState, UserCredential
from badges.runs import worker
from tests.factories import make_template
from tests.services.processes import Process

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

ROWS = 4000


def test_a_command_killed_in_the_middle_of_a_file_is_taken_over(
    run_manage: Callable[..., Process], settings: Any, tmp_path: Path
) -> None:
    make_template(slug="star")
    Learner.objects.bulk_create([Learner(lms_user_id=number) for number in range(1, ROWS + 1)])
    file = tmp_path / "list.csv"
    file.write_text("learner,template\n" + "".join(f"{number},star\n" for number in range(1, ROWS + 1)))
    process = run_manage("badges_bulk", "award", str(file), "--apply", env={"DATA_DIR": str(settings.MEDIA_ROOT)})
    process.wait_until(lambda: UserCredential.objects.exists(), what="the first awards")
    process.kill()
    run = Run.objects.get()
    assert 0 < UserCredential.objects.count() == run.done < ROWS
    worker.work(now=lambda: timezone.now() + timedelta(hours=1))
    run.refresh_from_db()
    assert (run.state, run.done, run.read_counts()) == (RunState.DONE, ROWS, {"awarded": ROWS})
    assert UserCredential.objects.values("learner").distinct().count() == UserCredential.objects.count() == ROWS
    assert BulkRow.objects.filter(outcome="awarded", credential__isnull=False).count() == ROWS
    assert OutboxMessage.objects.filter(channel="announce").count() == ROWS
