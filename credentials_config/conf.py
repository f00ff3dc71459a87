"""
The settings of scheduled credentials: one dict, ``CREDENTIALS_CONFIG``, read when asked.

``DEFAULTS`` is the whole list of keys with their values when a host says nothing; a dict in the host's settings is
merged over a dict here, anything else replaces it.
"""

from __future__ import annotations

from typing import Any

from badges.common.config import Config

DEFAULTS: dict[str, Any] = {
    # Where the public reaches this host: "https://credentials.example.org". It is part of every document (the address
    # of its verification page), so nothing is made without it.
    "public_url": "",
    "documents": {
        # Which entry of STORAGES keeps documents, and the folder in it.
        "storage": "default",
        "folder": "credentials",
        # What learners get. "signed": an address of this host that stops working when the credential is taken back;
        # object stores then hand the file out at an address that is good for link_seconds. "public": the storage's own.
        "links": "signed",
        "link_seconds": 300,
    },
    "issuing": {
        # People whom a run looks at, at a time, and documents that a worker takes, at a time.
        "chunk": 200,
        "batch": 50,
        # How long a worker may be busy with one run's chunk or one batch before another takes it for dead.
        "run_lease_seconds": 900,
        "lease_seconds": 300,
        # Tries of one document, or of a run whose LMS does not answer, and the growing seconds between them; with
        # these about two hours.
        "max_attempts": 8,
        "base_delay": 60.0,
        "max_delay": 3600.0,
        # How long a configuration rests when none of its documents can be made, or none be stored.
        "hold_seconds": 600.0,
        "storage_hold_seconds": 60.0,
        # How documents write their date: a format of Django's, by its name (DATE_FORMAT, SHORT_DATE_FORMAT) or itself.
        "date_format": "DATE_FORMAT",
        # Ask the LMS for learners' languages, for dates and e-mails: over HTTP one request for each new credential.
        "learner_languages": True,
        # Days that finished runs are kept.
        "keep_runs_days": 365,
    },
    # How often a new configuration looks for eligible learners; a configuration's own schedule is in the admin.
    "schedule": {"every": 1, "period": "days"},
    "mail": {
        # Tell learners of their documents by e-mail, over the host's EMAIL_ settings.
        "enabled": True,
        # The sender; None: DEFAULT_FROM_EMAIL.
        "sender": None,
        # Seconds that the mail server may take; EMAIL_TIMEOUT wins.
        "timeout": 30.0,
    },
    "lms": {
        # "python": the platform's own Python API, in its process; "http": its HTTP API; "auto": the first where the
        # platform is installed, else the second.
        "transport": "auto",
        # Where the LMS is, without a path: "https://lms.example.org". Only for "http".
        "url": "",
        # An OAuth2 application of the LMS with the client credentials grant, whose user is staff there.
        "client_id": "",
        "client_secret": "",
        # Seconds to wait for a connection, and for an answer.
        "timeout": 30,
        # Tries of one request that may succeed later, before the run is put off. The delay doubles each time;
        # Retry-After wins, unless it is longer than max_delay.
        "attempts": 4,
        "base_delay": 0.5,
        "max_delay": 30.0,
        # Learners in one request (at most 100), and entries on one page of an answer.
        "chunk": 100,
        "page_size": 100,
        # Requests at a time, where the LMS has to be asked learner by learner.
        "parallel": 4,
        # Paths of the LMS that are not the usual ones; see credentials_config/lms/paths.py for the names.
        "paths": {},
    },
    "pdf": {
        # What one document may take before its worker process is killed.
        "seconds": 10,
        "megabytes": 1024,
        # The biggest template, image or font.
        "asset_megabytes": 20,
        # Folders with the machine's fonts. None: where distributions put the Noto fonts.
        "font_folders": None,
    },
    "rest_api": {
        # Dotted names of REST framework authentication classes. None: the session, and JWT where the host has it.
        "authentication": None,
        # For each user; None: as many as they like. The second is for questions that are passed on to the LMS.
        "requests_per_minute": 600,
        "lms_requests_per_minute": 60,
    },
    # The public questions about verification codes, for each address; None: as many as they like. Behind proxies the
    # address is found as CLOSEST_CLIENT_IP_FROM_HEADERS of edx-django-utils says. Several processes need a shared
    # cache.
    "verification": {"requests_per_minute": 60},
}

config = Config("CREDENTIALS_CONFIG", DEFAULTS)
