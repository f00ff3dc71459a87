"""
Signing in at the reference host, in a process of its own: with a password, and through a real OpenID Connect provider.

What the provider calls a person becomes an id of the learner, so that events find them by it.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from tests.services.processes import Process, manage
from tests.services.service import can_connect, free_port

pytestmark = pytest.mark.live

NADIA = {"email": "Nadia@example.org", "password": "rubber-boat-42"}


def answers(port: int) -> bool:
    try:
        return can_connect(port)
    except OSError:
        return False


class Host:
    """The reference host with a provider, each a process, and a SQLite file that nobody else uses."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "host.sqlite3"
        self.port, self.provider_port = free_port(), free_port()
        self.url, self.issuer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.provider_port}"

    def start(self) -> Iterator[Host]:
        provider = Process(
            [sys.executable, "-m", "oidc_provider_mock", "--port", str(self.provider_port)],
            log=self.folder / "provider.log",
        )
        self.manage("migrate", "-v", "0")
        server = self._process("runserver", "--noreload", f"127.0.0.1:{self.port}")
        try:
            provider.wait_until(lambda: answers(self.provider_port), what="an answer of the provider")
            server.wait_until(lambda: answers(self.port), what="an answer of the host")
            yield self
        finally:
            server.ensure_gone()
            provider.ensure_gone()

    def manage(self, *arguments: str) -> None:
        process = self._process(*arguments)
        assert process.wait() == 0, process.output()

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.file)) as connection:
            return connection.execute(query).fetchall()

    def register(self, **body: str) -> str:
        """Register an account, and return its account id."""
        response = requests.post(f"{self.url}/api/users/v1/users", json=body, timeout=30)
        assert response.status_code == 201, response.text
        account_id: str = response.json()["accountId"]
        return account_id

    def change(self, statement: str) -> None:
        """Change the file of the host in one statement."""
        with closing(sqlite3.connect(self.file, timeout=30)) as connection, connection:
            connection.execute(statement)

    def move_identity(self, subject: str, account_id: str) -> None:
        """Give an id at the provider to a learner, also when another one has it."""
        self.change(
            "INSERT INTO lms_badges_learneridentity (learner_id, issuer, subject, created_at) "
            f"SELECT id, '{self.issuer}', '{subject}', CURRENT_TIMESTAMP FROM lms_badges_learner "
            f"WHERE uuid = '{account_id.replace('-', '')}' "
            "ON CONFLICT (issuer, subject) DO UPDATE SET learner_id = excluded.learner_id"
        )

    def remove_identity(self, subject: str) -> None:
        self.change(f"DELETE FROM lms_badges_learneridentity WHERE subject = '{subject}'")

    def add_identity(self, user: str, subject: str) -> None:
        file = self.folder / f"{subject}.csv"
        file.write_text(f"learner,issuer,subject\n{user},{self.issuer},{subject}\n")
        self.manage("badges_identities", "apply", str(file))

    def _process(self, *arguments: str) -> Process:
        return manage(
            *arguments,
            log=self.folder / f"{arguments[0]}.log",
            database_url=f"sqlite:///{self.file}",
            env={
                "OIDC_ISSUER": self.issuer,
                "OIDC_NAME": "Spirou's",
                "OIDC_CLIENT_ID": "badges",
                "OIDC_CLIENT_SECRET": "kept",
                "DATA_DIR": str(self.folder),
            },
        )


class Browser(requests.Session):
    """Somebody with cookies, who begins at the sign-in page."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host

    def press(self, action: str, **fields: str) -> requests.Response:
        """Send a form of the sign-in page; ``action`` is where it is sent to."""
        page = self.get(f"{self.host.url}/sign-in/", timeout=30)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, page.text
        assert action == "/sign-in/" or f'action="{action}' in page.text
        fields |= {"csrfmiddlewaretoken": token[1]}
        return self.post(self.host.url + action, fields, headers={"Referer": page.url}, timeout=30)

    def come_back_as(self, subject: str) -> requests.Response:
        """Sign in at the provider under this name, and return what the host answers then."""
        form = self.press("/accounts/oidc/oidc/login/")
        assert form.url.startswith(self.host.issuer), form.text
        return self.post(urljoin(form.url, form.url), {"sub": subject}, timeout=30)

    def sign_in_as(self, subject: str) -> str:
        """Sign in at the provider under this name, and return the account id."""
        back = self.come_back_as(subject)
        assert back.url == f"{self.host.url}/badges/", back.text
        return self.account_id()

    def account_id(self) -> str:
        """Return the account id of who is signed in."""
        learners = self.host.rows(
            "SELECT learner.uuid FROM lms_badges_learner learner JOIN auth_user ON auth_user.id = learner.user_id "
            "ORDER BY auth_user.last_login DESC LIMIT 1"
        )
        account_id = learners[0][0]
        account_id = "-".join(account_id[i:j] for i, j in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
        own = self.get(f"{self.host.url}/api/users/v1/users/{account_id}", timeout=30)
        assert own.status_code == 200, "only the person may read this"
        return account_id


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    yield from Host(tmp_path_factory.mktemp("host")).start()


@pytest.fixture
def browser(host: Host) -> Callable[[], Browser]:
    return lambda: Browser(host)


def identities(host: Host) -> list[tuple[str, str]]:
    return host.rows("SELECT issuer, subject FROM lms_badges_learneridentity ORDER BY id")


def test_somebody_registers_and_signs_in_with_the_address_in_another_case(host: Host, browser: Any) -> None:
    account_id = host.register(**NADIA)
    wrong = browser().press("/sign-in/", username="nadia@example.org", password="rubber-boat-43")
    assert 'role="alert"' in wrong.text
    somebody = browser()
    page = somebody.press("/sign-in/", username="nadia@EXAMPLE.org", password=NADIA["password"])
    assert (page.status_code, page.url) == (200, f"{host.url}/badges/")
    assert somebody.account_id() == account_id


def test_who_signs_in_through_the_provider_gets_an_account_and_the_id_once(host: Host, browser: Any) -> None:
    first = browser().sign_in_as("groom-1938")
    assert browser().sign_in_as("groom-1938") == first
    assert identities(host).count((host.issuer, "groom-1938")) == 1
    names = host.rows("SELECT username FROM auth_user")
    assert not [name for (name,) in names if "groom" in name]


def test_an_id_that_staff_entered_leads_to_the_account_of_its_learner(host: Host, browser: Any) -> None:
    account_id = host.register(email="fantasio@example.org")
    host.add_identity(account_id, "reporter-1944")
    assert browser().sign_in_as("reporter-1944") == account_id


def test_an_id_that_was_entered_opens_no_account_that_got_rights_later(host: Host, browser: Any) -> None:
    account_id = host.register(email="staff@example.org")
    host.move_identity("editor-1950", account_id)
    assert browser().sign_in_as("editor-1950") == account_id
    host.change("UPDATE auth_user SET is_staff = 1 WHERE email = 'staff@example.org'")
    somebody = browser()
    assert somebody.come_back_as("editor-1950").status_code == 403
    own = somebody.get(f"{host.url}/api/users/v1/users/{account_id}", timeout=30)
    assert own.status_code == 401


def test_an_id_that_staff_removed_or_moved_is_no_way_into_the_account_any_more(host: Host, browser: Any) -> None:
    first, second = host.register(email="one@example.org"), host.register(email="two@example.org")
    for subject in ("removed-1957", "moved-1957"):
        host.move_identity(subject, first)
        assert browser().sign_in_as(subject) == first
    host.remove_identity("removed-1957")
    host.move_identity("moved-1957", second)
    assert browser().sign_in_as("moved-1957") == second
    assert browser().sign_in_as("removed-1957") not in (first, second)


def test_an_account_that_a_sign_in_made_is_closed_to_an_id_that_staff_moved(host: Host, browser: Any) -> None:
    browser().sign_in_as("mixed-up-1960")
    host.move_identity("mixed-up-1960", host.register(email="right@example.org"))
    somebody = browser()
    refusal = somebody.come_back_as("mixed-up-1960")
    assert (refusal.status_code, refusal.text) == (
        403,
        "Your id at the provider belongs to another account. Ask the staff.",
    )
    assert somebody.get(f"{host.url}/badges/", timeout=30).url.startswith(f"{host.url}/sign-in/")


def test_an_address_that_the_provider_tells_opens_nobodys_account(host: Host, browser: Any) -> None:
    host.register(email="zorglub@example.org")
    before = host.rows("SELECT COUNT(*) FROM lms_badges_learneridentity")
    somebody = browser()
    form = somebody.press("/accounts/oidc/oidc/login/")
    # The provider tells the name as the e-mail address, too.
    back = somebody.post(form.url, {"sub": "zorglub@example.org"}, timeout=30)
    assert back.status_code == 409
    assert "Another account has your e-mail address." in back.text
    assert host.rows("SELECT COUNT(*) FROM lms_badges_learneridentity") == before


def test_nobody_can_add_an_address_or_reset_a_password_on_a_page_of_allauth(host: Host, browser: Any) -> None:
    somebody = browser()
    somebody.sign_in_as("seccotine-1953")
    for page in ("email/", "password/reset/", "password/set/", "signup/", "3rdparty/"):
        assert somebody.get(f"{host.url}/accounts/{page}", timeout=30).status_code == 404
    assert somebody.get(f"{host.url}/accounts/login/", timeout=30).url == f"{host.url}/badges/"
