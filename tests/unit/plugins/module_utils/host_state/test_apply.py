# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State is removed from real file systems, and nothing else is, whatever somebody has put there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import socket
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.host_state import accounts
from ansible_collections.bulwark.servers.plugins.module_utils.host_state.apply import apply


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a state directory as modules make it: two capabilities, of which the first has a lock and a file."""
    path = tmp_path / "state"
    for name in ("jit", "traffic"):
        directory = StateDirectory.open(str(path), name, create=True)
        assert directory is not None
        with contextlib.closing(directory), directory.locked("lock", 0), directory.written("policy.json") as stream:
            stream.write(b"12345")
    return path


def _run(
    root: pathlib.Path, names: t.Sequence[str] = ("jit", "traffic"), check: bool = False, **changes: t.Any
) -> dict[str, t.Any]:
    entry = {"path": str(root), "names": list(names), "known": ["jit", "traffic"]}
    return apply({"lock_timeout": 0, "skip_root": False, "_roots": [entry], **changes}, check)


def _left(result: dict[str, t.Any], root: pathlib.Path) -> dict[str, str]:
    """Return why what stays does, by its path below the root."""
    return {
        os.path.relpath(one["path"], root): one["reason"] for one in result["left"] if one["path"].startswith(str(root))
    }


def _tree(path: pathlib.Path) -> list[str]:
    return sorted(str(one.relative_to(path)) for one in path.rglob("*"))


def test_all_state_is_removed_once(root: pathlib.Path) -> None:
    before = _tree(root)
    foreseen = _run(root, check=True)
    assert _tree(root) == before
    result = _run(root)
    assert foreseen == result
    assert not root.exists()
    assert result["changed"]
    assert result["removed"] == [
        {"name": name, "path": f"{root}/{name}", "files": 2, "bytes": 5} for name in ("jit", "traffic")
    ]
    assert result["diff"]["before"].splitlines() == sorted(
        [str(root), *(f"{root}/{name}{file}" for name in ("jit", "traffic") for file in ("", "/lock", "/policy.json"))]
    )
    again = _run(root)
    assert (again["changed"], again["removed"], again["left"]) == (False, [], result["left"])


def test_what_is_not_asked_for_or_unknown_stays_and_is_named(root: pathlib.Path) -> None:
    (root / "findings.db-wal").touch(0o600)
    (root / "notes\n.txt").touch(0o600)
    result = _run(root, ["jit"])
    assert _left(result, root) == {
        "findings.db-wal": "it is the store of a controller",
        "notes\\n.txt": "it does not belong to the collection",
        "traffic": "it is state of another capability, which was not selected",
    }
    assert "failed" not in result
    assert _tree(root) == ["findings.db-wal", "notes\n.txt", "traffic", "traffic/lock", "traffic/policy.json"]


def test_a_directory_that_others_use_keeps_everything_but_our_state(root: pathlib.Path) -> None:
    root.chmod(0o755)
    (root / "shared").touch()
    result = _run(root)
    assert _left(result, root) == {}
    assert _tree(root) == ["shared"]
    (root / "shared").unlink()
    assert not _run(root)["changed"]
    assert root.exists()


def test_nodes_that_the_collection_does_not_make_stay_with_all_that_they_lead_to(
    root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    outside = tmp_path / "outside"
    (outside / "jit").mkdir(parents=True, mode=0o700)
    (outside / "jit" / "file").touch(0o600)
    jit = root / "jit"
    (jit / "link").symlink_to(outside)
    (jit / "file_link").symlink_to(outside / "jit" / "file")
    os.mkfifo(jit / "pipe.lock", 0o600)
    os.mkfifo(jit / "pipe", 0o600)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(jit / "socket"))
    (jit / "script").touch()
    (jit / "script").chmod(0o755)
    (root / "traffic" / "policy.json").unlink()
    (root / "traffic" / "lock").unlink()
    (root / "traffic").rmdir()
    (root / "traffic").symlink_to(outside / "jit")
    result = _run(root)
    link = "it is a symbolic link, and the collection makes none"
    pipe = "it is a FIFO, and the collection makes none"
    assert _left(result, root) == {
        "jit/link": link,
        "jit/file_link": link,
        "jit/pipe": pipe,
        "jit/pipe.lock": pipe,
        "jit/script": "it has mode 0755, and the collection lets only the owner read what it makes",
        "jit/socket": "it is a socket, and the collection makes none",
        "traffic": link,
    }
    assert "failed" not in result
    assert [entry["files"] for entry in result["removed"]] == [2]
    assert sorted(os.listdir(jit)) == ["file_link", "link", "pipe", "pipe.lock", "script", "socket"]
    assert _tree(outside) == ["jit", "jit/file"]


def test_a_root_that_is_a_link_or_that_others_write_in_is_refused(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    result = _run(link)
    assert result["failed"]
    assert "is a symbolic link or no directory" in result["msg"]
    root.chmod(0o777)
    assert "can be written by its group or by others" in _run(root)["msg"]
    assert (root / "jit" / "policy.json").exists()


def test_without_names_or_as_root_where_that_is_skipped_nothing_is_done(root: pathlib.Path) -> None:
    assert not _run(root, [])["changed"]
    if os.geteuid() == 0:
        assert not _run(root, skip_root=True)["changed"]
    assert (root / "jit" / "policy.json").exists()


def test_relative_directories_are_refused() -> None:
    with pytest.raises(UsageError, match="state_dirs: 'state' is relative; give an absolute path"):
        _run(pathlib.Path("state"))


@pytest.mark.requires("root")
@pytest.mark.parametrize("kind", ["tmpfs", "bind", "file"])
def test_a_mount_is_not_entered(root: pathlib.Path, tmp_path: pathlib.Path, kind: str) -> None:
    source, point = tmp_path / "source", root / "jit" / "mounted"
    way = ["--bind", str(source)]
    if kind == "file":
        point = root / "jit" / "policy.json"
        source.touch(0o600)
    else:
        point.mkdir(0o700)
        source.mkdir(0o700)
        (source / "file").touch(0o600)
    if kind == "tmpfs":
        way = ["-t", "tmpfs", "-o", "mode=700", "none"]
    subprocess.run(["mount", *way, str(point)], check=True)
    try:
        if kind == "tmpfs":
            (point / "file").touch(0o600)
        before = _tree(point)
        result = _run(root)
        assert result["failed"]
        assert _left(result, root) == {
            str(point.relative_to(root)): "something is mounted there; unmount it and run this again"
        }
        assert point.exists()
        assert _tree(point) == before
        assert not (root / "traffic").exists()
    finally:
        subprocess.run(["umount", str(point)], check=True)
    assert "failed" not in _run(root)
    assert not root.exists()
    assert source.exists()


@pytest.mark.requires("root")
def test_a_root_that_is_a_mount_is_emptied_and_stays(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    point = tmp_path / "point"
    point.mkdir()
    subprocess.run(["mount", "--bind", str(root), str(point)], check=True)
    try:
        result = _run(point)
        assert "failed" not in result
        assert _left(result, point) == {".": "it is a mount point, and empty"}
        assert _tree(point) == []
        assert not _run(point)["changed"]
    finally:
        subprocess.run(["umount", str(point)], check=True)


@pytest.mark.requires("root", "command:chattr")
@pytest.mark.parametrize("node", ["jit/policy.json", "jit"])
def test_what_is_immutable_is_a_failure_that_says_what_to_do(root: pathlib.Path, node: str) -> None:
    done = subprocess.run(["chattr", "+i", str(root / node)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("needs a file system with inode flags below the temporary directory: set TMPDIR")
    try:
        result = _run(root)
        what = "it" if node == "jit/policy.json" else "the directory that it is in"
        reason = f"{what} is immutable or append-only; remove that flag (chattr -ia) and run this again"
        files = ["jit/policy.json"] if node == "jit/policy.json" else ["jit/lock", "jit/policy.json"]
        assert _left(result, root) == dict.fromkeys(files, reason)
        assert result["failed"]
        assert result["msg"].startswith("Not all state could be removed: ")
        assert not (root / "traffic").exists()
    finally:
        subprocess.run(["chattr", "-i", str(root / node)], check=True)
    assert _run(root)["changed"]
    assert not root.exists()


@pytest.mark.requires("root")
def test_what_belongs_to_somebody_else_stays(root: pathlib.Path) -> None:
    os.chown(root / "jit" / "policy.json", 4321, 0)
    result = _run(root)
    assert _left(result, root) == {"jit/policy.json": "it belongs to user 4321"}
    assert "failed" not in result


def test_a_directory_that_a_run_is_writing_in_stays(root: pathlib.Path) -> None:
    (root / "jit" / "other.lock").touch(0o600)
    (root / "jit" / "answers-1").touch(0o600)
    for name in ("lock", "other.lock", "answers-1"):
        with (root / "jit" / name).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert "failed" not in _run(root, check=True)
            result = _run(root, ["jit"])
        assert _left(result, root) == {
            "jit": "another run is writing there and did not end within 0 s; wait for it, or raise lock_timeout",
            "traffic": "it is state of another capability, which was not selected",
        }
        assert result["failed"]
        assert not result["changed"]
        assert (root / "jit" / "policy.json").exists()
    assert _run(root)["changed"]
    assert not root.exists()


def test_directories_deeper_than_any_of_ours_stay(root: pathlib.Path) -> None:
    path = root / "jit"
    for _depth in range(40):
        path /= "deep"
        path.mkdir(0o700)
    result = _run(root)
    assert result["failed"]
    assert list(_left(result, root).values()) == ["it is in too many directories; find out why"]
    assert path.exists()


def test_accounts_with_state_are_named_and_nothing_is_followed(tmp_path: pathlib.Path) -> None:
    homes = {name: tmp_path / "homes" / name for name in ("ada", "bob", "eve", "store", "root")}
    for name in ("ada", "root"):
        (homes[name] / ".local/state/bulwark/jit").mkdir(parents=True)
    homes["bob"].mkdir()
    (homes["eve"] / ".local").mkdir(parents=True)
    (homes["eve"] / ".local" / "state").symlink_to(homes["ada"] / ".local/state")
    (homes["store"] / ".local/state/bulwark").mkdir(parents=True)
    (homes["store"] / ".local/state/bulwark/findings.db").touch()
    (tmp_path / "link").symlink_to("homes")
    lines = [f"{name}:x:{0 if name == 'root' else 1000}:0::{home}:/bin/sh" for name, home in homes.items()]
    lines += [f"again:x:1000:0::{homes['ada']}/:/bin/sh", "none:x:1:1:::", "short:x", "slash:x:2:2::/:/bin/sh"]
    passwd = tmp_path / "passwd"
    passwd.write_text("".join(f"{line}\n" for line in lines))
    found = [(b"ada", os.fsencode(homes["ada"] / ".local/state/bulwark"))]
    assert list(accounts.with_state({b"jit"}, str(passwd))) == found
    passwd.write_text(f"ada:x:1000:0::{tmp_path}/link/ada:/bin/sh\n")
    assert list(accounts.with_state({b"jit"}, str(passwd))) == found
