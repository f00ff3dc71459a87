"""Run as a process of the hostile host: request each URL of standard input, and write the responses as JSON."""

from __future__ import annotations

import json
import sys

import django
from django.test import Client


def main() -> None:
    django.setup()
    client = Client(raise_request_exception=True)
    answers = []
    for session, address in json.load(sys.stdin):
        client.cookies.clear()
        if session:
            client.cookies["sessionid"] = session
        answer = client.get(address)
        answers.append([answer.status_code, answer.headers["Content-Type"], answer.content.decode()])
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
