"""
A template cannot hang, starve, spy on or outlive the process that uses it.

The templates here are the worst that somebody with the right to upload one could think of.
"""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from credentials_config.contracts import GenerationError
from credentials_config.generators.pdf import process
from tests.credentials_config.generators.documents import context, png, read_text, renderer

OWN = b"#set document(date: none)\n#sys.inputs.name #sys.inputs.verify_code\n"
LOOP = b"#for i in range(10000) { for j in range(10000) { for k in range(10000) { let x = calc.sin(i) } } }\n"
LOOP_FOR_BOBBY = OWN + b'#if sys.inputs.name == "Bobby" {\n' + LOOP[1:] + b"}\n"


@pytest.fixture
def limits(settings):
    def set_to(**values):
        settings.CREDENTIALS_CONFIG = {"pdf": values}

    yield set_to
    if process._shared is not None:
        process._shared.stop()


def worker_pid() -> int:
    return process._shared._process.pid


def test_a_template_that_loops_is_killed_before_any_learner(limits):
    limits(seconds=3)
    with pytest.raises(GenerationError, match=r"longer than 3 seconds.*loop") as caught:
        renderer(LOOP + OWN, name="own.typ")
    assert caught.value.everyone
    # Others go on.
    assert renderer().render(context()).content


def test_a_template_that_loops_for_one_learner_leaves_the_others(limits):
    limits(seconds=3)
    made = renderer(LOOP_FOR_BOBBY, name="own.typ")
    with pytest.raises(GenerationError, match="longer than 3 seconds") as caught:
        made.render(context(name="Bobby"))
    assert not caught.value.everyone
    assert "Ada Lovelace" in read_text(made.render(context()).content)


def test_the_worker_ends_itself_when_nobody_is_left_to_kill_it(limits):
    """Its parent was killed while a template looped: the alarm is the worker's own."""
    limits(seconds=3)
    made = renderer(LOOP_FOR_BOBBY, name="own.typ")
    pid = worker_pid()
    request = made._request(context(name="Bobby"), page=0, strict=False)
    process._shared._write(process._shared._process, process.messages.encode(request))
    assert psutil.Process(pid).is_running()
    assert process._shared._process.wait(60) == -signal.SIGALRM


def test_too_much_memory_is_an_error_that_says_so(limits):
    limits(megabytes=400, seconds=60)
    bomb = b"#let x = range(1000000)\n#let y = range(200).map(i => x.map(j => str(j)))\n" + OWN
    with pytest.raises(GenerationError, match=r"more than 400 MB.*megabytes") as caught:
        renderer(bomb, name="own.typ")
    assert caught.value.everyone
    assert renderer().render(context()).content


def test_a_small_file_that_is_a_huge_picture_is_an_error(limits):
    limits(megabytes=400)
    huge = png(30000, 30000)
    assert len(huge) < 2 * 1024 * 1024
    with pytest.raises(GenerationError, match=r"400 MB|cannot be used as a picture|longer than") as caught:
        renderer(huge, name="paper.png")
    assert caught.value.everyone


def test_a_worker_that_was_killed_is_replaced(limits):
    limits()
    made = renderer()
    before = made.render(context()).content
    os.kill(worker_pid(), signal.SIGKILL)
    process._shared._process.wait()
    assert made.render(context()).content == before


def test_a_worker_that_dies_over_a_document_is_an_error_and_replaced(limits):
    limits()
    made = renderer(LOOP_FOR_BOBBY, name="own.typ")
    worker = psutil.Process(worker_pid())
    rested = worker.cpu_times().user

    def kill_at_work() -> None:
        assert _within(60, lambda: worker.cpu_times().user > rested + 0.2)
        worker.kill()

    killer = threading.Thread(target=kill_at_work)
    killer.start()
    with pytest.raises(GenerationError, match="gave up"):
        made.render(context(name="Bobby"))
    killer.join()
    assert made.render(context()).content


def test_an_interruption_does_not_hand_one_learners_document_to_the_next(limits):
    """Celery's soft time limit raises anywhere, also while a document is awaited."""

    class SoftTimeLimit(Exception):
        pass

    def interrupt(*_):
        raise SoftTimeLimit

    limits(seconds=30)
    made = renderer(
        OWN + b'#if sys.inputs.name == "Slow" { for i in range(1000) { for j in range(1000) {} } }', name="own.typ"
    )
    before = signal.signal(signal.SIGALRM, interrupt)

    def render_and_be_interrupted() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        made.render(context(name="Slow"))

    try:
        with pytest.raises(SoftTimeLimit):
            render_and_be_interrupted()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    text = read_text(made.render(context(name="Grace Hopper")).content)
    assert "Grace Hopper" in text
    assert "Slow" not in text


@pytest.mark.parametrize(
    "source",
    [
        b'#read("/etc/passwd")',
        b'#read("../../../../../../etc/passwd")',
        b'#image("/etc/passwd")',
        b'#include "/proc/self/environ"',
        b'#read("../" + "secret.txt")',
        b'#import sys: *\n#read(sys.inputs.at("path", default: "/etc/hostname"))',
        b"#image(bytes(\"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'>"
        b"<image href='/etc/passwd' width='9' height='9'/></svg>\"), format: \"svg\")\n#read(\"/etc/passwd\")",
    ],
)
def test_a_template_reads_nothing_but_its_own_folder(source):
    with pytest.raises(GenerationError, match=r"broken") as caught:
        renderer(source + b"\n" + OWN, name="own.typ")
    assert "root:" not in str(caught.value)


def test_a_template_does_not_see_the_secrets_of_the_host(monkeypatch, limits):
    limits()
    monkeypatch.setenv("SECRET_KEY", "marsupilami")
    renderer()
    assert "marsupilami" not in repr(psutil.Process(worker_pid()).environ())


def test_the_worker_does_not_load_the_framework():
    code = "import sys; import credentials_config.generators.pdf.worker; sys.exit('django' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_a_template_downloads_nothing(limits, monkeypatch):
    asked = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self):
            asked.append(self.path)
            self.send_error(502)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
        limits()
        with pytest.raises(GenerationError, match=r"package preview/tiaoma-0\.3\.0, and none are downloaded"):
            renderer(b'#import "@preview/tiaoma:0.3.0": *\n' + OWN, name="own.typ")
        server.shutdown()
    assert asked == []


def test_a_folder_lives_as_long_as_its_press():
    made = renderer()
    folder = made._folder
    assert (folder / "page.typ").exists()
    made.close()
    assert not folder.exists()
    made = renderer()
    folder = made._folder
    del made
    assert not folder.exists()


def test_a_press_that_fails_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(GenerationError):
        renderer(b"%PDF-broken", name="paper.pdf")
    assert list(tmp_path.iterdir()) == []


def test_many_presses_at_once_are_kept_apart(limits):
    limits()
    made = [renderer(options={"text_elements": {"motto": {"text": f"Motto {n}", "y": 50}}}) for n in range(20)]
    for _ in range(2):
        for number, one in enumerate(made):
            assert f"Motto {number}\n" in read_text(one.render(context()).content)


def test_threads_get_their_own_documents(limits):
    limits()
    made = renderer()
    found: dict[str, str] = {}

    def make(name):
        found[name] = read_text(made.render(context(name=name)).content)

    threads = [threading.Thread(target=make, args=(f"Person {n} of all",)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert all(name in text for name, text in found.items())


SCRIPT = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "service.settings"
from tests.credentials_config.generators.documents import context, renderer
from credentials_config.generators.pdf import process
made = renderer()
print(process._shared._process.pid, made._folder, flush=True)
"""


def _in_a_process(rest: str) -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT + rest], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _within(seconds: float, holds) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_killed_process_leaves_no_worker_and_no_folder():
    parent = _in_a_process("sys.stdin.read()")
    pid, folder = parent.stdout.readline().split()
    assert Path(folder).exists()
    parent.kill()
    parent.wait()
    assert _within(60, lambda: _gone(int(pid)) and not Path(folder).exists())
    parent.stdin.close()
    parent.stdout.close()


def test_a_forked_child_has_a_worker_of_its_own_and_leaves_the_parents_alone():
    """Celery forks its workers; one of them may outlive the parent."""
    parent = _in_a_process(
        """
first = made.render(context()).content
child = os.fork()
if child == 0:
    same = made.render(context()).content == first
    print(process._shared._process.pid, same, flush=True)
    del made
    sys.exit(0)
os.waitpid(child, 0)
print(made.render(context()).content == first, process._shared._process.pid, flush=True)
"""
    )
    out, _ = parent.communicate(timeout=120)
    (pid, _), (childs, same), (still, same_worker) = (line.split() for line in out.splitlines())
    assert (same, still) == ("True", "True")
    assert childs != pid == same_worker
    assert _within(60, lambda: _gone(int(pid)) and _gone(int(childs)))
