"""The stand-in as a process: it can be killed, it remembers, and it is steered over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from badges.testing.credly import Call, CredlyProcess, CredlyStandIn, RemoteCredly

TEMPLATE = "aaaaaaaa-0000-4000-8000-00000000a1b2"


def test_what_was_answered_with_201_is_there_after_a_kill(tmp_path, client_of):
    with CredlyProcess(state=tmp_path / "credly.sqlite", options=["--template", TEMPLATE]) as credly:
        answered, running = [], threading.Event()

        def issue_until_killed(worker: int) -> None:
            ask = client_of(credly)
            try:
                for number in range(100_000):
                    changes = {
                        "recipient_email": f"{worker}.{number}@example.com",
                        "issuer_earner_id": f"{worker}-{number}",
                    }
                    answered.append(ask.issue(TEMPLATE, **changes).json()["data"]["id"])
                    if number > 20:
                        running.set()
            except requests.RequestException:
                return

        workers = [threading.Thread(target=issue_until_killed, args=(worker,)) for worker in range(3)]
        for worker in workers:
            worker.start()
        assert running.wait(60)
        url = credly.url
        credly.kill()
        for worker in workers:
            worker.join(60)

        credly.start()

        assert credly.url == url
        badges = {badge.id: badge for badge in credly.badges}
        assert len(answered) > 20
        assert set(answered) <= set(badges)
        assert len({badge.issuer_earner_id for badge in badges.values()}) == len(badges)
        # whoever did not get an answer can still find the badge, and cannot get it twice
        last = list(badges.values())[-1]
        again = client_of(credly).issue(
            TEMPLATE, recipient_email=last.recipient_email, issuer_earner_id=last.issuer_earner_id
        )
        assert again.status_code == 422
        assert credly.counts["issue"] >= len(badges) + 1


def test_a_checker_reads_the_state_file_with_its_own_queries(tmp_path, client_of):
    path = tmp_path / "credly.sqlite"
    with CredlyProcess(state=path, options=["--template", TEMPLATE]) as credly:
        badge_id = client_of(credly).issue(TEMPLATE).json()["data"]["id"]
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            rows = connection.execute("SELECT id, issuer_earner_id, state FROM badge").fetchall()
        connection.close()
    assert rows == [(badge_id, "earner-17", "pending")]


def test_a_restart_keeps_templates_events_keys_and_access_tokens(tmp_path):
    path = tmp_path / "credly.sqlite"
    with CredlyStandIn(state=path) as credly:
        before = (credly.add_template(name="Algebra star"), credly.events, credly.client_secret)
        token = credly.issue_token(credly.client_id, credly.client_secret).token

    with CredlyStandIn(state=path) as credly:
        assert (credly.templates[0], credly.events, credly.client_secret) == before
        bearer = {"Authorization": f"Bearer {token}"}
        assert requests.get(f"{credly.url}/organizations/{credly.organization}", headers=bearer, timeout=20).ok


def test_the_process_is_steered_and_watched_like_the_one_in_python(client_of):
    with CredlyProcess() as credly:
        template = credly.add_template(name="Algebra star", description="من أجل الجبر")
        ask = client_of(credly)
        credly.throttle(retry_after=3, times=1)
        assert ask.issue(template).headers["Retry-After"] == "3"
        credly.drop()
        assert [failure.drop for failure in credly.failures] == [True]
        with pytest.raises(requests.ConnectionError):
            ask.issue(template)
        credly.accept_badge(badge_id=credly.badges[0].id)

        assert credly.templates == [template]
        assert credly.badges[0].state == "accepted"
        assert credly.badges[0].issued_at == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
        assert credly.counts == {"issue": 2}
        assert [type(call) for call in credly.calls] == [Call, Call]
        assert [call.status for call in credly.calls] == [429, None]
        assert [event.event_type for event in credly.events][-1] == "badge.state.changed"
        assert credly.deliveries == []
        assert [one.id for one in credly.organizations] == [credly.organization]


def test_a_process_can_be_told_to_refuse_connections_for_a_while(client_of):
    with CredlyProcess() as credly:
        with pytest.raises(ValueError, match="how many seconds"):
            credly.refuse()
        credly.refuse(seconds=2)
        refused, give_up = 0, time.monotonic() + 60
        while time.monotonic() < give_up:
            try:
                assert client_of(credly)("GET").ok
                if refused:
                    return
            except requests.ConnectionError:
                refused += 1
            time.sleep(0.02)
        pytest.fail(f"refused {refused} times, and not open again")


def test_a_mistake_in_a_control_is_explained(credly):
    remote = RemoteCredly(credly.url)
    with pytest.raises(ValueError, match="no kind of endpoint"):
        remote.break_down(on="nowhere")
    with pytest.raises(ValueError, match="unexpected keyword argument 'tiems'"):
        remote.break_down(tiems=1)
    with pytest.raises(ValueError, match="Badge not found"):
        remote.accept_badge(badge_id="nobody")
    with pytest.raises(ValueError, match="Choose one of: draft, active, archived"):
        remote.add_template(state="lost")
    with pytest.raises(AttributeError, match="neither an observation nor a verb"):
        remote.sing()
    answer = requests.post(f"{credly.control_url}/store", timeout=20)
    assert answer.status_code == 404
    assert "add_template" in answer.json()["message"]
    assert credly.failures == []
    assert credly.counts == {}


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "badges.testing.credly", *options]


def test_the_first_line_is_the_address_and_sigterm_ends_the_process_cleanly():
    with subprocess.Popen(command("--token", "t0ken"), stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        address = f"{url}/organizations/c0ffee00-0000-4000-8000-00000000c4ed"
        assert requests.get(address, auth=("t0ken", ""), timeout=20).ok
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_port_that_is_taken_is_said_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        run = subprocess.run(
            command("--port", str(taken.getsockname()[1])), capture_output=True, text=True, timeout=60, check=False
        )
    assert run.returncode == 1
    assert "Choose another --port" in run.stderr
    assert run.stdout == ""


@pytest.mark.parametrize("options", [["--organization", "acme"], ["--template", "star=Star"], ["--port", "x"]])
def test_a_wrong_option_is_refused(options):
    run = subprocess.run(command(*options), capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert options[0] in run.stderr


def test_the_process_does_not_outlive_the_one_that_started_it(tmp_path):
    script = (
        "import os, signal\n"
        "from badges.testing.credly import CredlyProcess\n"
        "credly = CredlyProcess().start()\n"
        "print(credly.process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    pid, give_up = int(run.stdout), time.monotonic() + 60
    while time.monotonic() < give_up:
        if not is_running(pid):
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the stand-in lives on")


def is_running(pid: int) -> bool:
    """A zombie that nobody waits for does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_stand_in_knows_neither_django_nor_our_issuers():
    """It must be able to disagree with them; and a stand-in process starts quickly."""
    script = (
        "import sys, badges.testing.credly\n"
        "ours = [name for name in sys.modules if name.startswith('badges.') and 'badges.testing' not in name]\n"
        "print(ours + [name for name in sys.modules if name.startswith('django')])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "[]"
