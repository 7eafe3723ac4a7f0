# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file integrity engine on real file systems, against what an attacker or an unlucky administrator does."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.definitions import HASHES
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events

from tests.integration.file_integrity._engine import Engine, changes, coverage, opened_names
from tests.support import commands, processor, require
from tests.support.file_integrity import ADDED
from tests.support.waiting import open_files, until

require("root")

WATCH = "tree"


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a small tree with one of everything that tests change."""
    root = tmp_path / "tree"
    (root / "sub" / "deep").mkdir(parents=True)
    for name, content in {"a": "one", "b": "two", "sub/c": "three", "sub/deep/d": "four"}.items():
        (root / name).write_text(content)
    (root / "link").symlink_to("a")
    return root


@pytest.fixture
def engine(tmp_path: pathlib.Path, tree: pathlib.Path) -> Engine:
    return Engine(tmp_path / "state", ({"name": WATCH, "paths": [str(tree)]},))


@pytest.fixture(scope="module")
def ext4(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[pathlib.Path]:
    """Mount a real ext4 of 48 MiB, with ACLs, extended attributes and inode flags."""
    require("command:mkfs.ext4")
    directory = tmp_path_factory.mktemp("ext4")
    image, point = directory / "image", directory / "mounted"
    point.mkdir()
    with image.open("wb") as stream:
        stream.truncate(48 << 20)
    _run("mkfs.ext4", "-q", "-F", str(image))
    with _mounted("-o", "loop", str(image), str(point)):
        yield point


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


def _first(result: t.Mapping[str, t.Any], path: pathlib.Path | str) -> dict[str, t.Any]:
    (change,) = [change for change in result["changes"] if change["path"] == str(path)]
    return t.cast("dict[str, t.Any]", change)


def _data(result: t.Mapping[str, t.Any], path: pathlib.Path | str) -> dict[str, t.Any]:
    """Return the evidence of the detection about a path."""
    (found,) = [detection for detection in result["detections"] if detection["subject"] == str(path)]
    return t.cast("dict[str, t.Any]", found["evidences"][0]["data"])


# What is found


def test_an_untouched_tree_has_no_changes_and_is_wholly_covered(engine: Engine) -> None:
    made = engine.apply()
    assert made["changed"]
    assert coverage(made, WATCH)["examined"] == 8  # five files and links, and the directories sub, deep and the tree
    compared = engine.compare()
    assert compared["changes"] == compared["detections"] == []
    assert coverage(compared, WATCH)["status"] == "checked"
    assert coverage(compared, WATCH)["examined"] == 8
    assert not engine.apply()["changed"]


def test_every_comparison_says_what_the_packages_cannot_verify(engine: Engine) -> None:
    made = engine.apply()
    assert coverage(engine.compare(), "packages") == coverage(made, "packages")


def _settled(engine: Engine, tree: pathlib.Path) -> None:
    """Make a baseline of files whose change times are older than its making, as they are on a real host."""
    assert tree.is_dir()
    time.sleep(1.5)
    engine.apply()


@pytest.mark.parametrize("rehash", ["always", "changed"])
def test_each_kind_of_change_is_found(engine: Engine, tree: pathlib.Path, rehash: str) -> None:
    _settled(engine, tree)
    (tree / "new").write_text("new")
    (tree / "b").write_text("changed")
    (tree / "sub" / "c").unlink()
    (tree / "sub" / "deep" / "d").rename(tree / "moved")
    (tree / "a").unlink()
    (tree / "a").symlink_to("/etc/shadow")
    (tree / "link").unlink()
    (tree / "link").symlink_to("b")
    compared = engine.compare(rehash=rehash)
    assert changes(compared) == {
        str(tree / "new"): "created",
        str(tree / "b"): "modified",
        str(tree / "sub" / "c"): "deleted",
        str(tree / "moved"): "renamed",
        str(tree / "a"): "replaced_type",
        str(tree / "link"): "modified",
    }
    assert _first(compared, tree / "moved")["previous_path"] == str(tree / "sub" / "deep" / "d")
    assert {"size", "mtime", "ctime", "content"} <= set(_first(compared, tree / "b")["attributes"])
    assert "link_target" in _first(compared, tree / "link")["attributes"]
    evidence = _data(compared, tree / "b")
    assert evidence["before"]["content"]["sha256"] == hashlib.sha256(b"two").hexdigest()
    assert evidence["after"]["content"]["sha256"] == hashlib.sha256(b"changed").hexdigest()


def test_a_deleted_directory_takes_what_was_in_it(engine: Engine, tree: pathlib.Path) -> None:
    engine.apply()
    shutil.rmtree(tree / "sub")
    assert changes(engine.compare()) == {
        str(tree / "sub"): "deleted",
        str(tree / "sub" / "c"): "deleted",
        str(tree / "sub" / "deep"): "deleted",
        str(tree / "sub" / "deep" / "d"): "deleted",
    }


def test_a_directory_replaced_by_a_link_to_a_copy_is_no_disguise(engine: Engine, tree: pathlib.Path) -> None:
    engine.apply()
    (tree / "sub").rename(tree.parent / "elsewhere")
    (tree / "sub").symlink_to(tree.parent / "elsewhere")
    found = changes(engine.compare())
    assert found[str(tree / "sub")] == "replaced_type"
    assert found[str(tree / "sub" / "c")] == found[str(tree / "sub" / "deep" / "d")] == "deleted"


def test_a_changed_file_with_its_old_times_is_found(engine: Engine, tree: pathlib.Path) -> None:
    before = (tree / "b").stat()
    _settled(engine, tree)
    (tree / "b").write_text("TWO")
    os.utime(tree / "b", ns=(before.st_atime_ns, before.st_mtime_ns))
    for rehash in ("always", "changed"):
        assert _first(engine.compare(rehash=rehash), tree / "b")["attributes"] == ["ctime", "content"]


def test_mode_and_owner_are_shown_by_name(engine: Engine, tree: pathlib.Path) -> None:
    engine.apply()
    (tree / "a").chmod(0o4755)
    os.chown(tree / "b", 1, 1)
    compared = engine.compare()
    assert _data(compared, tree / "a")["after"]["mode"] == "4755 rwsr-xr-x"
    assert _data(compared, tree / "b")["after"]["owner"] == "daemon (1)"
    assert _data(compared, tree / "b")["before"]["owner"] == "root (0)"


def test_hard_links_are_found_by_their_count(engine: Engine, tree: pathlib.Path) -> None:
    engine.apply()
    os.link(tree / "a", tree / "sub" / "hard")
    compared = engine.compare()
    assert changes(compared) == {str(tree / "a"): "modified", str(tree / "sub" / "hard"): "created"}
    assert _first(compared, tree / "a")["attributes"] == ["links", "ctime"]


def test_acls_capabilities_flags_and_attributes(ext4: pathlib.Path, tmp_path: pathlib.Path) -> None:
    require("command:setfacl", "command:setcap", "command:chattr")
    root = ext4 / "attributes"
    root.mkdir()
    for name in ("acl", "caps", "immutable", "append", "user", "label"):
        shutil.copy("/bin/true", root / name)
    (root / "directory").mkdir()
    engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [str(root)]},))
    engine.apply()
    _run("setfacl", "-m", "u:daemon:rw", str(root / "acl"))
    _run("setfacl", "-d", "-m", "g:bin:rwx", str(root / "directory"))
    _run("setcap", "cap_net_raw,cap_sys_admin=ep", str(root / "caps"))
    os.setxattr(root / "user", "user.secret", b"not to be seen")
    os.setxattr(root / "label", "security.selinux", b"system_u:object_r:bin_t:s0\0")
    _run("chattr", "+i", str(root / "immutable"))
    _run("chattr", "+a", str(root / "append"))
    try:
        for rehash in ("always", "changed"):
            compared = engine.compare(rehash=rehash)
            assert _data(compared, root / "acl")["after"]["acl"]["access"] == (
                "user::rwx,user:daemon (1):rw-,group::r-x,mask::rwx,other::r-x"
            )
            assert _data(compared, root / "directory")["after"]["acl"]["default"].endswith(
                "group:bin (2):rwx,mask::rwx,other::r-x"
            )
            assert _data(compared, root / "caps")["after"]["capabilities"] == "cap_net_raw,cap_sys_admin=ep"
            assert _data(compared, root / "label")["after"]["selinux"] == "system_u:object_r:bin_t:s0"
            assert _data(compared, root / "immutable")["after"]["flags"] == ["immutable"]
            assert _data(compared, root / "append")["after"]["flags"] == ["append_only"]
            value = _data(compared, root / "user")["after"]["xattrs"]["user.secret"]
            assert value == f"sha256:{hashlib.sha256(b'not to be seen').hexdigest()}:14"
            assert "not to be seen" not in json.dumps(compared)
    finally:
        _run("chattr", "-i", "-a", str(root / "immutable"), str(root / "append"))


def test_what_getcap_and_getfacl_say_is_what_the_evidence_says(ext4: pathlib.Path, tmp_path: pathlib.Path) -> None:
    require("command:setcap", "command:getcap")
    root = ext4 / "caps"
    root.mkdir()
    texts = ["cap_chown=ep", "cap_setuid,cap_bpf=p", "cap_net_admin=eip cap_kill=ei", "cap_checkpoint_restore=eip"]
    engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [str(root)]},))
    for number in range(len(texts)):
        shutil.copy("/bin/true", root / str(number))
    engine.apply()
    for number, text in enumerate(texts):
        _run("setcap", text, str(root / str(number)))
    compared = engine.compare()
    for number in range(len(texts)):
        said = _run("getcap", str(root / str(number))).split(None, 1)[1].strip()
        shown = _data(compared, root / str(number))["after"]["capabilities"]
        # cap_to_text(3) writes all but the first group with a plus, which means the same.
        assert sorted(shown.split()) == sorted(said.replace("+", "=").split())


def test_no_heap_of_attributes_hides_a_capability_or_fills_the_memory(tmp_path: pathlib.Path) -> None:
    point = tmp_path / "tree"
    point.mkdir()
    with _mounted("-t", "tmpfs", "tmpfs", str(point)):
        engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [str(point)], "category": "program"},))
        (point / "program").touch(0o755)
        (point / "other").touch(0o755)
        engine.apply()
        _heap(point / "other", 2000)
        compared = engine.compare()
        assert _first(compared, point / "other")["attributes"] == ["ctime", "xattrs"]
        assert len(_data(compared, point / "other")["after"]["xattrs"]) == 1
        assert coverage(compared, WATCH)["status"] == "checked"
        os.setxattr(point / "other", "user.00000001", b"another")
        assert engine.compare()["changes"][0]["id"] != compared["changes"][0]["id"]

        _heap(point / "program", 10000)
        os.setxattr(point / "program", "security.capability", bytes.fromhex("01000002" + "80" + 15 * "00"))
        compared = engine.compare()
        assert _first(compared, point / "program")["alert"] == "fim_capability_added"
        assert [entry["subject"] for entry in coverage(compared, WATCH)["skipped"]] == [str(point / "program")]


def _heap(path: pathlib.Path, number: int) -> None:
    """Give a file so many attributes; from some thousand on the kernel can't list them (E2BIG, listxattr(2))."""
    try:
        for index in range(number):
            os.setxattr(path, f"user.{index:08}", b"")
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        pytest.skip("tmpfs has no user attributes before Linux 6.6")


def test_more_hashes_on_request(tmp_path: pathlib.Path, tree: pathlib.Path) -> None:
    engine = Engine(
        tmp_path / "state", ({"name": WATCH, "paths": [str(tree)], "hashes": ["sha512", "blake2b", "md5"]},)
    )
    engine.apply()
    (tree / "a").write_text("other")
    evidence = _data(engine.compare(), tree / "a")
    assert evidence["after"]["content"]["sha512"] == hashlib.sha512(b"other").hexdigest()
    assert evidence["after"]["content"]["blake2b"] == hashlib.blake2b(b"other").hexdigest()
    assert evidence["before"]["content"]["md5"] == hashlib.md5(b"one", usedforsecurity=False).hexdigest()


def test_only_the_selected_attributes_count(tmp_path: pathlib.Path, tree: pathlib.Path) -> None:
    engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [str(tree)], "attributes": ["type", "mode"]},))
    engine.apply()
    (tree / "a").write_text("other")
    (tree / "b").chmod(0o600)
    assert changes(engine.compare()) == {str(tree / "b"): "modified"}


# What is watched


def test_the_most_specific_watch_owns_a_path(tmp_path: pathlib.Path, tree: pathlib.Path) -> None:
    watches = (
        {"name": "all", "paths": [str(tree)], "exclude": ["*.tmp", str(tree / "sub" / "deep")]},
        {"name": "sub", "paths": [str(tree / "su*")], "recurse": 1},
        {"name": "file", "paths": [str(tree / "sub" / "c")]},
        {"name": "libraries", "paths": [str(tree / "**" / "lib")], "include": ["*.so*"]},
    )
    engine = Engine(tmp_path / "state", watches)
    engine.apply()
    (tree / "sub" / "deep" / "d").write_text("changed")  # below sub's one level, and excluded from all
    (tree / "sub" / "x").touch()
    (tree / "sub" / "c").write_text("changed")
    (tree / "x.tmp").touch()
    (tree / "top").touch()
    (tree / "sub" / "deep" / "lib").mkdir()
    (tree / "sub" / "deep" / "lib" / "x.so.1").touch()
    (tree / "sub" / "deep" / "lib" / "readme").touch()
    found = {change["path"]: change["watch"] for change in engine.compare()["changes"]}
    assert found == {
        str(tree / "sub" / "x"): "sub",
        str(tree / "sub" / "c"): "file",
        str(tree / "top"): "all",
        str(tree / "sub" / "deep" / "lib" / "x.so.1"): "libraries",
    }


def test_paths_that_appear_later_are_created(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "later"
    watches = ({"name": WATCH, "paths": [str(root / "*" / ".ssh" / "authorized_keys"), str(root / "file")]},)
    engine = Engine(tmp_path / "state", watches)
    made = engine.apply(_default_names=[WATCH])
    assert coverage(made, WATCH)["status"] == "checked"
    (root / "bob" / ".ssh").mkdir(parents=True)
    (root / "bob" / ".ssh" / "authorized_keys").touch()
    (root / "file").touch()
    (root / "no directory").touch()
    assert changes(engine.compare()) == {
        str(root / "bob" / ".ssh" / "authorized_keys"): "created",
        str(root / "file"): "created",
    }


def test_homes_of_every_account(tmp_path: pathlib.Path) -> None:
    engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": ["~/.bulwark-test-file"]},))
    engine.apply()
    home = pathlib.Path("~root").expanduser()
    file = home / ".bulwark-test-file"
    file.touch()
    try:
        assert changes(engine.compare()) == {str(file): "created"}
    finally:
        file.unlink()


def test_a_root_that_is_a_link_is_recorded_and_not_followed(tmp_path: pathlib.Path, tree: pathlib.Path) -> None:
    (tmp_path / "entry").symlink_to(tree)
    engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [str(tmp_path / "entry")]},))
    assert coverage(engine.apply(), WATCH)["examined"] == 1
    (tree / "a").write_text("other")
    assert changes(engine.compare()) == {}
    (tmp_path / "entry").unlink()
    (tmp_path / "entry").symlink_to("/")
    assert changes(engine.compare()) == {str(tmp_path / "entry"): "modified"}


def test_roots_links_on_the_way_are_followed_and_watched(tmp_path: pathlib.Path, tree: pathlib.Path) -> None:
    (tmp_path / "entry").symlink_to("tree/sub/..")
    engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [str(tmp_path / "entry" / "sub" / "c")]},))
    engine.apply()
    (tree / "sub" / "c").write_text("other")
    assert changes(engine.compare()) == {str(tree / "sub" / "c"): "modified"}
    (tmp_path / "entry").unlink()
    (tmp_path / "entry").symlink_to("/usr")
    assert changes(engine.compare())[str(tmp_path / "entry")] == "modified"
    # Someone else's link could lead root anywhere.
    (tmp_path / "entry").unlink()
    (tmp_path / "entry").symlink_to(tree)
    os.lchown(tmp_path / "entry", 65534, 65534)
    other = dataclasses.replace(engine, state=tmp_path / "other")
    made = coverage(other.apply(), WATCH)
    assert made["examined"] == 0
    assert [entry["subject"] for entry in made["skipped"]] == [str(tmp_path / "entry")]


def test_a_link_in_place_of_a_directory_that_is_only_searched_is_said(tmp_path: pathlib.Path) -> None:
    # As ~/.config of an account, or /opt/java: nothing of it is recorded, so its replacement is no change.
    (tmp_path / "opt" / "java-17" / "bin").mkdir(parents=True)
    (tmp_path / "opt" / "java").symlink_to("java-17")
    (tmp_path / "elsewhere" / "bin").mkdir(parents=True)
    engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [f"{tmp_path}/opt/*/bin"]},))
    assert coverage(engine.apply(), WATCH)["status"] == "checked"
    for target in ("../elsewhere", str(tmp_path / "elsewhere"), ".", ".."):
        (tmp_path / "opt" / "evil").symlink_to(target)
        compared = coverage(engine.compare(), WATCH)
        assert compared["status"] == "partial"
        assert [entry["subject"] for entry in compared["skipped"]] == [str(tmp_path / "opt" / "evil")]
        (tmp_path / "opt" / "evil").unlink()


def test_mounts(tmp_path: pathlib.Path, tree: pathlib.Path) -> None:
    for name in ("proc", "tmpfs", "loop"):
        (tree / name).mkdir()
    engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [str(tree)]},))
    with (
        _mounted("-t", "proc", "proc", str(tree / "proc")),
        _mounted("-t", "tmpfs", "tmpfs", str(tree / "tmpfs")),
        _mounted("--bind", str(tree), str(tree / "loop")),
    ):
        (tree / "tmpfs" / "real").touch()
        made = engine.apply()
        skipped = {entry["subject"]: entry["reason"] for entry in coverage(made, WATCH)["skipped"]}
        # A pseudo file system has no files to leave out.
        assert skipped == {str(tree / "loop"): f"it is {tree} mounted into itself"}
        (tree / "tmpfs" / "real").write_text("changed")
        assert changes(engine.compare()) == {str(tree / "tmpfs" / "real"): "modified"}
        asked_for = Engine(
            tmp_path / "all", ({"name": WATCH, "paths": [str(tree / "proc")], "recurse": 1, "filesystems": "all"},)
        )
        assert coverage(asked_for.apply(), WATCH)["examined"] > 20


def test_a_pseudo_file_system_mounted_over_a_watched_directory_hides_nothing(
    engine: Engine, tree: pathlib.Path
) -> None:
    engine.apply()
    with _mounted("-t", "proc", "proc", str(tree / "sub")):
        compared = engine.compare()
        engine.apply(watches=[*engine.watches, {"name": "other", "paths": ["/etc/hostname"]}])
    assert coverage(compared, WATCH)["status"] == "partial"
    assert {entry["subject"] for entry in coverage(compared, WATCH)["skipped"]} >= {str(tree / "sub")}
    assert changes(compared) == {str(tree / "sub"): "mounted"}
    with _mounted("--bind", "/proc/version", str(tree / "a")):
        compared = engine.compare()
    assert [entry["subject"] for entry in coverage(compared, WATCH)["skipped"]] == [str(tree / "a")]
    assert changes(compared) == {str(tree / "a"): "mounted"}
    # Extending meanwhile forgets nothing of what is below.
    (tree / "sub" / "c").write_text("changed")
    assert changes(engine.compare()) == {str(tree / "sub" / "c"): "modified"}


# Hostile trees


@pytest.mark.parametrize("rehash", ["always", "changed"])
def test_a_name_is_not_taken_for_the_one_that_is_written_like_it(
    engine: Engine, tree: pathlib.Path, rehash: str
) -> None:
    (tree / "a b").write_text("spaced")
    engine.apply()
    (tree / "a b").rename(tree / "a\\x20b")
    (change,) = engine.compare(rehash=rehash)["changes"]
    assert (change["kind"], change["previous_path"]) == ("renamed", str(tree / "a b"))
    assert change["path"] == str(tree / "a\\\\x20b")


def test_names_with_newlines_and_bytes_that_are_no_utf8(engine: Engine, tree: pathlib.Path) -> None:
    names = [b"new\nline", b"\xff\xfe", b"sp ace", b"back\\slash", b"-", b".hidden", "Grüße".encode(), b"x" * 255]
    for name in names:
        pathlib.Path(os.fsdecode(os.path.join(os.fsencode(tree), name))).write_bytes(name)
    os.symlink(b"\xff\n target", os.path.join(os.fsencode(tree), b"odd link"))
    engine.apply()
    assert engine.compare()["changes"] == []
    for name in names:
        pathlib.Path(os.fsdecode(os.path.join(os.fsencode(tree), name))).write_bytes(b"other " + name)
    compared = engine.compare()
    assert set(changes(compared)) == {
        f"{tree}/{shown}"
        for shown in (r"new\nline", r"\xff\xfe", "sp ace", r"back\\slash", "-", ".hidden", "Grüße", "x" * 255)
    }
    engine.apply(accept=[f"{tree}/" + r"new\nline", f"{tree}/" + r"\xff\xfe"], reason="test", accepted_by="me")
    assert len(engine.compare()["changes"]) == len(names) - 2


def test_only_regular_files_are_opened(engine: Engine, tree: pathlib.Path) -> None:
    os.mkfifo(tree / "fifo")
    os.mknod(tree / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(tree / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 200))
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tree / "socket"))
        # A writer waits in open(2) until somebody opens the other end of the FIFO.
        with subprocess.Popen(
            ["/bin/sh", "-c", f"exec 3>'{tree}/fifo'; echo opened"], stdout=subprocess.PIPE
        ) as writer:
            try:
                with opened_names(tree) as names:
                    made = engine.apply()
                    compared = engine.compare()
                assert writer.poll() is None, "someone opened the FIFO"
            finally:
                writer.kill()
    assert {b"a", b"b", b"sub"} <= set(names)
    assert not {b"fifo", b"device", b"disk", b"socket", b"link"} & set(names)
    assert coverage(made, WATCH)["status"] == "checked"
    assert compared["changes"] == []


def test_a_device_that_appears_is_described_and_not_opened(engine: Engine, tree: pathlib.Path) -> None:
    engine.apply()
    os.mknod(tree / "b2", 0o666 | stat.S_IFBLK, os.makedev(7, 200))
    with opened_names(tree) as names:
        compared = engine.compare()
    assert b"b2" not in names
    assert _data(compared, tree / "b2")["after"]["device"] == "7:200"


def test_swapping_links_never_leads_outside(engine: Engine, tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("c", "a"):
        (outside / name).write_text("secret")
    engine.apply()
    stop = threading.Event()

    def swap(name: str, target: pathlib.Path) -> None:
        real, link, spare = tree / name, tmp_path / f"link-{target.name}", tmp_path / f"spare-{target.name}"
        while not stop.is_set():
            link.symlink_to(target)
            real.rename(spare)
            link.rename(real)
            time.sleep(0.0005)
            real.unlink()
            spare.rename(real)
            time.sleep(0.0005)

    swappers = [
        threading.Thread(target=swap, args=("sub", outside)),
        threading.Thread(target=swap, args=("a", outside / "a")),
    ]
    for swapper in swappers:
        swapper.start()
    kinds: set[str] = set()
    try:
        with opened_names(outside) as names:
            for _round in range(12):
                compared = engine.compare()
                kinds.update(changes(compared).values())
                assert hashlib.sha256(b"secret").hexdigest() not in json.dumps(compared)
    finally:
        stop.set()
        for swapper in swappers:
            swapper.join()
    assert names == [], "the check followed a link out of the tree"
    assert kinds <= {"deleted", "modified", "replaced_type", "renamed"}


@contextlib.contextmanager
def _being_written(file: pathlib.Path) -> t.Iterator[None]:
    """Keep a file of 32 MiB growing while the block runs, slowly."""
    file.write_bytes(b"x" * (32 << 20))
    stop = threading.Event()

    def grow() -> None:
        with file.open("ab", buffering=0) as stream:
            while not stop.is_set():
                stream.write(b"x" * 512)
                time.sleep(0.001)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def test_a_growing_file_ends(engine: Engine, tree: pathlib.Path) -> None:
    with _being_written(tree / "growing"):
        made = engine.apply()
    assert coverage(made, WATCH)["skipped"] == [
        {"subject": str(tree / "growing"), "reason": "it was changing while it was read"}
    ]
    # What nobody has seen yet is not taken for unchanged once it can be read.
    assert "content" in _first(engine.compare(), tree / "growing")["attributes"]


def test_files_that_vanish_meanwhile_are_no_errors(engine: Engine, tree: pathlib.Path) -> None:
    engine.apply()
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for number in range(50):
                (tree / f"churn{number}").touch()
            for number in range(50):
                (tree / f"churn{number}").unlink()

    worker = threading.Thread(target=churn)
    worker.start()
    try:
        for _round in range(4):
            compared = engine.compare()
            assert coverage(compared, WATCH)["status"] == "checked"
            assert set(changes(compared).values()) <= {"created", "renamed"}
    finally:
        stop.set()
        worker.join()


def test_sparse_files_have_their_true_digest_without_reading_holes(engine: Engine, tree: pathlib.Path) -> None:
    sparse = tree / "sparse"
    with sparse.open("wb") as stream:
        stream.truncate(96 << 20)
        stream.seek(40 << 20)
        stream.write(b"in the middle")
    before = engine.apply()["statistics"]["bytes_read"]
    assert before < 1 << 20
    with sparse.open("r+b") as stream:
        stream.seek(41 << 20)
        stream.write(b"!")
    compared = engine.compare()
    assert compared["statistics"]["bytes_read"] < 1 << 20
    assert _data(compared, sparse)["after"]["content"]["sha256"] == hashlib.sha256(sparse.read_bytes()).hexdigest()


def test_a_hole_of_a_terabyte_takes_no_time_and_is_compared(engine: Engine, tree: pathlib.Path) -> None:
    sparse = tree / "sparse"
    with sparse.open("wb") as stream:
        stream.truncate(1 << 40)
        stream.seek(500 << 30)
        stream.write(b"in the middle")
    with processor.spent() as spent:
        made = engine.apply()
        assert coverage(made, WATCH)["status"] == "checked"
        assert engine.compare()["changes"] == []
        (tree / "new").write_bytes(b"")
        os.truncate(tree / "new", 1 << 40)
        with sparse.open("r+b") as stream:
            stream.seek((700 << 30) + 7)
            stream.write(b"!")
        compared = engine.compare()
    assert spent.seconds < 10
    assert max(result["statistics"]["bytes_read"] for result in (made, compared)) < 1 << 20
    assert set(changes(compared)) == {str(sparse), str(tree / "new")}
    assert "content" in _first(compared, sparse)["attributes"]
    assert list(_data(compared, sparse)["after"]["content"]) == ["sha256-nonzero"]
    assert engine.apply(accept=["all"], reason="x", accepted_by="me")["accepted_count"] == 2
    assert engine.compare()["changes"] == []


@pytest.mark.parametrize("make", ["sparse", "never"])
def test_a_copy_with_other_holes_has_the_same_content(engine: Engine, tree: pathlib.Path, make: str) -> None:
    """However many holes the file had and has: what was recorded says which digest is compared."""
    file, copy = tree / "image", tree.parent / "copy"
    with file.open("wb") as stream:
        stream.truncate(200 << 20)
        stream.seek((70 << 20) + 5)
        stream.write(b"data" * 1000)
    other = {"sparse": "never", "never": "always"}
    if make == "never":
        _run("cp", "--sparse=never", str(file), str(copy))
        copy.replace(file)
    engine.apply()
    _run("cp", f"--sparse={other[make]}", str(file), str(copy))
    copy.replace(file)
    compared = engine.compare()
    assert not {"content", "size"} & set(_first(compared, file)["attributes"])
    with file.open("r+b") as stream:
        stream.seek(150 << 20)
        stream.write(b"!")
    assert "content" in _first(engine.compare(), file)["attributes"]


# A hole that is just small enough to be hashed like any content takes seconds with all of these.
_SLOWLY = {"hashes": list(HASHES)}
_SLOW_SIZE = 127 << 20


@pytest.fixture
def slow(engine: Engine) -> Engine:
    return dataclasses.replace(engine, watches=({**engine.watches[0], **_SLOWLY},))


def _slow(*files: pathlib.Path) -> None:
    """Make files that take seconds to read, as anyone can in an instant."""
    for file in files:
        with file.open("wb") as stream:
            stream.truncate(_SLOW_SIZE)


def test_one_slow_file_is_named_and_the_rest_is_compared(slow: Engine, tree: pathlib.Path) -> None:
    slow.apply()
    _slow(tree / "sub" / "large", tree / "aa")
    (tree / "b").write_text("changed")
    (tree / "sub" / "c").write_text("changed")
    with processor.spent() as spent:
        compared = slow.compare(time_budget=10, workers=1)
    assert spent.seconds < 15
    assert coverage(compared, WATCH)["status"] == "partial"
    skipped = {entry["subject"]: entry["reason"] for entry in coverage(compared, WATCH)["skipped"]}
    assert set(skipped) == {str(tree / "sub" / "large"), str(tree / "aa")}
    assert skipped[str(tree / "aa")].endswith("s that one file may take of the time budget")
    assert set(changes(compared)) == {str(tree / name) for name in ("aa", "b", "sub/c", "sub/large")}


def test_a_slow_file_that_was_read_in_part_is_not_read_twice(slow: Engine, tree: pathlib.Path) -> None:
    _slow(tree / "large")
    slow.apply(time_budget=10)
    os.utime(tree / "large", (1, 1))
    with processor.spent() as spent:
        compared = slow.compare(time_budget=10)
    # A share is one second.
    assert spent.seconds < 3.9
    assert _first(compared, tree / "large")["attributes"] == ["mtime", "ctime"]


@pytest.mark.parametrize("workers", [1, 2])
def test_no_account_can_use_up_the_time_for_everything_else(tmp_path: pathlib.Path, workers: int) -> None:
    theirs, others = tmp_path / "theirs", tmp_path / "others"
    theirs.mkdir()
    files = [theirs / f"{number}.service" for number in range(60)]
    for file in files:
        file.touch()
        os.chown(file, 65534, 65534)
    for number in range(300):
        directory = others / str(number)
        directory.mkdir(parents=True)
        (directory / "file").write_text(str(number))
    watches = tuple({"name": directory.name, "paths": [str(directory)], **_SLOWLY} for directory in (theirs, others))
    engine = Engine(tmp_path / "state", watches, common={"workers": workers})
    engine.apply()
    _slow(*files)
    (others / "0" / "file").write_text("changed")
    with processor.spent() as spent:
        compared = engine.compare(time_budget=10)
    assert coverage(compared, "others")["status"] == "checked"
    assert changes(compared)[str(others / "0" / "file")] == "modified"
    left_out = coverage(compared, "theirs")
    assert left_out["skipped_count"] == len(files)
    assert "sparse files of user 65534 take longer than" in json.dumps(left_out)
    assert spent.seconds < 5


def test_the_time_budget_bounds_many_slow_files(slow: Engine, tree: pathlib.Path) -> None:
    slow.apply()
    _slow(*(tree / "sub" / f"large{number}" for number in range(9)))
    with processor.spent() as spent:
        compared = slow.compare(time_budget=3)
    # Each of the nine may take a second.
    assert spent.seconds < 8
    skipped = coverage(compared, WATCH)["skipped"]
    assert {"subject": str(tree / "sub"), "reason": "the time budget of 3 s was used up"} in skipped
    # What was left out is neither deleted nor clean.
    assert "deleted" not in changes(compared).values()


def test_a_baseline_cut_short_is_completed_by_the_next_run(slow: Engine, tree: pathlib.Path) -> None:
    files = [tree / "sub" / f"large{number}" for number in range(9)]
    _slow(*files)
    # Each of the nine may take a second. A busy machine needs some of the budget before it comes to them.
    made = slow.apply(time_budget=4)
    assert coverage(made, WATCH)["status"] == "partial"
    compared = slow.compare()
    gaps = {entry["subject"]: entry["reason"] for entry in coverage(compared, WATCH)["skipped"]}
    assert gaps[str(tree / "sub")] == "it is not in the baseline: the time budget of 4 s was used up"
    assert compared["changes"] == []
    for file in files:
        file.unlink()
    assert slow.apply()["changed"]
    assert coverage(slow.compare(), WATCH)["status"] == "checked"
    assert not slow.apply()["changed"]


def test_a_hundred_thousand_files_in_one_directory(tmp_path: pathlib.Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        root = pathlib.Path(name)
        for number in range(100_000):
            os.close(os.open(root / f"file-{number}", os.O_CREAT | os.O_WRONLY))
        engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [name]},))
        assert coverage(engine.apply(), WATCH)["examined"] == 100_001
        (root / "file-54321").write_text("x")
        (root / "file-99999").unlink()
        compared = engine.compare()
        assert changes(compared) == {str(root / "file-54321"): "modified", str(root / "file-99999"): "deleted"}
        assert coverage(compared, WATCH)["examined"] == 100_000


@pytest.mark.parametrize(
    ("name", "levels", "reason"),
    [
        ("d", 400, "it is nested deeper than 256 directories"),
        ("\x01" * 250, 100, "its path is longer than 4096 bytes"),
    ],
)
def test_a_deep_tree_is_bounded_and_said(tmp_path: pathlib.Path, name: str, levels: int, reason: str) -> None:
    root = tmp_path / "deep"
    root.mkdir()
    engine = Engine(tmp_path / "state", ({"name": WATCH, "paths": [str(root)]},))
    engine.apply()
    current = os.open(root, os.O_RDONLY)
    for _level in range(levels):
        os.mkdir(name, dir_fd=current)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=current))
        following = os.open(name, os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = following
    os.close(current)
    compared = engine.compare()
    (gap,) = coverage(compared, WATCH)["skipped"]
    assert gap["reason"] == reason
    # Whatever a user makes, the controller must be able to keep it: one subject that it refuses loses all findings.
    host = events.Device("host")
    found = events.findings(compared["detections"], catalogue.load(), host, 0.0)
    assert len(found) == len(compared["detections"]) > 10
    assert not [event for event in found if "notes" in event["unmapped"]]


def test_without_root_what_cannot_be_read_is_said() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        root.chmod(0o755)
        (root / "open").write_text("x")
        (root / "secret").write_text("x")
        (root / "secret").chmod(0o600)
        (root / "closed").mkdir(mode=0o700)
        state = root / "state"
        state.mkdir(mode=0o700)
        os.chown(state, 65534, 65534)
        engine = Engine(state, ({"name": WATCH, "paths": [name], "exclude": [str(state)]},), as_nobody=True)
        engine.apply()
        (root / "open").write_text("changed")
        compared = engine.compare()
        assert changes(compared) == {str(root / "open"): "modified"}
        reasons = {entry["subject"]: entry["reason"] for entry in coverage(compared, WATCH)["skipped"]}
        advice = "Permission denied; run as root (become: true, or sudo make scan)"
        assert reasons[str(root / "secret")] == f"it cannot be opened: {advice}"
        assert reasons[str(root / "closed")].endswith(advice)
        assert stat.S_IMODE((state / "file_integrity").stat().st_mode) == 0o700


def test_a_worker_that_dies_is_no_clean_result(slow: Engine, tree: pathlib.Path) -> None:
    slow.apply()
    _slow(*(tree / "sub" / f"large{number}" for number in range(4)))
    process = slow.start_compare(workers=1, time_budget=120)
    worker = _child_of(process.pid)
    until(lambda: any(name.startswith(str(tree / "sub" / "large")) for name in open_files(worker)))
    os.kill(worker, signal.SIGKILL)
    compared = slow.finish(process)
    scope = coverage(compared, WATCH)
    assert scope["status"] == "partial"
    reasons = {entry["subject"]: entry["reason"] for entry in scope["skipped"]}
    assert reasons[str(tree / "sub")] == "the process that read it was ended by signal 9 (out of memory?)"


def _child_of(pid: int) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if found:
            return int(found[0])
        time.sleep(0.01)
    raise AssertionError("no worker was started")


def test_many_changes_are_counted_and_the_worst_are_listed(engine: Engine, tree: pathlib.Path) -> None:
    engine.apply()
    for number in range(300):
        (tree / f"new{number}").touch()
    (tree / "a").chmod(0o4755)
    compared = engine.compare(max_changes=10)
    assert compared["changes_count"] == 301
    assert len(compared["changes"]) == 10
    assert compared["changes"][0]["path"] == str(tree / "a")
    (mass,) = [detection for detection in compared["detections"] if detection["alert"] == "fim_mass_change"]
    assert mass["evidences"][0]["data"]["by_kind"] == {"created": 300, "modified": 1}
    # Findings that aren't listed must not be taken for resolved.
    assert coverage(compared, WATCH)["status"] == "partial"


# The baseline and its seal


def _digest(result: t.Mapping[str, t.Any]) -> str:
    return t.cast("str", result["baseline"]["digest"])


def test_the_controllers_seal(engine: Engine) -> None:
    digest = _digest(engine.apply())
    sealed = engine.compare(_expected_digests=[digest])
    assert coverage(sealed, "baseline_seal")["status"] == "checked"
    assert sealed["detections"] == []
    assert "note" not in coverage(sealed, "baseline_seal")


def test_a_first_baseline_is_taken_for_sealed_and_says_so(engine: Engine) -> None:
    made = engine.apply(_phase="stage", _expected_digests=[])
    seal = coverage(made, "baseline_seal")
    assert (seal["status"], seal["note"]) == (
        "checked",
        "A baseline was taken: the host as it is now is what later scans compare it with.",
    )


def test_a_baseline_that_the_controller_knows_nothing_of_is_neither_believed_nor_changed(
    engine: Engine, tree: pathlib.Path
) -> None:
    engine.apply()
    (tree / "a").write_text("changed")
    before = engine.file.read_bytes()
    unsealed = engine.compare(_expected_digests=[])
    # What is there can be looked at, and proves nothing.
    assert changes(unsealed) == {str(tree / "a"): "modified"}
    assert {entry["status"] for entry in unsealed["coverage"]} == {"not_checked"}
    reason = coverage(unsealed, WATCH)["reason"]
    assert "the controller holds no seal for the baseline on the host" in reason
    assert "state=absent" in reason
    assert not unsealed["packages_changed"]

    other = {"name": "other", "paths": ["/etc/hostname"]}
    for watches in (list(engine.watches), [*engine.watches, other]):
        for check in (False, True):
            kept = engine.apply(check, watches=watches, _expected_digests=[], _phase="stage")
            assert (kept["changed"], kept["created"], kept["warnings"]) == (False, False, [reason])
            assert {entry["status"] for entry in kept["coverage"]} == {"not_checked"}
            assert "staged_digest" not in kept
    for wanted in (["all"], ["explained"]):
        refused = engine.try_apply(accept=wanted, reason="x", accepted_by="me", _expected_digests=[])
        assert (refused["failed"], refused["msg"]) == (True, reason)
    assert engine.file.read_bytes() == before

    # The way out.
    assert engine.apply(state="absent", _expected_digests=[])["changed"]
    assert engine.apply(_expected_digests=[])["created"]
    assert engine.compare()["changes"] == []


def _edit(file: pathlib.Path, old: bytes, new: bytes) -> None:
    content = file.read_bytes()
    assert content.count(old) >= 1
    assert len(old) == len(new)
    file.write_bytes(content.replace(old, new))


def _put(file: pathlib.Path, kind: str) -> None:
    """Put something that isn't a file in a file's place."""
    file.unlink()
    if kind == "fifo":
        os.mkfifo(file)
    else:
        file.symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda file: _edit(file, b'"recurse":-1', b'"recurse": 0'), id="header"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:-200]), id="cut off"),
        pytest.param(lambda file: file.write_bytes(b""), id="emptied"),
        pytest.param(lambda file: _put(file, "link"), id="link"),
        pytest.param(lambda file: _put(file, "fifo"), id="fifo"),
    ],
)
def test_an_edited_baseline_is_an_alert_and_nothing_counts_as_checked(
    engine: Engine, edit: t.Callable[[pathlib.Path], t.Any]
) -> None:
    digest = _digest(engine.apply())
    edit(engine.file)
    compared = engine.compare(_expected_digests=[digest], watches=list(engine.watches))
    assert [detection["alert"] for detection in compared["detections"]] == ["fim_baseline_tampered"]
    assert {entry["scope"]: entry["status"] for entry in compared["coverage"]} == {
        WATCH: "not_checked",
        "baseline_seal": "not_checked",
    }
    kept = engine.apply(_expected_digests=[digest])
    assert not kept["changed"]
    assert [detection["alert"] for detection in kept["detections"]] == ["fim_baseline_tampered"]
    refused = engine.try_apply(accept=["all"], reason="x", accepted_by="x", _expected_digests=[digest])
    assert refused["failed"]
    # One sentence, whatever number of watches there are.
    assert set(refused) == {"changed", "created", "baseline", "failed", "msg"}
    # The way out.
    assert engine.apply(state="absent")["changed"]
    assert engine.apply()["changed"]


def test_a_whole_forged_baseline_is_found_by_its_seal(engine: Engine, tree: pathlib.Path) -> None:
    digest = _digest(engine.apply())
    (tree / "a").write_text("trojan")
    forged = dataclasses.replace(engine, state=engine.state.with_name("forged"))
    forged.apply()
    shutil.copy(forged.file, engine.file)
    assert engine.compare()["changes"] == []
    compared = engine.compare(_expected_digests=[digest])
    (found,) = compared["detections"]
    assert found["alert"] == "fim_baseline_tampered"
    assert found["scope"] == "baseline_seal"
    assert found["evidences"][0]["data"] == {"expected_digests": [digest], "digest": _digest(engine.compare())}


def test_an_edited_block_is_found_when_it_is_used(engine: Engine, tree: pathlib.Path) -> None:
    digest = _digest(engine.apply())
    (tree / "a").write_text("trojan")
    old, new = hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"trojan").hexdigest()
    _edit(engine.file, old.encode(), new.encode())
    compared = engine.compare(_expected_digests=[digest])
    assert [detection["alert"] for detection in compared["detections"]] == ["fim_baseline_tampered"]
    reasons = {entry["subject"]: entry["reason"] for entry in coverage(compared, WATCH)["skipped"]}
    assert reasons == {str(tree): "a part of the baseline on the host does not match its seal"}
    assert coverage(compared, "baseline_seal")["status"] == "not_checked"


def test_a_removed_baseline_is_not_silently_made_anew(engine: Engine) -> None:
    digest = _digest(engine.apply())
    engine.file.unlink()
    compared = engine.compare(_expected_digests=[digest], watches=list(engine.watches))
    assert [detection["alert"] for detection in compared["detections"]] == ["fim_baseline_removed"]
    assert coverage(compared, WATCH)["status"] == "not_checked"
    kept = engine.apply(_expected_digests=[digest])
    assert not kept["changed"]
    assert kept["warnings"]
    assert not engine.file.exists()


def test_without_a_seal_damage_is_an_error_of_its_own(engine: Engine) -> None:
    assert "there is no baseline yet" in coverage(engine.compare(), "file_integrity")["reason"]
    engine.apply()
    whole = engine.file.read_bytes()
    for content, message in (
        (whole[:-10], "is damaged: its end is missing"),
        (b"something else\n" * 100, "is not a baseline of this collection"),
        (whole.replace(b"bulwark file integrity 1", b"bulwark file integrity 9"), "is damaged: its digest is not"),
        (whole.replace(b'"recurse":-1', b'"recurse": 0'), "is damaged: its digest is not"),
    ):
        engine.file.write_bytes(content)
        compared = engine.compare()
        assert message in coverage(compared, "file_integrity")["reason"]
        assert compared["detections"] == []
        assert message in engine.try_apply()["msg"]


# Accepting


def test_accepting_takes_exactly_what_was_reviewed(engine: Engine, tree: pathlib.Path) -> None:
    engine.apply()
    (tree / "a").write_text("reviewed")
    (tree / "b").write_text("reviewed")
    reviewed = {change["path"]: change["id"] for change in engine.compare()["changes"]}
    ids = [reviewed[str(tree / "a")], reviewed[str(tree / "b")]]
    (tree / "b").write_text("changed since")
    before = engine.file.read_bytes()
    refused = engine.try_apply(accept=ids, reason="CHG-1", accepted_by="me")
    assert reviewed[str(tree / "b")] in refused["msg"]
    assert reviewed[str(tree / "a")] not in refused["msg"]
    assert engine.file.read_bytes() == before
    accepted = engine.apply(accept=ids[:1], reason="CHG-1", accepted_by="me")
    assert accepted["accepted"] == [{"id": ids[0], "path": str(tree / "a"), "kind": "modified", "explained": False}]
    assert changes(engine.compare()) == {str(tree / "b"): "modified"}
    assert engine.apply(accept=[str(tree / "b")], reason="CHG-2", accepted_by="me")["accepted_count"] == 1
    assert engine.compare()["changes"] == []
    assert (
        b'"by":"me","count":1,"paths":["' + os.fsencode(tree / "a") + b'"],"reason":"CHG-1"' in engine.file.read_bytes()
    )


def test_accepting_every_kind_of_change(engine: Engine, tree: pathlib.Path) -> None:
    engine.apply()
    (tree / "new" / "sub" / "empty").mkdir(parents=True)
    (tree / "new" / "file").touch()
    shutil.rmtree(tree / "sub")
    (tree / "b").rename(tree / "renamed")
    (tree / "link").unlink()
    (tree / "link").mkdir()
    (tree / "link" / "inside").touch()
    assert engine.apply(check=True, accept=["all"], reason="x", accepted_by="me")["accepted_count"] == 11
    accepted = engine.apply(accept=["all"], reason="x", accepted_by="me")
    assert accepted["changed"]
    assert accepted["accepted_count"] == 11
    assert engine.compare()["changes"] == []
    (tree / "new" / "sub" / "empty" / "later").touch()
    assert changes(engine.compare()) == {str(tree / "new" / "sub" / "empty" / "later"): "created"}
    assert not engine.apply(accept=["explained"], reason="x", accepted_by="me")["changed"]


def test_accepting_needs_a_reason_and_a_name(engine: Engine) -> None:
    engine.apply()
    assert "reason is missing" in engine.try_apply(accept=["all"], accepted_by="me")["msg"]
    assert "accepted_by is missing" in engine.try_apply(accept=["all"], reason="x")["msg"]


def test_check_mode_changes_nothing_and_shows_the_difference(engine: Engine, tree: pathlib.Path) -> None:
    assert engine.apply(check=True)["changed"]
    assert not engine.state.exists()
    engine.apply()
    assert not engine.apply(check=True)["changed"]
    (tree / "a").chmod(0o4755)
    before = engine.file.read_bytes()
    preview = engine.apply(check=True, accept=["all"], reason="x", accepted_by="me")
    assert preview["changed"]
    assert "mode=0644 rw-r--r--" in preview["diff"]["before"]
    assert "mode=4755 rwsr-xr-x" in preview["diff"]["after"]
    assert engine.apply(check=True, state="absent")["changed"]
    assert engine.file.read_bytes() == before


def test_content_that_could_not_be_read_is_not_accepted(engine: Engine, tree: pathlib.Path) -> None:
    engine.apply()
    with _being_written(tree / "a"):
        refused = engine.try_apply(accept=[str(tree / "a")], reason="x", accepted_by="me")
        all_others = engine.apply(accept=["all"], reason="x", accepted_by="me")
    assert "could not be read" in refused["msg"]
    assert all_others["accepted_count"] == 0
    assert changes(engine.compare()) == {str(tree / "a"): "modified"}


# Other watches


def test_extending_does_not_accept_what_is_waiting(engine: Engine, tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    engine.apply()
    (tree / "a").write_text("waiting")
    (tree / "created").touch()
    (tree / "b").unlink()
    waiting = changes(engine.compare())
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").touch()
    wider = ({"name": WATCH, "paths": [str(tree), str(other)], "hashes": ["sha256", "sha512"]},)
    asked = engine.compare(watches=list(wider))
    assert coverage(asked, WATCH)["status"] == "partial"
    assert "its definition changed" in coverage(asked, WATCH)["skipped"][-1]["reason"]
    added = ({"name": "second", "paths": [str(other)]},)
    assert coverage(engine.compare(watches=[*engine.watches, *added]), "second")["status"] == "not_checked"
    assert engine.apply(watches=list(wider))["changed"]
    assert changes(engine.compare()) == waiting
    assert not engine.apply(watches=list(wider))["changed"]
    (other / "file").write_text("x")
    (tree / "sub" / "c").write_text("x")
    compared = engine.compare()
    assert changes(compared) == {
        **waiting,
        str(other / "file"): "modified",
        str(tree / "sub" / "c"): "modified",
    }
    # An entry that had not changed was brought to the new form, one that had was not.
    assert "sha512" in _data(compared, tree / "sub" / "c")["before"]["content"]
    assert "sha512" not in _data(compared, tree / "a")["before"]["content"]


def test_an_extension_says_which_watches_it_is_for(tmp_path: pathlib.Path, tree: pathlib.Path) -> None:
    one, two, three = ({"name": name, "paths": [str(tree / name)]} for name in ("a", "b", "sub"))
    engine = Engine(tmp_path / "state", (one, two))
    engine.apply()
    extended = engine.apply(watches=[{**one, "recurse": 1}, three])
    assert extended["baseline"]["reason"] == "Watches added: sub. Watches removed: b. Watches changed: a."
    assert [extended[f"watches_{kind}"] for kind in ("added", "removed", "changed")] == [["sub"], ["b"], ["a"]]
    assert engine.apply(watches=[one], reason="CHG-1")["baseline"]["reason"] == "CHG-1"


def test_an_extension_says_what_was_accepted_without_a_comparison(tmp_path: pathlib.Path, tree: pathlib.Path) -> None:
    other = tmp_path / "other"
    (other / "deep").mkdir(parents=True)
    (other / "file").touch()
    one, two = ({"name": name, "paths": [str(path)]} for name, path in (("one", tree), ("two", other)))
    engine = Engine(tmp_path / "state", (one,))
    # The note of a first baseline covers all of it.
    assert "warnings" not in engine.apply()
    (tree / "created").touch()
    # The directory is an entry, too. What waits in the other watch is not accepted.
    extended = engine.apply(watches=[one, two])
    assert extended["warnings"] == [ADDED % "3 of watch 'two'"]
    assert coverage(extended, "two")["note"] == "New entries in the baseline, accepted without a comparison: 3"
    assert "note" not in coverage(extended, "one")
    compared = engine.compare()
    assert changes(compared) == {str(tree / "created"): "created"}
    assert "note" not in coverage(compared, "two")
    assert "warnings" not in engine.apply(watches=[one, two])
    assert "warnings" not in engine.apply(watches=[one])
    # What came while the watch was off is accepted with the rest, and that is said again.
    (other / "deep" / "meanwhile").touch()
    assert engine.apply(watches=[one, two])["warnings"] == [ADDED % "4 of watch 'two'"]
    # Of a watch that reaches further, only what it did not reach before.
    (other / "deep" / "deeper").mkdir()
    (other / "deep" / "deeper" / "x").touch()
    shallow = {**two, "recurse": 1}
    assert "warnings" not in engine.apply(watches=[one, shallow])
    assert engine.apply(watches=[one, two])["warnings"] == [ADDED % "3 of watch 'two'"]


@contextlib.contextmanager
def _locked(file: pathlib.Path) -> t.Iterator[None]:
    with file.with_name("default.lock").open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _read_only(file: pathlib.Path) -> t.Iterator[None]:
    directory = str(file.parent)
    with _mounted("--bind", directory, directory):
        _run("mount", "-o", "remount,bind,ro", directory)
        yield


@pytest.mark.parametrize("hold", [_locked, _read_only])
def test_a_state_that_cannot_be_written_hinders_no_comparison(
    engine: Engine, tree: pathlib.Path, hold: t.Callable[[pathlib.Path], contextlib.AbstractContextManager[None]]
) -> None:
    engine.apply()
    (tree / "a").write_text("changed")
    wider = [*engine.watches, {"name": "other", "paths": ["/etc/hostname"]}]
    with hold(engine.file):
        assert changes(engine.compare()) == {str(tree / "a"): "modified"}
        # What is as it should be needs no lock.
        assert "warnings" not in engine.apply(lock_timeout=0)
        # What can't be extended now can be compared all the same, and the rest is said.
        kept = engine.apply(watches=wider, lock_timeout=0)
        assert (kept["changed"], kept["created"], kept["baseline"]["exists"]) == (False, False, True)
        assert len(kept["warnings"]) == 1
        assert str(engine.file.parent) in kept["warnings"][0]
        assert coverage(kept, "other")["status"] == "not_checked"
        compared = engine.compare(watches=wider)
        assert coverage(compared, "other")["status"] == "not_checked"
        assert changes(compared) == {str(tree / "a"): "modified"}
        refused = engine.try_apply(accept=["all"], reason="x", accepted_by="me", lock_timeout=0)
        assert str(engine.file.parent) in refused["msg"]
    assert engine.apply(watches=wider)["changed"]


def test_dropping_and_splitting_watches(tmp_path: pathlib.Path, tree: pathlib.Path) -> None:
    one = {"name": "one", "paths": [str(tree)]}
    two = {"name": "two", "paths": [str(tree / "sub")]}
    engine = Engine(tmp_path / "state", (one,))
    engine.apply()
    (tree / "sub" / "c").write_text("waiting")
    engine.apply(watches=[one, two])
    assert [(change["path"], change["watch"]) for change in engine.compare()["changes"]] == [
        (str(tree / "sub" / "c"), "two")
    ]
    engine.apply(watches=[two])
    (tree / "a").write_text("not watched any more")
    compared = engine.compare()
    assert set(changes(compared)) == {str(tree / "sub" / "c")}
    assert compared["baseline"]["watches"] == ["two"]


@pytest.mark.parametrize(
    ("watch", "message"),
    [
        ({"name": "x", "paths": []}, "watch 'x' has no paths"),
        ({"name": "x", "paths": ["etc"]}, "watch 'x', paths: 'etc' is not absolute"),
        ({"name": "x", "paths": ["/a/../b"]}, "has the component '..'"),
        ({"name": "x", "paths": ["/a"], "exclude": ["a/b"]}, "watch 'x', exclude: 'a/b' is not absolute"),
        ({"name": "x", "paths": ["/srv/[a"]}, "watch 'x', paths: '/srv/[a' has a [ that is not closed"),
        ({"name": "x", "paths": ["/a"], "exclude": ["[!]"]}, "watch 'x', exclude: '[!]' has a [ that is not closed"),
        ({"name": "x", "paths": ["/a"], "recurse": -2}, "watch 'x': recurse is -2"),
        ({"name": WATCH, "paths": ["/a"]}, f"two watches are named '{WATCH}'"),
    ],
)
def test_wrong_watches_are_named(engine: Engine, watch: dict[str, t.Any], message: str) -> None:
    assert message in engine.try_apply(watches=[*engine.watches, watch])["msg"]


def test_a_watch_of_ones_own_that_matches_nothing_is_not_checked(engine: Engine, tree: pathlib.Path) -> None:
    nowhere = {"name": "typo", "paths": [str(tree / "nonexistent"), str(tree / "[[]b*")]}
    engine = dataclasses.replace(engine, watches=(*engine.watches, nowhere, {**nowhere, "name": "default"}))
    for result in (engine.apply(_default_names=["default"]), engine.compare(_default_names=["default"])):
        assert coverage(result, WATCH)["status"] == coverage(result, "default")["status"] == "checked"
        unmatched = coverage(result, "typo")
        assert unmatched["status"] == "partial"
        assert [entry["subject"] for entry in unmatched["skipped"]] == nowhere["paths"]
        assert "nothing on the host matches it" in unmatched["skipped"][0]["reason"]
    # What comes later is found, and settles it.
    (tree / "[b").touch()
    found = engine.compare(_default_names=["default"])
    assert changes(found) == {str(tree / "[b"): "created"}
    assert "nothing on the host matches it" not in json.dumps(coverage(found, WATCH))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("workers", 0, "workers is 0; use 1 or more"),
        ("time_budget", -1, "time_budget is -1; use 0 or more"),
        ("max_changes", -1, "max_changes is -1; use 0 or more"),
    ],
)
def test_wrong_numbers_are_named(engine: Engine, option: str, value: int, message: str) -> None:
    assert engine.try_apply(**{option: value})["msg"] == message
    assert engine.try_compare(**{option: value})["msg"] == message


# Two phases


def test_staging_and_committing(engine: Engine, tree: pathlib.Path) -> None:
    staged = engine.apply(_phase="stage")
    assert not engine.file.exists()
    committed = engine.apply(_phase="commit", _digest=staged["staged_digest"])
    assert committed["changed"]
    assert _digest(committed) == staged["staged_digest"]
    again = engine.apply(_phase="commit", _digest=staged["staged_digest"])
    assert not again["changed"]
    (tree / "a").write_text("x")
    accept: dict[str, t.Any] = {"accept": ["all"], "reason": "x", "accepted_by": "me"}
    second = engine.apply(_phase="stage", **accept)
    assert changes(engine.compare()) == {str(tree / "a"): "modified"}
    assert engine.apply(_phase="abort")["changed"]
    assert "not there any more" in engine.try_apply(_phase="commit", _digest=second["staged_digest"])["msg"]
    third = engine.apply(_phase="stage", **accept)
    staged_file = engine.file.with_name("default.staged")
    content = staged_file.read_bytes()
    # As if the run that staged it had ended long ago; the next one would wait for it.
    os.utime(staged_file, (0, 0))
    engine.apply(**accept)
    staged_file.write_bytes(content)
    refused = engine.try_apply(_phase="commit", _digest=third["staged_digest"])
    assert "the baseline changed since" in refused["msg"]
    assert engine.compare()["changes"] == []


# Durability


def test_a_full_disk_leaves_the_old_baseline_whole(tmp_path: pathlib.Path, tree: pathlib.Path) -> None:
    state = tmp_path / "small"
    state.mkdir(mode=0o700)
    with _mounted("-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(state)):
        engine = Engine(state, ({"name": WATCH, "paths": [str(tree)]},))
        engine.apply()
        before = engine.file.read_bytes()
        for number in range(2000):
            (tree / f"{number:0200}").touch()
        refused = engine.try_apply(accept=["all"], reason="x", accepted_by="me")
        assert "no space left to write" in refused["msg"]
        assert engine.file.read_bytes() == before
        assert sorted(entry.name for entry in engine.file.parent.iterdir()) == ["default.baseline", "default.lock"]
        assert engine.compare()["changes_count"] == 2000
        engine.apply(state="absent")
        assert "no space left to write" in engine.try_apply()["msg"]
        assert [entry.name for entry in engine.file.parent.iterdir()] == ["default.lock"]


def test_a_full_disk_while_syncing(ext4: pathlib.Path, tree: pathlib.Path) -> None:
    engine = Engine(ext4 / "state", ({"name": WATCH, "paths": [str(tree)]},))
    engine.apply()
    before = engine.file.read_bytes()
    for number in range(3000):
        (tree / f"{number:0200}").touch()
    filler = ext4 / "filler"
    with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"x" * 4096)
    try:
        refused = engine.try_apply(accept=["all"], reason="x", accepted_by="me")
        assert "no space left to write" in refused["msg"]
        assert engine.file.read_bytes() == before
    finally:
        filler.unlink()
    assert engine.apply(accept=["all"], reason="x", accepted_by="me")["accepted_count"] == 3000
    assert engine.compare()["changes"] == []


# As many are killed, and more only where none of them, or all of them, had replaced the baseline.
_KILLS = 6


def test_a_kill_at_any_moment_leaves_a_whole_baseline(engine: Engine, tree: pathlib.Path) -> None:
    for number in range(4000):
        (tree / f"file{number}").write_text(str(number))
    engine.apply()
    temporary = engine.file.with_name(".default.staged.tmp")
    old = engine.file.read_bytes()
    outcomes = {"old": 0, "new": 0}
    # Seconds from the first byte to the kill: drawn to the moment of the replacement, however loaded the machine is.
    delay = 0.02
    for number in range(16):
        if number >= _KILLS and min(outcomes.values()) >= 1:
            break
        (tree / "a").write_text(str(number))
        process = engine.start_apply(accept=["all"], reason="x", accepted_by="me")
        while process.poll() is None and not temporary.exists():
            time.sleep(0.0002)
        time.sleep(delay)
        process.kill()
        process.communicate()
        new = engine.file.read_bytes()
        outcomes["old" if new == old else "new"] += 1
        delay *= 1.7 if new == old else 0.5
        assert changes(engine.compare()) == ({str(tree / "a"): "modified"} if new == old else {})
        old = new
    assert min(outcomes.values()) >= 1, outcomes
    (tree / "a").write_text("last")
    engine.apply(accept=["all"], reason="x", accepted_by="me")
    assert sorted(entry.name for entry in engine.file.parent.iterdir()) == ["default.baseline", "default.lock"]


def test_two_at_once(engine: Engine, tree: pathlib.Path) -> None:
    for number in range(2000):
        (tree / f"file{number}").write_text(str(number))
    makers = [engine.start_apply() for _number in range(2)]
    made = [engine.finish(maker) for maker in makers]
    assert sorted(result["changed"] for result in made) == [False, True]
    (tree / "a").write_text("x")
    processes = [engine.start_compare() for _number in range(3)]
    writer = engine.start_apply(accept=["all"], reason="x", accepted_by="me")
    assert engine.finish(writer)["accepted_count"] == 1
    for process in processes:
        # Whichever baseline a check met, it met a whole one.
        assert set(changes(engine.finish(process))) <= {str(tree / "a")}
    assert engine.compare()["changes"] == []


def test_a_writer_waits_for_another_and_says_when_it_gives_up(slow: Engine, tree: pathlib.Path) -> None:
    _slow(*(tree / f"large{number}" for number in range(4)))
    writing = slow.start_apply(time_budget=80)
    _child_of(writing.pid)
    refused = slow.try_apply(lock_timeout=1)
    assert "another run is writing in" in refused["msg"]
    assert "lock_timeout" in refused["msg"]
    assert slow.finish(writing)["changed"]


def test_a_writer_waits_until_another_controller_has_sealed(engine: Engine, tree: pathlib.Path) -> None:
    staged = engine.apply(_phase="stage")
    second = engine.start_apply(_phase="stage", lock_timeout=20)
    time.sleep(1)
    assert second.poll() is None
    assert engine.apply(_phase="commit", _digest=staged["staged_digest"])["changed"]
    assert not engine.finish(second)["changed"]
    (tree / "a").write_text("changed")
    taken: dict[str, t.Any] = {"accept": ["all"], "reason": "x", "accepted_by": "me", "_phase": "stage"}
    staged = engine.apply(**taken)
    refused = engine.try_apply(**taken, lock_timeout=1)
    assert refused["msg"].startswith("another run is sealing a new baseline in ")
    assert "lock_timeout" in refused["msg"]
    # One whose controller was cut off holds up nobody for long.
    long_ago = time.time() - 60
    os.utime(engine.file.with_name("default.staged"), (long_ago, long_ago))
    assert engine.apply(**taken, lock_timeout=0)["staged_digest"]


def _directory(path: pathlib.Path, mode: int = 0o700, owner: int = 0) -> None:
    path.mkdir()
    path.chmod(mode)
    os.chown(path, owner, owner)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.symlink_to("/tmp"), "is a symbolic link"),
        (lambda path: _directory(path, mode=0o770), "can be written by its group"),
        (lambda path: _directory(path, owner=65534), "belongs to user 65534"),
        (lambda path: path.write_text(""), "is a symbolic link or no directory"),
    ],
)
def test_a_state_directory_that_others_control_is_refused(
    engine: Engine, spoil: t.Callable[[pathlib.Path], t.Any], message: str
) -> None:
    spoil(engine.state)
    assert message in engine.try_apply()["msg"]
    assert message in coverage(engine.compare(), "file_integrity")["reason"]
    # Where a sealed baseline was, it is there for a reason.
    for result in (engine.apply(_expected_digests=["0" * 64]), engine.compare(_expected_digests=["0" * 64])):
        (found,) = result["detections"]
        assert (found["alert"], message in found["message"]) == ("fim_baseline_tampered", True)
    assert engine.try_apply(accept=["all"], reason="x", accepted_by="x", _expected_digests=["0" * 64])["failed"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: _directory(path, owner=65534), "belongs to user 65534"),
        (lambda path: _directory(path, mode=0o777), "can be written by others"),
        (lambda path: (_directory(path, mode=0o770), os.chown(path, 0, 65534)), "can be written by group 65534"),
    ],
)
@pytest.mark.parametrize("below", ["state", "not/there/yet", "made"])
def test_a_state_directory_below_one_that_others_control_is_refused(
    engine: Engine, tmp_path: pathlib.Path, spoil: t.Callable[[pathlib.Path], t.Any], message: str, below: str
) -> None:
    spoil(tmp_path / "own")
    if below == "made":
        (tmp_path / "own" / "made").mkdir(mode=0o700)
    engine = dataclasses.replace(engine, state=tmp_path / "own" / below)
    assert message in engine.try_apply()["msg"]
    assert message in coverage(engine.compare(), "file_integrity")["reason"]
    assert not (tmp_path / "own" / "not").exists()


def test_a_state_directory_is_reached_through_links_of_root_only(engine: Engine, tmp_path: pathlib.Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to("real")
    engine = dataclasses.replace(engine, state=link / "state")
    assert engine.apply()["changed"]
    assert (tmp_path / "real" / "state").is_dir()
    os.chown(link, 65534, 65534, follow_symlinks=False)
    assert "is a symbolic link, which is not followed" in engine.try_apply()["msg"]
    link.unlink()
    _directory(tmp_path / "own", owner=65534)
    (tmp_path / "own" / "real").mkdir()
    for target in ("own/real", "own/../real", str(tmp_path / "own" / "real")):
        link.symlink_to(target)
        assert "belongs to user 65534" in engine.try_apply()["msg"]
        link.unlink()
    (tmp_path / "own" / "away").symlink_to(tmp_path / "real")
    link.symlink_to("own/away")
    assert "belongs to user 65534" in engine.try_apply()["msg"]


def test_a_relative_state_directory_is_refused(engine: Engine) -> None:
    for refused in (engine.try_apply(state_dir="some/where"), engine.try_compare(state_dir="some/where")):
        assert refused["msg"] == "state_dir 'some/where' is relative; give an absolute path"


def test_a_read_only_state_directory_says_what_to_do(tmp_path: pathlib.Path, tree: pathlib.Path) -> None:
    state = tmp_path / "small"
    state.mkdir(mode=0o700)
    with _mounted("-t", "tmpfs", "-o", "mode=700", "tmpfs", str(state)):
        engine = Engine(state, ({"name": WATCH, "paths": [str(tree)]},))
        engine.apply()
        (tree / "a").write_text("changed")
        _run("mount", "-o", "remount,ro", str(state))
        refused = engine.try_apply(accept=["all"], reason="x", accepted_by="me")
        assert "Read-only file system: make it writable" in refused["msg"]


# Targets


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.11", "3.13"])
def test_every_supported_python(engine: Engine, tree: pathlib.Path, version: str) -> None:
    require(f"python:{version}")
    python = commands.python(version)
    assert python is not None
    engine = dataclasses.replace(engine, python=python)
    digest = _digest(engine.apply())
    (tree / "a").write_text("changed")
    os.mkfifo(tree / "fifo")
    compared = engine.compare(_expected_digests=[digest])
    assert changes(compared) == {str(tree / "a"): "modified", str(tree / "fifo"): "created"}
    assert engine.apply(accept=["all"], reason="x", accepted_by="me")["accepted_count"] == 2
    assert engine.compare(rehash="changed")["changes"] == []


def test_a_baseline_is_the_same_for_every_python(engine: Engine) -> None:
    require("python:3.8", "python:3.13")
    engine.apply()
    for version in ("3.8", "3.13"):
        other = dataclasses.replace(engine, python=t.cast("str", commands.python(version)))
        assert other.compare()["changes"] == []


_NOT_THE_SIZE = {"name": WATCH, "attributes": ["type", "mode", "owner", "group", "content"]}


def test_zeros_at_the_end_of_a_sparse_file_are_content(engine: Engine, tree: pathlib.Path) -> None:
    engine = dataclasses.replace(engine, watches=({**_NOT_THE_SIZE, "paths": [str(tree)]},))
    (tree / "image").write_bytes(b"data")
    os.truncate(tree / "image", 200 << 20)
    engine.apply()
    os.truncate(tree / "image", 300 << 20)
    assert _first(engine.compare(), tree / "image")["attributes"] == ["content"]


def test_a_file_that_became_too_long_to_hash_is_not_checked(engine: Engine, tree: pathlib.Path) -> None:
    engine = dataclasses.replace(engine, watches=({**_NOT_THE_SIZE, "paths": [str(tree)]},))
    engine.apply()
    (tree / "a").write_bytes(b"evil")
    os.truncate(tree / "a", 1 << 42)
    compared = engine.compare(time_budget=20)
    assert coverage(compared, WATCH)["status"] == "partial"
    assert [entry["subject"] for entry in coverage(compared, WATCH)["skipped"]] == [str(tree / "a")]


def test_a_file_that_is_kept_changing_counts_as_changed(engine: Engine, tree: pathlib.Path) -> None:
    (tree / "a").write_bytes(b"x" * (64 << 20))
    engine.apply()
    (tree / "a").write_bytes(b"y" * (64 << 20))
    done = threading.Event()

    def keep_changing() -> None:
        while not done.is_set():
            os.utime(tree / "a")

    thread = threading.Thread(target=keep_changing)
    thread.start()
    try:
        compared = engine.compare()
    finally:
        done.set()
        thread.join()
    change = _first(compared, tree / "a")
    assert (change["alert"], change["severity"]) == ("fim_file_modified", "medium")
    assert change["message"] == "It was changed, and its content cannot be read now."
    assert coverage(compared, WATCH)["status"] == "partial"
