"""
The rate to compare with: send the same requests from as many threads, and do nothing else. A separate process.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

_thread = threading.local()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--badges", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--template", required=True)
    options = parser.parse_args()

    def post(number: int) -> None:
        if not hasattr(_thread, "session"):
            _thread.session = requests.Session()
        body = {
            "recipient_email": f"other{number}@example.com",
            "issued_to_first_name": "L",
            "issued_to_last_name": "R",
            "badge_template_id": options.template,
            "issued_at": "2026-10-01 10:00:00 +0000",
            "issuer_earner_id": f"other{number}",
        }
        answer = _thread.session.post(options.url, json=body, auth=(options.token, ""), timeout=10)
        answer.raise_for_status()

    with ThreadPoolExecutor(options.threads) as pool:
        began = time.perf_counter()
        list(pool.map(post, range(options.badges)))
        sys.stdout.write(str(options.badges / (time.perf_counter() - began)))


if __name__ == "__main__":
    main()
