# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pathlib
import stat
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import output


def put(path: pathlib.Path, text: str, mode: int = 0o600, dry: bool = False) -> bool:
    return output.put(path, text, mode, lambda old, new: old == new, dry=dry)


def mode_of(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_file_is_written_with_its_mode_and_nothing_else_is_left(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "deep" / "er" / "report.html"
    assert put(path, "text")
    assert (path.read_text(), mode_of(path), mode_of(path.parent)) == ("text", 0o600, 0o700)
    assert os.listdir(path.parent) == ["report.html"]


@pytest.mark.parametrize("text", ["text", "a\\r\\nb\\nc\\r"])
def test_the_same_text_is_left_as_it_is(text: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "report.html"
    put(path, text)
    before = path.stat()
    assert not put(path, text)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_another_mode_alone_is_a_change(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "report.html"
    put(path, "text")
    assert put(path, "text", 0o640)
    assert mode_of(path) == 0o640
    assert not put(path, "text", 0o640)


def test_nothing_is_changed_when_it_must_not(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "new" / "report.html"
    assert put(path, "text", dry=True)
    assert os.listdir(tmp_path) == []
    put(path, "text")
    assert put(path, "other", dry=True)
    assert put(path, "text", 0o644, dry=True)
    assert (path.read_text(), mode_of(path)) == ("text", 0o600)


def test_a_link_is_replaced_and_not_followed(tmp_path: pathlib.Path) -> None:
    target, path = tmp_path / "precious", tmp_path / "report.html"
    target.write_text("precious")
    path.symlink_to(target)
    assert put(path, "text")
    assert (target.read_text(), path.is_symlink(), path.read_text()) == ("precious", False, "text")


@pytest.mark.parametrize("kind", ["directory", "fifo"])
def test_what_is_no_file_is_refused(tmp_path: pathlib.Path, kind: str) -> None:
    path = tmp_path / "report.html"
    os.mkdir(path) if kind == "directory" else os.mkfifo(path)
    with pytest.raises(output.OutputError, match=r"report\.html is not a file"):
        put(path, "text")


def test_a_parent_that_is_a_file_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        output.OutputError, match=r"the report cannot be written to .*/file/report\.html: Not a directory"
    ):
        put(tmp_path / "file" / "report.html", "text")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "report.html"
    put(path, "old")
    with pytest.raises(UnicodeEncodeError):
        put(path, "text that no file can hold: \ud800")
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["report.html"])


def test_where_a_file_can_be_written_nothing_is_said_and_nothing_made(tmp_path: pathlib.Path) -> None:
    (tmp_path / "old.html").write_text("old")
    (tmp_path / "link.html").symlink_to(tmp_path / "nowhere" / "at all")
    before = sorted(tmp_path.rglob("*"))
    for name in ("new.html", "old.html", "link.html", "some/new/directory/report.html"):
        output.check(str(tmp_path / name))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "it is a directory; name the file to write"),
        ("reports/", "it is a directory; name the file to write"),
        ("linked", "it is a directory; name the file to write"),
        ("fifo", "is not a file; give the path of one"),
        ("file/report.html", "file is not a directory; name a file elsewhere"),
        ("file/new/report.html", "file is not a directory; name a file elsewhere"),
        ("n" * 300, "File name too long"),
    ],
)
def test_where_no_file_can_be_written_is_said_before(tmp_path: pathlib.Path, name: str, message: str) -> None:
    (tmp_path / "linked").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(output.OutputError) as error:
        output.check(f"{tmp_path}/{name}")
    assert message in str(error.value)


def test_a_directory_that_one_may_not_write_to_is_named_before() -> None:
    user = os.geteuid()
    try:
        os.seteuid(user or 65534)
        with pytest.raises(
            output.OutputError, match="the account that runs this may not write to /usr; name a file elsewhere"
        ):
            output.check("/usr/new/report.html")
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(("value", "mode"), [("0600", 0o600), ("644", 0o644), (0o640, 0o640)])
def test_a_mode_is_read_as_people_write_it(value: t.Any, mode: int) -> None:
    assert output.file_mode(value) == mode


@pytest.mark.parametrize("value", ["u=rw", "0999", "4755", "", None, True, 0o4755, -1])
def test_what_is_no_mode_is_refused(value: t.Any) -> None:
    with pytest.raises(output.OutputError, match="is not a file mode: write three octal digits in quotes"):
        output.file_mode(value)
