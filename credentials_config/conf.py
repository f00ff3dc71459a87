"""
The settings of scheduled credentials: one dict, ``CREDENTIALS_CONFIG``. Each value is read when it is needed.

``DEFAULTS`` lists all keys with their default values. A dict in the host's settings is merged over the dict here; any
other value replaces it.
"""

from __future__ import annotations

from typing import Any

from badges.common.config import Config, NumberOrNone

DEFAULTS: dict[str, Any] = {
    # The public address of this host: "https://credentials.example.org". Every document shows the address of its
    # verification page, so no document is made without it.
    "public_url": "",
    "documents": {
        # The entry of STORAGES for documents, and the folder in it.
        "storage": "default",
        "folder": "credentials",
        # The links that learners get. "signed": an address of this host that stops working when the credential is
        # taken back; it redirects to an address of an object store that is valid for link_seconds. "public": the
        # storage's own address.
        "links": "signed",
        "link_seconds": 300,
    },
    "issuing": {
        # The number of people in one chunk of a run, and of documents in one batch of a worker.
        "chunk": 200,
        "batch": 50,
        # The leases, in seconds: how long a worker may work on one chunk of a run, or on one batch of documents, before
        # another worker claims it.
        "run_lease_seconds": 900,
        "lease_seconds": 300,
        # Attempts at one document, or at a run whose LMS does not answer, and the least and the most seconds between
        # them. These values make about two hours in all.
        "max_attempts": 8,
        "base_delay": 60.0,
        "max_delay": 3600.0,
        # For how many seconds all documents of a configuration are postponed when none of them can be made, or stored.
        "postpone_seconds": 600.0,
        "storage_postpone_seconds": 60.0,
        # The format of dates on documents: the name of a format of Django (DATE_FORMAT, SHORT_DATE_FORMAT) or a format.
        "date_format": "DATE_FORMAT",
        # Ask the LMS for learners' languages, for dates and e-mails. Over HTTP that is one request per credential.
        "learner_languages": True,
        # How many days closed runs are kept.
        "keep_runs_days": 365,
    },
    # The schedule of a new configuration. The admin changes it for each configuration.
    "schedule": {"every": 1, "period": "days"},
    "mail": {
        # Tell learners of their documents by e-mail, with the host's EMAIL_ settings.
        "enabled": True,
        # The sender; None: DEFAULT_FROM_EMAIL.
        "sender": None,
        # Seconds to wait for the mail server, unless EMAIL_TIMEOUT is set.
        "timeout": 30.0,
    },
    "lms": {
        # "python": the Python API of the platform, in its process. "http": its HTTP API. "auto": "python" where the
        # platform is installed, else "http".
        "transport": "auto",
        # The address of the LMS, without a path: "https://lms.example.org". Only for "http".
        "url": "",
        # An OAuth2 application of the LMS with the client credentials grant, whose user is staff there.
        "client_id": "",
        "client_secret": "",
        # Seconds to wait for a connection, and for an answer.
        "timeout": 30,
        # Attempts at one request that may succeed later, before the run is rescheduled. The delay doubles each time.
        # Retry-After is used instead, unless it is longer than max_delay.
        "attempts": 4,
        "base_delay": 0.5,
        "max_delay": 30.0,
        # Learners in one request (at most 100), and entries on one page of a response.
        "chunk": 100,
        "page_size": 100,
        # Parallel requests, where the LMS has to be asked learner by learner.
        "parallel": 4,
        # Paths of the LMS that are not the usual ones; see credentials_config/lms/paths.py for the names.
        "paths": {},
    },
    "pdf": {
        # The time and memory of one document. Its worker process is killed when it takes more.
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
        # For each user; None: no limit. The second is for requests that ask the LMS.
        "requests_per_minute": NumberOrNone(600),
        "lms_requests_per_minute": NumberOrNone(60),
    },
    # Requests for verification codes, for each client address; None: no limit. Behind proxies,
    # CLOSEST_CLIENT_IP_FROM_HEADERS of edx-django-utils says where the address is found. Several processes need a
    # shared cache.
    "verification": {"requests_per_minute": NumberOrNone(60)},
}

config = Config("CREDENTIALS_CONFIG", DEFAULTS)
