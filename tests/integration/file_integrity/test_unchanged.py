# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rehash: changed`` on a real ext4, against somebody who read how it leaves out what did not change."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import pathlib
import shutil
import subprocess
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import merkle_tree

from tests.integration.file_integrity._engine import Engine, changes, coverage, opened_names
from tests.support import commands, require
from tests.support.waiting import until

require("root", "command:mkfs.ext4", "command:debugfs")

WATCH = "tree"
DAMAGED = "a part of the baseline on the host does not match its seal"


@contextlib.contextmanager
def _mounted(*arguments: str) -> t.Iterator[None]:
    _run("mount", *arguments)
    try:
        yield
    finally:
        _run("umount", arguments[-1])


def _run(program: str, *arguments: str) -> str:
    found = commands.find(program)
    assert found is not None, program
    return subprocess.run([found, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def image(tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """Mount an ext4 at ``tmp_path / "disk"``; return its image."""
    image, point = tmp_path / "image", tmp_path / "disk"
    point.mkdir()
    with image.open("wb") as stream:
        stream.truncate(8 << 20)
    _run("mkfs.ext4", "-q", "-F", str(image))
    with _mounted("-o", "loop", str(image), str(point)):
        yield image


@pytest.fixture
def tree(image: pathlib.Path) -> pathlib.Path:
    """Return a tree with a directory in it whose names are all watched."""
    root = image.parent / "disk" / "tree"
    (root / "sub" / "deep").mkdir(parents=True)
    for name, content in {"a": "one", "b": "two", "sub/c": "three", "sub/deep/d": "four"}.items():
        (root / name).write_text(content)
    (root / "link").symlink_to("a")
    return root


@pytest.fixture
def engine(tmp_path: pathlib.Path, image: pathlib.Path, tree: pathlib.Path) -> Engine:
    """Return an engine with a baseline of files whose change times are older than its making, as on a real host."""
    _age(image, tree)
    engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [str(tree)]},))
    engine.apply()
    return engine


def _age(image: pathlib.Path, tree: pathlib.Path, seconds: int = 3600, files: bool = True) -> None:
    """Set the change time of everything in a tree back, which only works on the disk itself."""
    disk = image.parent / "disk"
    then = int(time.time()) - seconds
    names = [path.relative_to(disk) for path in (tree, *tree.rglob("*")) if files or path.is_dir()]
    with _unmounted(image):
        _debugfs(image, [f"set_inode_field /{name} ctime @{then}" for name in names])
    assert all((disk / name).lstat().st_ctime == pytest.approx(then, abs=1) for name in names)


@contextlib.contextmanager
def _unmounted(image: pathlib.Path) -> t.Iterator[None]:
    _run("umount", str(image.parent / "disk"))
    # The kernel lets go of the loop device a little later.
    until(lambda: not _run("losetup", "-j", str(image)), "the loop device is still in use")
    yield
    _run("mount", "-o", "loop", str(image), str(image.parent / "disk"))


def _debugfs(image: pathlib.Path, requests: t.Iterable[str]) -> None:
    script = image.parent / "requests"
    script.write_text("\n".join(requests))
    _run("debugfs", "-w", "-f", str(script), str(image))


def _unchanged(engine: Engine) -> dict[str, t.Any]:
    return engine.compare(rehash="changed")


def test_what_did_not_change_is_neither_read_nor_opened_but_once(engine: Engine, tree: pathlib.Path) -> None:
    with opened_names(tree, closed=True) as names:
        compared = _unchanged(engine)
    # Opened and closed once, to be read itself: its attributes are vouched for by its change time.
    assert [name for name in names if name] == [b"sub", b"sub"]
    assert compared["statistics"]["bytes_read"] == 0
    assert compared["changes"] == []
    assert coverage(compared, WATCH)["status"] == "checked"
    assert coverage(compared, WATCH)["examined"] == engine.compare()["statistics"]["entries"] == 8


def test_each_name_that_comes_and_goes_within_a_tick_is_found(engine: Engine, tree: pathlib.Path) -> None:
    for _time in range(50):
        (tree / "sub" / "c").rename(tree / "sub" / "new")
        (tree / "sub" / "new").rename(tree / "sub" / "c")
    (tree / "a").rename(tree / "x")
    (tree / "b").rename(tree / "a")
    (tree / "x").rename(tree / "b")
    found = changes(_unchanged(engine))
    assert found[str(tree / "a")] == found[str(tree / "b")] == "modified"
    assert found == changes(engine.compare())


def test_a_file_in_place_of_one_with_the_same_size_and_times_is_found(engine: Engine, tree: pathlib.Path) -> None:
    status = (tree / "sub" / "c").stat()
    (tree / "sub" / "other").write_text("THREE")
    os.utime(tree / "sub" / "other", ns=(status.st_atime_ns, status.st_mtime_ns))
    (tree / "sub" / "other").replace(tree / "sub" / "c")
    directory = (tree / "sub").stat()
    os.utime(tree / "sub", ns=(directory.st_atime_ns, directory.st_mtime_ns))
    assert changes(_unchanged(engine)) == {str(tree / "sub" / "c"): "modified"}


def test_a_directory_in_place_of_another_is_found(engine: Engine, tree: pathlib.Path) -> None:
    shutil.copytree(tree / "sub", tree.parent / "copy", symlinks=True)
    (tree.parent / "copy" / "deep" / "evil").touch()
    (tree / "sub").rename(tree.parent / "gone")
    (tree.parent / "copy").rename(tree / "sub")
    found = changes(_unchanged(engine))
    assert found[str(tree / "sub" / "deep" / "evil")] == "created"
    assert found == changes(engine.compare())


@pytest.mark.parametrize("where", ["sub", "sub/deep", "."])
def test_what_changed_of_a_directory_itself_is_found(engine: Engine, tree: pathlib.Path, where: str) -> None:
    os.setxattr(tree / where, "user.x", b"y")
    assert changes(_unchanged(engine)) == {str((tree / where).absolute()): "modified"}


def test_flags_and_modes_of_directories_are_found(engine: Engine, tree: pathlib.Path) -> None:
    (tree / "sub" / "deep").chmod(0o777)
    _run("chattr", "+i", str(tree / "sub"))
    try:
        found = _unchanged(engine)["changes"]
    finally:
        _run("chattr", "-i", str(tree / "sub"))
    assert {change["path"]: change["attributes"] for change in found} == {
        str(tree / "sub"): ["flags"],
        str(tree / "sub" / "deep"): ["mode"],
    }


def _forged(image: pathlib.Path, old: bytes, new: bytes) -> pathlib.Path:
    """Return a copy of a file system in which one file has another content, and all else is the same."""
    os.sync()
    content = bytearray(image.read_bytes())
    position = content.index(old)
    content[position : position + len(new)] = new
    forged = image.parent / "forged"
    forged.write_bytes(content)
    return forged


@pytest.mark.parametrize("over", ["sub", "sub/c"])
def test_a_forged_file_system_is_no_disguise_wherever_it_is_mounted(
    engine: Engine, tree: pathlib.Path, image: pathlib.Path, tmp_path: pathlib.Path, over: str
) -> None:
    (tree / "sub" / "c").write_text("genuine" * 1000)
    engine.apply(state="absent")
    _age(image, tree)
    engine.apply()
    genuine = (tree / "sub" / "c").stat()
    forged = _forged(image, b"genuine" * 500, b"forgery")
    point = tmp_path / "elsewhere"
    point.mkdir()
    with (
        _mounted("-o", "loop,ro,noload", str(forged), str(point)),
        _mounted("--bind", str(point / "tree" / over), str(tree / over)),
    ):
        status = (tree / "sub" / "c").stat()
        assert (tree / "sub" / "c").read_bytes().startswith(b"forgery")
        assert (status.st_ino, status.st_ctime_ns) == (genuine.st_ino, genuine.st_ctime_ns)
        assert changes(_unchanged(engine)) == {str(tree / over): "mounted"}
    assert changes(_unchanged(engine)) == {}


def test_files_that_changed_shortly_before_they_were_recorded_are_read(
    tmp_path: pathlib.Path, tree: pathlib.Path
) -> None:
    """What was mapped can change again without its times telling, until the kernel has written it back."""
    (tree / "sub" / "mapped").write_bytes(b"A" * mmap.PAGESIZE)
    engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [str(tree)]},))
    with (tree / "sub" / "mapped").open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as mapped:
        for letter in b"BCDEF":
            mapped[0] = letter
            before = (tree / "sub" / "mapped").stat().st_ctime_ns
            engine.apply()
            mapped[0] = letter + 32
            if (tree / "sub" / "mapped").stat().st_ctime_ns == before:
                break
            # The kernel wrote it back meanwhile, as for anybody who calls sync(2).
            engine.apply(state="absent")
        else:
            pytest.fail("the change time told each time")
    compared = _unchanged(engine)
    assert changes(compared) == {str(tree / "sub" / "mapped"): "modified"}
    # All of them are read, and the one that changed once more, for its package's digests.
    assert compared["statistics"]["bytes_read"] == 15 + 2 * mmap.PAGESIZE


def test_files_that_changed_shortly_before_they_were_accepted_are_read(engine: Engine, tree: pathlib.Path) -> None:
    assert _unchanged(engine)["statistics"]["bytes_read"] == 0
    (tree / "a").write_text("longer")
    assert changes(_unchanged(engine)) == {str(tree / "a"): "modified"}
    engine.apply(accept=["all"], reason="x", accepted_by="me")
    compared = _unchanged(engine)
    assert compared["changes"] == []
    assert compared["statistics"]["bytes_read"] == 6


def test_what_only_root_can_forge_is_found_by_the_full_check(
    engine: Engine, tree: pathlib.Path, image: pathlib.Path
) -> None:
    """The change time itself, on the disk: what ``changed`` misses, as its documentation says."""
    status = (tree / "a").stat()
    (tree / "a").write_text("ONE")
    os.utime(tree / "a", ns=(status.st_atime_ns, status.st_mtime_ns))
    # Above the nanoseconds are two bits of the epoch.
    fields = {"ctime": f"@{status.st_ctime_ns // 10**9}", "ctime_extra": str(status.st_ctime_ns % 10**9 << 2)}
    with _unmounted(image):
        _debugfs(image, [f"set_inode_field /tree/a {field} {value}" for field, value in fields.items()])
    assert (tree / "a").stat().st_ctime_ns == status.st_ctime_ns
    assert changes(_unchanged(engine)) == {}
    assert changes(engine.compare()) == {str(tree / "a"): "modified"}


def test_a_directory_that_is_gone_takes_what_was_in_it(engine: Engine, tree: pathlib.Path) -> None:
    shutil.rmtree(tree / "sub")
    found = changes(_unchanged(engine))
    assert found == dict.fromkeys((str(tree / name) for name in ("sub", "sub/c", "sub/deep", "sub/deep/d")), "deleted")


def test_what_waits_for_a_review_stays_visible(
    engine: Engine, image: pathlib.Path, tree: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tree / "sub" / "new").touch()
    (tree / "sub" / "newer").touch()
    (tree / "sub" / "deep" / "waits").touch()
    # As when all of this was long ago, but not as long as when the baseline was taken.
    _age(image, tree, seconds=1800, files=False)
    ids = {change["path"]: change["id"] for change in _unchanged(engine)["changes"]}
    engine.apply(accept=[ids[str(tree / "sub" / "new")]], reason="x", accepted_by="me")
    waiting = {str(tree / "sub" / "newer"): "created", str(tree / "sub" / "deep" / "waits"): "created"}
    assert changes(_unchanged(engine)) == waiting
    (tmp_path / "more").mkdir()
    watches = [
        {**engine.watches[0], "hashes": ["sha256", "sha512"]},
        {"name": "more", "paths": [str(tmp_path / "more")]},
    ]
    engine.apply(watches=watches)
    assert changes(_unchanged(engine)) == waiting
    assert changes(engine.compare()) == waiting


def test_what_could_not_be_looked_at_is_not_forgotten(
    tmp_path: pathlib.Path, image: pathlib.Path, tree: pathlib.Path
) -> None:
    _age(image, tree)
    engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [str(tree)]},))
    with _mounted("-t", "proc", "proc", str(tree / "sub")):
        engine.apply()
    found = changes(_unchanged(engine))
    assert found[str(tree / "sub")] == found[str(tree / "sub" / "c")] == "created"


def test_a_baseline_of_before_there_were_status_digests_is_compared(engine: Engine, tree: pathlib.Path) -> None:
    _rewrite_as_before(engine.file)
    compared = _unchanged(engine)
    assert compared["changes"] == []
    assert compared["statistics"]["bytes_read"] == 0
    (tree / "sub" / "new").touch()
    assert changes(_unchanged(engine)) == {str(tree / "sub" / "new"): "created"}
    engine.apply(accept=["all"], reason="x", accepted_by="me")
    assert changes(_unchanged(engine)) == {}


def _rewrite_as_before(file: pathlib.Path) -> None:
    """Take out of a baseline what older ones don't have."""
    content = file.read_bytes()
    offset, index_length, header_length = (int(number) for number in content[-138:].split(b" ")[1:4])
    index = b"\n".join(b" ".join(line.split(b" ")[:6]) for line in content[offset : offset + index_length].split(b"\n"))
    reader = merkle_tree.Reader(os.open(file, os.O_RDONLY), str(file)).load()
    reader.close()
    header = {name: value for name, value in reader.header.items() if name not in ("blocks", "mounts")}
    assert header_length
    text = json.dumps(header).encode()
    seal = merkle_tree._seal(content[:32], text, index)
    last = b"end %020d %020d %020d %s\n" % (offset, len(index), len(text), seal.encode())
    file.write_bytes(content[:offset] + index + text + last)


def test_damage_is_said_although_nothing_of_it_was_needed(
    tmp_path: pathlib.Path, image: pathlib.Path, tree: pathlib.Path
) -> None:
    _age(image, tree)
    # Where names are left out a directory is listed, and nothing has to be known of what was in it.
    engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [str(tree)], "exclude": ["*.log"]},))
    engine.apply()
    content = engine.file.read_bytes()
    position = content.index(b"\nb f ") + 1
    engine.file.write_bytes(content[:position] + b"B" + content[position + 1 :])
    compared = _unchanged(engine)
    assert compared["statistics"]["bytes_read"] == 0
    assert [(entry["subject"], entry["reason"]) for entry in coverage(compared, WATCH)["skipped"]] == [
        (str(tree), DAMAGED)
    ]
