# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ctypes
import errno
import os
import pathlib
import stat
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _run, _safe_fs, _state


def _refused_calls(opener: _safe_fs.DirectoryOpener) -> t.Callable[[bytes], int]:
    """Return what is left of an opener on a kernel that doesn't know openat2(2)."""

    def syscall(*_arguments: object) -> int:
        ctypes.set_errno(errno.ENOSYS)
        return -1

    opener._syscall = syscall  # type: ignore[assignment]
    return opener.open


_OPENERS = {
    "stepwise": _safe_fs.open_directory,
    "at once": _safe_fs.DirectoryOpener().open,
    "old kernel": _refused_calls(_safe_fs.DirectoryOpener()),
}


@pytest.mark.parametrize("opened", _OPENERS.values(), ids=_OPENERS.keys())
def test_directories_are_opened_without_following_links(
    tmp_path: pathlib.Path, opened: t.Callable[[bytes], int]
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").touch()
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "a" / "link").symlink_to("b")
    descriptor = opened(os.fsencode(tmp_path / "a" / "b"))
    assert _safe_fs.listed(descriptor) == [b"file"]
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    before = len(os.listdir("/proc/self/fd"))
    for path in ("link/b", "a/link", "missing", "a/b/file"):
        with pytest.raises(OSError, match=r"\[Errno") as raised:
            opened(os.fsencode(tmp_path / path))
        assert raised.value.errno in _safe_fs.GONE
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("opened", _OPENERS.values(), ids=_OPENERS.keys())
def test_a_path_longer_than_a_call_takes_is_opened_all_the_same(
    tmp_path: pathlib.Path, opened: t.Callable[[bytes], int]
) -> None:
    current = os.open(tmp_path, os.O_RDONLY)
    name = b"d" * 250
    for _level in range(20):
        os.mkdir(name, dir_fd=current)
        following = os.open(name, os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = following
    descriptor = opened(os.fsencode(tmp_path) + (b"/" + name) * 20)
    assert os.path.samestat(os.fstat(descriptor), os.fstat(current))
    os.close(descriptor)
    os.close(current)


@pytest.mark.parametrize("name", [b"file", b"fifo", b"link", b"missing"])
def test_a_child_that_is_no_directory_is_not_opened(tmp_path: pathlib.Path, name: bytes) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("directory")
    os.mkfifo(tmp_path / "fifo")
    directory = os.open(tmp_path, os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match=r"\[Errno") as raised:
        _safe_fs.open_child(name, directory)
    assert raised.value.errno in _safe_fs.GONE
    assert len(os.listdir("/proc/self/fd")) == before
    descriptor = _safe_fs.open_child(b"directory", directory)
    assert os.path.samestat(os.fstat(descriptor), os.stat(tmp_path / "directory"))
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    os.close(directory)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_are_listed_as_the_bytes_they_are(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    names = [b"plain", b"\xff\xfe", "\u00fc".encode(), b"new\nline", b"\xed\xb2\x80", b"back\\slash"]
    directory = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: encoding)
    assert _safe_fs.listed(directory) == []
    for name in names:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=directory))
    again = os.open(tmp_path, os.O_RDONLY)
    assert sorted(_safe_fs.listed(again)) == sorted(names)
    os.close(again)
    os.close(directory)


def test_a_pinned_file_is_read_even_when_its_name_is_something_else_by_now(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("first")
    directory = os.open(tmp_path, os.O_RDONLY)
    pinned = _safe_fs.pin(b"file", directory)
    (tmp_path / "file").unlink()
    (tmp_path / "file").symlink_to("/etc/passwd")
    descriptor = _safe_fs.Reopener().read(pinned)
    assert os.read(descriptor, 10) == b"first"
    link = _safe_fs.pin(b"file", directory)
    assert stat.S_ISLNK(os.fstat(link).st_mode)
    assert _safe_fs.link_target(link) == b"/etc/passwd"
    for opened in (directory, pinned, descriptor, link):
        os.close(opened)


def test_reading_leaves_the_access_time(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("x")
    os.utime(tmp_path / "file", ns=(5, 5))
    directory = os.open(tmp_path, os.O_RDONLY)
    pinned = _safe_fs.pin(b"file", directory)
    descriptor = _safe_fs.Reopener().read(pinned)
    os.read(descriptor, 1)
    for opened in (directory, pinned, descriptor):
        os.close(opened)
    assert (tmp_path / "file").stat().st_atime_ns == 5


def test_the_flag_request_of_each_architecture() -> None:
    # From the kernel's headers: _IOR('f', 1, long) with 64-bit longs.
    assert _safe_fs._get_flags_request("x86_64") == _safe_fs._get_flags_request("aarch64") == 0x80086601
    assert _safe_fs._get_flags_request("ppc64le") == 0x40086601


@pytest.mark.parametrize(
    ("file_system", "foreign"),
    [
        ("ext4", False),
        ("tmpfs", False),
        ("overlay", False),
        ("btrfs", False),
        ("fuse.fuse-overlayfs", False),
        ("fuseblk", False),
        ("proc", True),
        ("nfs4", True),
        ("cifs", True),
        ("fuse.sshfs", True),
        ("autofs", True),
    ],
)
def test_which_file_systems_are_foreign(file_system: str, foreign: bool) -> None:
    assert _safe_fs.is_foreign(file_system) is foreign


def test_where_state_is() -> None:
    assert _state.default_root({}, 0) == "/var/lib/bulwark"
    assert _state.default_root({"HOME": "/home/x"}, 1000) == "/home/x/.local/state/bulwark"
    assert _state.default_root({"HOME": "/home/x", "XDG_STATE_HOME": "/s"}, 1000) == "/s/bulwark"


def _write_and_fail(state: _state.StateDirectory, error: Exception) -> None:
    with state.written("file") as stream:
        stream.write(b"new")
        stream.flush()
        raise error


def test_a_failed_write_leaves_what_was_there(tmp_path: pathlib.Path) -> None:
    state = _state.StateDirectory.open(str(tmp_path / "state"), "cap", create=True)
    assert state is not None
    with state.written("file") as stream:
        stream.write(b"old")
    with pytest.raises(RuntimeError):
        _write_and_fail(state, RuntimeError())
    with pytest.raises(_state.StateError, match="no space left to write"):
        _write_and_fail(state, OSError(errno.ENOSPC, "full"))
    directory = tmp_path / "state" / "cap"
    assert (directory / "file").read_bytes() == b"old"
    assert [entry.name for entry in directory.iterdir()] == ["file"]
    assert stat.S_IMODE((directory / "file").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    # What a killed run left is overwritten.
    (directory / ".file.tmp").symlink_to("/etc/passwd")
    with state.written("file") as stream:
        stream.write(b"newer")
    assert (directory / "file").read_bytes() == b"newer"
    state.close()


def test_what_is_in_the_way_of_state_is_named(tmp_path: pathlib.Path) -> None:
    state = _state.StateDirectory.open(str(tmp_path / "state"), "cap", create=True)
    assert state is not None
    directory = tmp_path / "state" / "cap"
    for name in ("file", ".file.tmp", "a.lock"):
        (directory / name).mkdir()
    (directory / "b.lock").symlink_to("/nonexistent")
    for name in ("a.lock", "b.lock"):
        with pytest.raises(_state.StateError, match=f"{name} cannot be used: "), state.locked(name, 0):
            pytest.fail("a lock that is none was taken")
    with pytest.raises(_state.StateError, match="cannot be used: "):
        state.remove("file")
    with pytest.raises(_state.StateError, match="cannot be used: "), state.written("file"):
        pytest.fail("a file was opened for writing over a directory")
    with pytest.raises(_state.DamagedError, match="is not a regular file"):
        state.open_file("file")
    state.close()


def test_a_lock_is_waited_for(tmp_path: pathlib.Path) -> None:
    state = _state.StateDirectory.open(str(tmp_path / "state"), "cap", create=True)
    assert state is not None
    with (
        state.locked("lock", 0),
        pytest.raises(_state.StateError, match="another run is writing in"),
        state.locked("lock", 0.2),
    ):
        pass
    with state.locked("lock", 0):
        pass
    state.close()


def test_state_that_does_not_exist_is_not_made_for_reading(tmp_path: pathlib.Path) -> None:
    assert _state.StateDirectory.open(str(tmp_path / "state"), "cap", create=False) is None
    assert not (tmp_path / "state").exists()


def test_the_mode_of_a_directory_that_is_there_is_never_changed(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "etc"
    root.mkdir()
    root.chmod(0o755)
    (root / "passwd").touch()
    with pytest.raises(
        _state.StateError,
        match=f"^{root} exists with mode 0755, so .* mode of this one to 0700 if it holds nothing else$",
    ):
        _state.StateDirectory.open(str(root), "cap", create=True)
    assert stat.S_IMODE(root.stat().st_mode) == 0o755
    assert [entry.name for entry in root.iterdir()] == ["passwd"]
    with pytest.raises(_state.StateError, match=r"^/ exists with mode"):
        _state.StateDirectory.open("/", "cap", create=True)

    root.chmod(0o700)
    for _again in range(2):
        state = _state.StateDirectory.open(str(root), "cap", create=True)
        assert state is not None
        state.close()
    # Whoever looks, or removes what was made, still can.
    root.chmod(0o755)
    state = _state.StateDirectory.open(str(root), "cap", create=False)
    assert state is not None
    state.close()
    assert stat.S_IMODE(root.stat().st_mode) == 0o755

    root.chmod(0o700)
    (root / "other").mkdir()
    (root / "other").chmod(0o755)
    with pytest.raises(_state.StateError, match=f"^{root}/other exists with mode"):
        _state.StateDirectory.open(str(root), "other", create=True)
    assert stat.S_IMODE((root / "other").stat().st_mode) == 0o755


def test_below_a_sticky_directory_nobody_else_comes_first(tmp_path: pathlib.Path) -> None:
    sticky = tmp_path / "tmp"
    sticky.mkdir()
    sticky.chmod(0o1777)
    state = _state.StateDirectory.open(str(sticky / "above" / "state"), "cap", create=True)
    assert state is not None
    state.close()
    real = os.makedirs

    def makedirs(path: str, mode: int = 0o777, exist_ok: bool = False) -> None:
        real(path, mode, exist_ok)
        os.chown(path, 65534, 65534)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "makedirs", makedirs)
        with pytest.raises(_state.StateError, match=f"^{sticky}/theirs belongs to user 65534"):
            _state.StateDirectory.open(str(sticky / "theirs" / "state"), "cap", create=True)
    assert not (sticky / "theirs" / "state").exists()


def test_deadlines() -> None:
    assert not _run.Deadline(0).passed()
    assert _run.Deadline(0).remaining(1) is None
    over = _run.Deadline(1e-9)
    assert over.passed()
    assert over.remaining(0) == 0
    assert 5 < (_run.Deadline(10).remaining(20) or 0) <= 30
    assert _run.Deadline(2.5).reason == "the time budget of 2.5 s was used up"


def test_idle_priority_is_taken_by_the_process_and_its_children() -> None:
    pid = os.fork()
    if pid == 0:
        _run.yield_to_others()
        # ioprio_get(2) by its number on x86_64 and aarch64; the class is in the top three bits.
        number = {"x86_64": 252, "aarch64": 31}.get(os.uname().machine)
        io_class = ctypes.CDLL(None).syscall(number, 1, 0) >> 13 if number else 3
        os._exit(0 if os.nice(0) == 19 and io_class == 3 else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_workers_are_no_more_than_processors() -> None:
    assert _run.worker_count(0) == 1
    assert _run.worker_count(10_000) == len(os.sched_getaffinity(0))
