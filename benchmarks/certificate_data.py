"""
Create the configuration for the certificate benchmark: assets, a type, a course of the stand-in LMS.

This runs as a separate process and prints the id of the configuration.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import django

COURSE = "course-v1:Bench+Certificates+1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qr", choices=["yes", "no"], required=True)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "service.settings")
    django.setup()
    sys.stdout.write(str(make_configuration(with_qr=options.qr == "yes")))


def make_configuration(*, with_qr: bool) -> int:
    """Migrate, and make an enabled configuration of the sample certificate, with its QR code or without."""
    from django.core.files.base import ContentFile  # noqa: PLC0415 -- Django is ready only now
    from django.core.management import call_command  # noqa: PLC0415

    from credentials_config.generators.pdf import samples  # noqa: PLC0415
    from credentials_config.models import (  # noqa: PLC0415
        CredentialAsset,
        CredentialConfiguration,
        CredentialType,
    )

    call_command("migrate", verbosity=0)
    options: dict[str, Any] = dict(samples.OPTIONS[samples.CERTIFICATE])
    if not with_qr:
        options.pop("qr")
    file = ContentFile(samples.content(samples.CERTIFICATE), name=samples.CERTIFICATE)
    CredentialAsset.objects.create(slug=options["template"], file=file)
    kind = CredentialType.objects.create(name="Certificate", processor="completions", generator="pdf", options=options)
    return CredentialConfiguration.objects.create(context_key=COURSE, credential_type=kind, enabled=True).pk


if __name__ == "__main__":
    main()
