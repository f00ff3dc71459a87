"""Presses that are loaded: kept for the next batch, shared by threads, closed once nobody has them any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from credentials_config.contracts import Assets, Document, DocumentContext, Options
from credentials_config.issuing import renderers
from credentials_config.models import CredentialAsset
from tests.credentials_config.issuing.text_generator import Typewriter, TypewriterPress
from tests.credentials_config.plugins import registered

pytestmark = pytest.mark.django_db

WORDS = DocumentContext("Spip", "Algebra", "today", "https://credentials.test/x", "X")


class Loom(Typewriter):
    """A generator that knows which of its renderers are open."""

    slug = "loom"

    def __init__(self) -> None:
        super().__init__()
        self.open: list[LoomPress] = []

    def begin(self, options: Options, assets: Assets) -> LoomPress:
        self.open.append(LoomPress(options.get("typewriter", {}), assets))
        self.open[-1].loom = self
        return self.open[-1]


class LoomPress(TypewriterPress):
    loom: Loom

    def make(self, words: DocumentContext) -> Document:
        assert self in self.loom.open, "it was closed"
        return super().make(words)

    def close(self) -> None:
        self.loom.open.remove(self)  # a second time is an error


@pytest.fixture
def loom() -> Iterator[Loom]:
    with registered(Loom()) as plugin:
        yield plugin
        renderers.close_all()


def push_out() -> None:
    """Ask for as many others as are kept."""
    for number in range(renderers.KEPT):
        with renderers.renderer_with("loom", {"other": number}):
            pass


def test_a_renderer_that_a_thread_is_using_stays_open_when_others_push_it_out(loom: Loom) -> None:
    with renderers.renderer_with("loom", {}) as renderer, renderers.renderer_with("loom", {}) as same:
        assert renderer is same
        push_out()
        assert renderer.make(WORDS).content
    assert len(loom.open) == renderers.KEPT
    assert renderer not in loom.open


def test_a_renderer_that_a_thread_is_using_stays_open_when_its_template_is_replaced(loom: Loom) -> None:
    CredentialAsset.objects.upload("red", b"crimson", name="red.txt")
    options = {"typewriter": {"ribbon": "red"}}
    with renderers.renderer_with("loom", options) as old:
        CredentialAsset.objects.upload("red", b"scarlet", name="red.txt")
        with renderers.renderer_with("loom", options) as new:
            assert (old.make(WORDS).content[-7:], new.make(WORDS).content[-7:]) == (b"crimson", b"scarlet")
    assert loom.open == [new]


def test_a_renderer_that_nobody_uses_is_closed_when_others_push_it_out(loom: Loom) -> None:
    with renderers.renderer_with("loom", {}) as renderer:
        pass
    assert renderer in loom.open, "kept for the next batch"
    push_out()
    assert renderer not in loom.open


def test_a_renderer_is_given_back_also_after_an_error(loom: Loom) -> None:
    with pytest.raises(ZeroDivisionError), renderers.renderer_with("loom", {}) as renderer:
        raise ZeroDivisionError
    renderers.close_all()
    assert renderer not in loom.open


def test_many_threads_with_more_presses_than_are_kept_neither_use_a_closed_one_nor_leave_one_open(loom: Loom) -> None:
    errors: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for turn in range(60):
                with renderers.renderer_with("loom", {"which": (first + turn) % (renderers.KEPT + 4)}) as renderer:
                    renderer.make(WORDS)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(3 * number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(loom.open) == renderers.KEPT
    renderers.close_all()
    assert loom.open == []
