"""Pack files: read strictly, and the same from JSON and YAML."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.catalog.documents import DocumentError
from badges.catalog.pack_files import _read_json, _read_yaml, _write_yaml, read_file, write_file

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
# What other readers of YAML take for something else than text.
TRICKY = [
    "no",
    "yes",
    "on",
    "~",
    "null",
    "1_000",
    "0x1F",
    "010",
    "12:30:45",
    "1e3",
    "2026-03-14",
    "<<",
    "=",
    ".inf",
    "",
    " x",
]

# Ten texts, ten times, ten times, …: a few lines that stand for more than a machine holds.
LAUGHS = "- &a0 [ha]\n" + "\n".join(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))


def refusal(path: Path) -> str:
    with pytest.raises(DocumentError) as refused:
        read_file(path)
    return str(refused.value)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@given(JSON)
def test_whatever_is_written_as_yaml_reads_as_the_same(value):
    again = _read_yaml(_write_yaml({"value": value}))
    assert repr(again) == repr({"value": value})  # by repr: 1, 1.0 and true are equal to Python


@pytest.mark.parametrize("text", TRICKY)
def test_text_stays_text_in_yaml_whoever_reads_it(text):
    assert _read_yaml(_write_yaml({text: text})) == {text: text}
    assert "'" in _write_yaml({"key": text}) or text == "1e3"  # quoted for readers of YAML 1.1 too


@pytest.mark.parametrize(
    ("plain", "meant"),
    [
        ("no", "no"),  # the country
        ("yes", "yes"),
        ("true", True),
        ("12:30", "12:30"),  # not 750
        ("010", 10),  # not 8
        ("2026-03-14", "2026-03-14"),
        ("2026-03-14T00:00:00Z", "2026-03-14T00:00:00Z"),
        ("1.5e3", 1500.0),
        ("~", None),
        ("", None),
        ("0x1F", "0x1F"),
    ],
)
def test_plain_words_in_yaml_mean_what_they_mean_in_json(plain, meant):
    assert _read_yaml(f"key: {plain}") == {"key": meant}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", '{"pack": 1, "pack": 1}', "a.json: the key 'pack' stands twice in one object"),
        ("a.yaml", "pack: 1\ntemplates:\n- {slug: a,\n   slug: b}\n", "a.yaml: line 4: the key 'slug' stands twice"),
        ("a.json", '{"pack": NaN}', "a.json: NaN is no JSON"),
        ("a.json", '{"pack": 1e400}', "a.json: the number 1e400 is too large"),
        ("a.yaml", "pack: 1e400", "a.yaml: the number 1e400 is too large"),
        ("a.json", '{"pack": 1,}', "a.json: "),
        ("a.json", "[" * 100_000, "a.json: it is nested too deeply to be a pack"),
        ("a.yaml", "pack: [1\ntemplates: 5", "a.yaml: line 2: "),
        ("a.yaml", "5: x", "a.yaml: line 1: keys are text; put this one in quotes"),
        ("a.yaml", "pack: !!python/object/apply:os.system [true]", "a.yaml: line 1: tags (!) are not read"),
        ("a.yaml", "pack: 1\nname: !!bool maybe", "a.yaml: line 2: tags (!) are not read; remove it"),
        ("a.yaml", "pack: [\n" + "[" * 100_000, "a.yaml: line 2: it is nested too deeply to be a pack"),
        ("a.yaml", "pack: &a\n- *a", "a.yaml: line 2: there is no finished &a above"),
        ("a.yaml", LAUGHS, "a.yaml: line 8: its anchors (&) stand for too much"),
        ("a.yaml", "a: 1\n---\nb: 2", "a.yaml: line 2: but found another document"),
        ("a.yaml", "a: \x00", "a.yaml: "),
        ("a.json", b'{"name": "\xff"}', "a.json: byte 10 is not UTF-8; save the file as UTF-8"),
        ("a.toml", "pack = 1", "a.toml: the name must end in .json, .yaml or .yml"),
    ],
)
def test_what_could_be_misread_is_refused_with_its_place(tmp_path, name, content, expected):
    assert refusal(written(tmp_path, name, content)).startswith(expected)


@pytest.mark.parametrize("name", ["a.json", "A.YML"])
def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path, name):
    path = written(tmp_path, name, b'\xef\xbb\xbf{"pack": 1,\r\n "name": "\xe4\xbb\xa3"}\r\n')
    assert read_file(path) == {"pack": 1, "name": "代"}


@pytest.mark.parametrize("name", ["pack.json", "pack.yaml"])
def test_a_written_file_is_readable_to_people_and_ends_with_a_line_end(tmp_path, name):
    write_file(tmp_path / name, {"pack": 1, "name": "نجمة"})
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert "نجمة" in text
    assert text.endswith("\n")
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_an_anchor_saves_writing_the_same_rules_twice():
    assert _read_yaml("a: &rules [{path: x}]\nb: *rules") == {"a": [{"path": "x"}], "b": [{"path": "x"}]}


def test_json_objects_keep_their_order():
    assert list(_read_json('{"b": 1, "a": 2}')) == ["b", "a"]
