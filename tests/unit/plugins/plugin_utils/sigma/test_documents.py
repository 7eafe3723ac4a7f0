# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma import documents


def test_documents_know_where_their_keys_are() -> None:
    text = "# comment\n---\ntitle: A\ndetection:\n  s:\n    x: 1\n  condition: s\n---\ntitle: B\n---\n"
    (first, second), problems = documents.parse(text, "f.yml")
    assert not problems
    assert (first.line, first.lines["detection"], first.lines["detection.condition"], second.line) == (3, 4, 7, 9)
    assert str(first.problem("odd", "detection.condition")) == "f.yml, line 7: odd"
    assert str(first.problem("odd", "detection.missing")) == "f.yml, line 4: odd"
    assert str(first.problem("odd", "missing")) == "f.yml, line 3: odd"


def test_dates_stay_text() -> None:
    (document,), _problems = documents.parse("date: 2024-01-31\nmodified: 2024-99-99\n", "f.yml")
    assert document.data == {"date": "2024-01-31", "modified": "2024-99-99"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\n", "f.yml, line 2: no valid YAML: "),
        ("\t- a\n", "f.yml, line 1: no valid YAML: "),
        ("- a\n- b\n", "f.yml, line 1: a rule is a mapping"),
        ("text", "f.yml, line 1: a rule is a mapping"),
        ("a: 1\nb: 2\na: 3\n", "f.yml, line 3: the key 'a' is there twice; remove one"),
        ("a:\n  - x: 1\n    x: 2\n", "f.yml, line 3: the key 'x' is there twice; remove one"),
        ("a: !!python/object/apply:os.system ['id']\n", "f.yml, line 1: no valid YAML: "),
        ("[" * 5000, "f.yml"),
    ],
)
def test_what_is_no_rule_is_named(text: str, message: str) -> None:
    found, problems = documents.parse(text, "f.yml")
    assert not found
    assert str(problems[0]).startswith(message)


def test_one_broken_document_keeps_those_before_it() -> None:
    found, problems = documents.parse("title: A\n---\n- x\n---\ntitle: B\n", "f.yml")
    assert [document.data["title"] for document in found] == ["A", "B"]
    assert len(problems) == 1


def test_anchors_that_refer_to_themselves_end() -> None:
    found, problems = documents.parse("a: &a\n  b: *a\n", "f.yml")
    assert len(found) + len(problems) == 1


def test_files_are_found_below_a_directory(tmp_path: pathlib.Path) -> None:
    for name in ("b.yml", "sub/a.yaml", "c.txt", ".git/x.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("title: x\n")
    assert [file.name for file in documents.files_below(str(tmp_path))] == ["b.yml", "a.yaml"]
    assert documents.files_below(str(tmp_path / "c.txt")) == [tmp_path / "c.txt"]
    with pytest.raises(OSError, match="No such file"):
        documents.files_below(str(tmp_path / "absent"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "latin.yml").write_bytes(b"title: \xe9\n")
    (tmp_path / "large.yml").write_bytes(b"#" * ((1 << 20) + 1))
    for name, message in {
        "latin.yml": "cannot be read: ",
        "large.yml": "more than 1 MiB",
        "absent.yml": "No such",
    }.items():
        found, (problem,) = documents.read(tmp_path / name)
        assert not found
        assert message in str(problem)
