# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect.changes import (
    Changes,
    DetectedChange,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect.review import Review
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.revise.acceptance import Acceptance
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.results import Difference

_WATCHES = (model.Watch("one", ("/a",)), model.Watch("two", ("/b",)))


def _line(name: str, inode: int = 1, digest: str = "aa", size: int = 5, kind: str = "f", mode: str = "100644") -> bytes:
    state = f"{name} {kind} {mode} 0 0 {size} {inode} 1 100 200 - . - acsx:. sha256={digest}"
    return lines.recorded(state.encode(), None)


def _difference(path: str, before: bytes | None, after: bytes | None, watch: int = 0) -> Difference:
    return Difference(path.encode(), watch, before, after)


def _changes(*differences: Difference) -> dict[str, DetectedChange]:
    found: list[DetectedChange] = []
    changes = Changes(_WATCHES, found.append)
    for difference in differences:
        changes.add(difference)
    changes.finish()
    assert len({item.change.path for item in found}) == len(found)
    return {item.change.path.decode(): item for item in found}


def test_kinds() -> None:
    found = _changes(
        _difference("/a/new", None, _line("new", inode=1, digest="01")),
        _difference("/a/gone", _line("gone", inode=2, digest="02"), None),
        _difference("/a/mode", _line("mode"), _line("mode", mode="104755")),
        _difference("/a/type", _line("type"), _line("type", kind="l", mode="120777")),
        _difference("/a/trojan", _line("trojan"), _line("trojan")),
    )
    assert {path: item.change.kind for path, item in found.items()} == {
        "/a/new": model.CREATED,
        "/a/gone": model.DELETED,
        "/a/mode": model.MODIFIED,
        "/a/type": model.REPLACED_TYPE,
        "/a/trojan": model.PACKAGE_MISMATCH,
    }
    assert found["/a/mode"].change.attributes == ("mode",)


def test_a_file_is_renamed_by_its_inode_and_content() -> None:
    found = _changes(
        _difference("/a/old", _line("old", inode=7), None),
        _difference("/b/new", None, _line("new", inode=7), watch=1),
        _difference("/a/other", None, _line("other", inode=8)),
    )
    change = found["/b/new"].change
    assert (change.kind, change.watch) == (model.RENAMED, "two")
    assert change.before is not None
    assert change.before.path == b"/a/old"
    assert found["/a/other"].change.kind == model.CREATED


def test_an_inode_that_was_used_again_is_no_renaming() -> None:
    found = _changes(
        _difference("/a/old", _line("old", inode=7, digest="01"), None),
        _difference("/a/new", None, _line("new", inode=7, digest="02")),
    )
    assert {item.change.kind for item in found.values()} == {model.DELETED, model.CREATED}


def test_a_moved_copy_is_a_renaming_only_when_it_is_unique() -> None:
    unique = _changes(
        _difference("/a/old", _line("old", inode=1), None), _difference("/a/new", None, _line("new", inode=2))
    )
    assert unique["/a/new"].change.kind == model.RENAMED
    ambiguous = _changes(
        _difference("/a/old", _line("old", inode=1), None),
        _difference("/a/new", None, _line("new", inode=2)),
        _difference("/a/new2", None, _line("new2", inode=3)),
    )
    assert {item.change.kind for item in ambiguous.values()} == {model.DELETED, model.CREATED}
    empty = _changes(
        _difference("/a/old", _line("old", inode=1, size=0), None),
        _difference("/a/new", None, _line("new", inode=2, size=0)),
    )
    assert {item.change.kind for item in empty.values()} == {model.DELETED, model.CREATED}


def test_an_id_stands_for_path_kind_and_state() -> None:
    def identity(path: str, after: bytes | None, before: bytes | None) -> str:
        (found,) = _changes(_difference(path, before, after)).values()
        return found.change.id

    base = identity("/a/x", _line("x", mode="104755"), _line("x"))
    assert base == identity("/a/x", _line("x", mode="104755"), _line("x", digest="other"))
    assert len(base) == 32
    others = {
        identity("/a/y", _line("x", mode="104755"), _line("x")),
        identity("/a/x", _line("x", mode="106755"), _line("x")),
        identity("/a/x", _line("x", mode="104755"), None),
        identity("/a/x", None, _line("x")),
    }
    assert base not in others
    assert len(others) == 4


def _verdict(change: model.FileChange) -> model.Verdict:
    if b"explained" in change.path:
        return model.Verdict("explained by p 1", package="p", version="1")
    return model.Verdict("x", alert="fim_file_modified", severity="high" if b"high" in change.path else "low")


def _reviewed(limit: int, acceptance: Acceptance | None, *paths: str) -> Review:
    review = Review(_WATCHES, _verdict, limit, acceptance and acceptance.consider)
    for number, path in enumerate(paths):
        review.add(_difference(path, _line("x"), _line("x", mode="100755", digest=f"{number:02}")))
    review.finish()
    return review


def test_the_most_severe_are_kept_and_all_are_counted() -> None:
    paths = [f"/a/{number}" for number in range(50)]
    review = _reviewed(5, None, *paths, "/a/high1", "/a/explained", "/a/high2")
    assert [change["path"] for change in review.changes()] == ["/a/high1", "/a/high2", "/a/0", "/a/1", "/a/2"]
    assert (review.count, review.explained_count) == (52, 1)
    assert review.omitted() == {"one": 47}
    mass = review.detections()[-1]
    assert (mass["alert"], mass["count"], mass["scope"]) == ("fim_mass_change", 52, "one")
    assert review.explained() == [
        {"package": "p", "version": "1", "message": "explained by p 1", "count": 1, "paths": ["/a/explained"]}
    ]
    nothing = _reviewed(0, None, *paths)
    assert nothing.changes() == []
    assert nothing.omitted() == {"one": 50}


def _acceptance(*wanted: str) -> Acceptance:
    return Acceptance(wanted, 100, lambda path: "dpkg:p:all" if b"explained" in path else None)


def test_accepting_all_explained_or_named() -> None:
    paths = ("/a/1", "/a/explained", "/a/2")
    everything = _acceptance("all")
    _reviewed(9, everything, *paths)
    assert everything.conclude() is None
    assert set(everything.lines[b"/a"]) == {b"1", b"explained", b"2"}
    explained = _acceptance("explained")
    _reviewed(9, explained, *paths)
    assert set(explained.lines[b"/a"]) == {b"explained"}
    line = explained.lines[b"/a"][b"explained"]
    assert line is not None
    assert line.endswith(b" . dpkg:p:all")
    named = _acceptance("/a/2")
    _reviewed(9, named, *paths)
    assert set(named.lines[b"/a"]) == {b"2"}


def _no_package(_path: bytes) -> str | None:
    return None


def test_what_needs_a_person_is_listed_before_what_is_explained() -> None:
    acceptance = Acceptance(["all"], 3, _no_package)
    _reviewed(9, acceptance, "/a/explained", "/a/explained2", "/a/explained3", "/a/1", "/a/2")
    assert [(item["path"], item["explained"]) for item in acceptance.described()] == [
        ("/a/1", False),
        ("/a/2", False),
        ("/a/explained", True),
    ]
    assert acceptance.count == 5


def test_a_name_that_is_no_change_accepts_nothing() -> None:
    acceptance = _acceptance("/a/1", "/a/unchanged", "0123456789abcdef")
    _reviewed(9, acceptance, "/a/1")
    with pytest.raises(UsageError, match="nothing was accepted: '/a/unchanged', '0123456789abcdef'") as raised:
        acceptance.conclude()
    assert "'/a/1'" not in str(raised.value)


def test_unread_content_is_accepted_by_nobody() -> None:
    for wanted, fails in (("all", False), ("/a/x", True)):
        acceptance = _acceptance(wanted)
        review = Review(_WATCHES, _verdict, 9, acceptance.consider)
        unread = _line("x", mode="100755").replace(b"sha256=aa", b"!")
        review.add(_difference("/a/x", _line("x"), unread))
        review.finish()
        assert acceptance.lines == {}
        if fails:
            with pytest.raises(UsageError, match="the content of /a/x could not be read"):
                acceptance.conclude()
        else:
            warning = "not accepted (1): the content of /a/x could not be read; see the coverage"
            assert acceptance.conclude() == warning


def test_evidence_is_an_ocsf_file() -> None:
    review = _reviewed(9, None, "/a/x")
    evidence: dict[str, t.Any] = review.detections()[0]["evidences"][0]
    assert evidence["file"] == {
        "name": "x",
        "path": "/a/x",
        "type_id": 1,
        "size": 5,
        "modified_time": 0,
        "owner": {"uid": "0", "name": "root (0)"},
        "hashes": [{"algorithm_id": 3, "algorithm": "SHA-256", "value": "00"}],
    }
    assert evidence["data"]["changed"] == ["mode", "content"]
    assert evidence["data"]["before"] == {"mode": "0644 rw-r--r--", "content": {"sha256": "aa"}}
