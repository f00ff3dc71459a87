"""Presses that are loaded: kept for the next batch, shared by threads, closed once nobody has them any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from credentials_config.contracts import Assets, Document, DocumentContext, Options
from credentials_config.issuing import renderers
from credentials_config.models import CredentialAsset
from tests.credentials_config.issuing.text_generator import Typewriter, TypewriterRenderer
from tests.credentials_config.plugins import registered

pytestmark = pytest.mark.django_db

WORDS = DocumentContext("Spip", "Algebra", "today", "https://credentials.test/x", "X")


class Loom(Typewriter):
    """A generator that knows which of its renderers are open."""

    slug = "loom"

    def __init__(self) -> None:
        super().__init__()
        self.open: list[LoomRenderer] = []

    def create_renderer(self, options: Options, assets: Assets) -> LoomRenderer:
        self.open.append(LoomRenderer(options.get("typewriter", {}), assets))
        self.open[-1].loom = self
        return self.open[-1]


class LoomRenderer(TypewriterRenderer):
    loom: Loom

    def render(self, words: DocumentContext) -> Document:
        assert self in self.loom.open, "it was closed"
        return super().render(words)

    def close(self) -> None:
        self.loom.open.remove(self)  # a second time is an error


@pytest.fixture
def loom() -> Iterator[Loom]:
    with registered(Loom()) as plugin:
        yield plugin
        renderers.forget()


def push_out() -> None:
    """Ask for as many others as are kept."""
    for number in range(renderers.KEPT):
        with renderers.lent("loom", {"other": number}):
            pass


def test_a_renderer_that_a_thread_is_using_stays_open_when_others_push_it_out(loom: Loom) -> None:
    with renderers.lent("loom", {}) as renderer, renderers.lent("loom", {}) as same:
        assert renderer is same
        push_out()
        assert renderer.render(WORDS).content
    assert len(loom.open) == renderers.KEPT
    assert renderer not in loom.open


def test_a_renderer_that_a_thread_is_using_stays_open_when_its_template_is_replaced(loom: Loom) -> None:
    CredentialAsset.objects.upload("red", b"crimson", name="red.txt")
    options = {"typewriter": {"ribbon": "red"}}
    with renderers.lent("loom", options) as old:
        CredentialAsset.objects.upload("red", b"scarlet", name="red.txt")
        with renderers.lent("loom", options) as new:
            assert (old.render(WORDS).content[-7:], new.render(WORDS).content[-7:]) == (b"crimson", b"scarlet")
    assert loom.open == [new]


def test_a_renderer_that_nobody_uses_is_closed_when_others_push_it_out(loom: Loom) -> None:
    with renderers.lent("loom", {}) as renderer:
        pass
    assert renderer in loom.open, "kept for the next batch"
    push_out()
    assert renderer not in loom.open


def test_a_renderer_is_given_back_also_after_an_error(loom: Loom) -> None:
    with pytest.raises(ZeroDivisionError), renderers.lent("loom", {}) as renderer:
        raise ZeroDivisionError
    renderers.forget()
    assert renderer not in loom.open


def test_many_threads_with_more_presses_than_are_kept_neither_use_a_closed_one_nor_leave_one_open(loom: Loom) -> None:
    errors: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for turn in range(60):
                with renderers.lent("loom", {"which": (first + turn) % (renderers.KEPT + 4)}) as renderer:
                    renderer.render(WORDS)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(3 * number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(loom.open) == renderers.KEPT
    renderers.forget()
    assert loom.open == []
