"""The certificates of the demo: a course of the stand-in LMS, and the configuration that gives them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile

from credentials_config.generators.pdf import samples
from credentials_config.issuing import generation, run_queue, runs
from credentials_config.models import CredentialAsset, CredentialConfiguration, CredentialType
from credentials_config.testing.lms import LmsProcess

COURSE = "course-v1:Demo+Calligraphy+2026"
# Names that the fonts of the typst package can show.
NAMES = ("Ada Lovelace", "Zoë D'Arc", "Þóra Jónsdóttir", "Иван Петров", "Σοφία Παπαδάκη", "María José Núñez", "Aïcha")
# Names that need the Noto fonts; used where the machine has them.
NOTO_NAMES = ("أحمد بن علي", "שרה לוי", "अनिता शर्मा", "สมชาย ใจดี", "王小明", "さくら 田中")


def open_course(lms: LmsProcess) -> None:
    """Add a course to the stand-in LMS that all learners but the last one have completed."""
    lms.add_course(key=COURSE, name="Calligraphy for beginners")
    names = NAMES + (NOTO_NAMES if _has_noto() else ())
    for number, name in enumerate(names, start=1):
        username = f"learner{number}"
        lms.add_learner(username=username, id=5000 + number, name=name)
        lms.enroll(key=COURSE, username=username)
        lms.complete(key=COURSE, username=username, percent=0.4 if name == names[-1] else 1.0)


def use(lms: LmsProcess, *, address: str, folder: Path) -> None:
    """Configure the host to use the stand-in LMS, and to write documents and e-mails into folders."""
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "public_url": address, "lms": lms.settings}
    settings.MEDIA_ROOT = str(folder / "media")
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(folder / "mail")


def enable() -> CredentialConfiguration:
    """Return an enabled configuration for the course; create what does not exist yet."""
    options: dict[str, Any] = samples.OPTIONS[samples.CERTIFICATE]
    if not CredentialAsset.objects.filter(slug=options["template"]).exists():
        file = ContentFile(samples.content(samples.CERTIFICATE), name=samples.CERTIFICATE)
        CredentialAsset.objects.create(slug=options["template"], description="The sample certificate", file=file)
    kind, _ = CredentialType.objects.get_or_create(
        name="Certificate of completion",
        defaults={"processor": "completions", "generator": "pdf", "options": options},
    )
    configuration, _ = CredentialConfiguration.objects.get_or_create(
        context_key=COURSE, credential_type=kind, defaults={"enabled": True}
    )
    return configuration


def keep_making() -> None:
    """Carry out runs and make documents, as a Celery worker would, while the demo is served."""
    while True:
        while claimed := run_queue.claim():
            runs.carry_out(claimed)
        generation.make_due()
        time.sleep(1)


def _has_noto() -> bool:
    fonts = Path("/usr/share/fonts")
    return all(any(fonts.rglob(name)) for name in ("NotoNaskhArabic*", "NotoSansCJK*"))
