"""Documents per second of ``credentials_run`` on PostgreSQL with local storage, with QR code and without."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from rich.table import Table

from benchmarks import certificate_data
from benchmarks.processes import console, count_statements, run, statements
from credentials_config.testing.lms import LmsProcess
from tests.services import PostgreSQL

DOCUMENTS = re.compile(r"\(([\d.]+) a second\)")
PEAK = re.compile(r"peak: (\d+) MiB")

# Documents per second, by QR code; and SQL statements for each document, which do not depend on the machine.
AIMS = {"yes": 50, "no": 100}
MAX_STATEMENTS = 3.0
# A run itself needs some statements. The promise holds for runs of at least this many documents, which share them.
MIN_DOCUMENTS = 100


def measure(number: int) -> list[str]:
    """Make ``number`` certificates of each kind and print what they cost; return the broken promises."""
    table = Table(title=f"Certificates: {number} by one process")
    for heading in ("QR code", "Documents/s", "Aim", "Is", "SQL statements a document", "At most", "Peak memory"):
        table.add_column(heading)
    broken = []
    for qr, aim in AIMS.items():
        console.print(f"… {number} certificates, QR code: {qr}")
        rate, cost, peak = _make(number, qr)
        met = "met" if rate >= aim else "missed"
        table.add_row(qr, f"{rate:.1f}", str(aim), met, f"{cost:.2f}", f"{MAX_STATEMENTS:.0f}", f"{peak} MiB")
        if cost > MAX_STATEMENTS and number >= MIN_DOCUMENTS:
            broken.append(f"a certificate (QR code: {qr}) costs {cost:.2f} SQL statements, not {MAX_STATEMENTS:.0f}")
    console.print(table)
    return broken


def _make(number: int, qr: str) -> tuple[float, float, int]:
    """Return documents per second, SQL statements for each, and the peak memory of the process in MiB."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, PostgreSQL() as server, LmsProcess() as lms:
        lms.add_course(key=certificate_data.COURSE, name="Certificates")
        lms.enroll_many(course=certificate_data.COURSE, count=number, completed=1.0)
        env = {
            **os.environ,
            "DATABASE_URL": server.url,
            "CELERY_BROKER_URL": "",
            "DATA_DIR": folder,
            "LMS_URL": lms.url,
            "LMS_CLIENT_ID": lms.settings["client_id"],
            "LMS_CLIENT_SECRET": lms.settings["client_secret"],
        }
        count_statements(server)
        configuration = run(env, "-m", "benchmarks.certificate_data", "--qr", qr)
        before = statements(server)
        output = run(env, "-m", "benchmarks.peak", "credentials_run", "--configuration", configuration)
        cost = (statements(server) - before) / number
        made = len(list(Path(folder).rglob("*.pdf")))
        rate, peak = DOCUMENTS.search(output), PEAK.search(output)
        if made != number or not rate or not peak:
            raise SystemExit(f"{made} documents instead of {number}:\n{output}")
    return float(rate[1]), cost, int(peak[1])
