"""Packaging of the plugin: metadata, the contents of the wheel, and the entry points."""

import re
from pathlib import Path

from setuptools import find_namespace_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "badges/__init__.py").read_text()).group(1)


def requirements(name: str) -> list[str]:
    """Return the loose requirements of ``requirements/<name>.in``."""
    lines = (HERE / f"requirements/{name}.in").read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


PLUGINS = [
    "badges = badges.apps:BadgesConfig",
    "credentials_config = credentials_config.apps:CredentialsConfigConfig",
]
ENTRY_POINTS = {
    # The plugin mechanism of edx-django-utils.
    "credentials.djangoapp": PLUGINS,
    "lms.djangoapp": PLUGINS,
    # Handlers of outbox rows, by channel.
    "badges.channels": [
        "accredible = badges.issuers.accredible.issuer:channel",
        "announce = badges.announcements:announce",
        "cloud-events = badges.announcements.cloud_events:publish",
        "credly = badges.issuers.credly.issuer:channel",
        "mail = badges.mail.channel:channel",
        "run-result = badges.runs.results:remove",
        "credential-mail = credentials_config.issuing.mail:channel",
        "credential-file = credentials_config.issuing.documents:remove_discarded",
    ],
    # Handlers of inbox rows, by kind.
    "badges.inbox_kinds": [
        "criteria = badges.pipeline.due_checks:handle",
        "sticker-claim = badges.flows.claims:handle",
        "certification = badges.flows.certifications:handle",
        "registration = badges.flows.registrations:handle",
        "webhook = badges.issuers.webhooks:handle",
    ],
    # Kinds of runs, by the name that runs store.
    "badges.run_kinds": [
        "backfill = badges.backfill.run_kinds:Backfill",
        "bulk_award = badges.bulk.run_kinds:BulkAward",
        "bulk_revoke = badges.bulk.run_kinds:BulkRevoke",
        "issue_to_holders = badges.granting.run_kinds:IssueToHolders",
        "reconcile_provider = badges.issuers.reconciling:Reconcile",
        "sweep_provider_events = badges.issuers.run_kinds:SweepEvents",
        "sync_badge_templates = badges.issuers.run_kinds:SyncTemplates",
    ],
    # Generators of documents, by the slug that credential types store.
    "credentials_config.generators": [
        "badge = credentials_config.generators.badge:BadgeGenerator",
        "pdf = credentials_config.generators.pdf.generator:PdfGenerator",
    ],
    # Processors, which find the eligible learners, by the slug that credential types store.
    "credentials_config.processors": [
        "badge_holders = credentials_config.processors.badge_holders:BadgeHolders",
        "completions = credentials_config.processors.completions:Completions",
        "completions_and_grades = credentials_config.processors.completions_and_grades:CompletionsAndGrades",
        "csv_list = credentials_config.processors.csv_list:CsvList",
        "subsection_grades = credentials_config.processors.subsection_grades:SubsectionGrades",
    ],
    # Providers, by the slug that TemplateIssuer rows store.
    "badges.issuers": [
        "accredible = badges.issuers.accredible.issuer:AccredibleIssuer",
        "credly = badges.issuers.credly.issuer:CredlyIssuer",
    ],
}

setup(
    name="lms-badges",
    version=VERSION,
    description="Learning events in, badges out: a Django plugin for the credentials service next to an LMS",
    long_description=(HERE / "README.rst").read_text() if (HERE / "README.rst").exists() else "",
    long_description_content_type="text/x-rst",
    license="AGPL-3.0-or-later",
    python_requires=">=3.11",
    # Folders of templates and other data count as packages too. Otherwise setuptools warns that it might leave them
    # out.
    packages=find_namespace_packages(
        include=["badges", "badges.*", "credentials_config", "credentials_config.*"], exclude=["*.__pycache__"]
    ),
    include_package_data=True,
    install_requires=requirements("base"),
    extras_require={extra: requirements(extra) for extra in ("kafka", "pdf", "redis", "s3")},
    entry_points=ENTRY_POINTS,
    zip_safe=False,
)
