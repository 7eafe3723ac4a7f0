# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted over watched files, or not mounted any more, on real mounts in a mount namespace of their own."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time
import typing as t

import pytest

from tests.integration.file_integrity._engine import Engine, changes, coverage
from tests.support import commands, require

require("root", "command:unshare", "command:nsenter")

WATCH = "tree"
_OVERLAY = (
    "mkdir up && mount -t tmpfs up up && mkdir up/u up/w && cp -r tree/sub low &&"
    "mount -t overlay cover -o lowerdir=low,upperdir=up/u,workdir=up/w tree/sub"
)


class Namespace:
    """A mount namespace that a sleeping process holds open, with a tree of 80 files on a tmpfs of its own."""

    def __init__(self, directory: pathlib.Path, pid: int) -> None:
        self.directory = directory
        self.tree = directory / "tree"
        self._prefix = (t.cast("str", commands.find("nsenter")), "--mount", "--target", str(pid))
        self.engine = Engine(
            directory / "state",
            ({"name": WATCH, "paths": [str(self.tree)]},),
            common={"workers": 1},
            prefix=self._prefix,
        )

    def run(self, script: str) -> str:
        """Run a shell script in the directory of the tree."""
        command = [*self._prefix, "sh", "-ec", f"cd {self.directory} && {script}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def skipped(self, result: t.Mapping[str, t.Any]) -> dict[str, str]:
        return {entry["subject"]: entry["reason"] for entry in coverage(result, WATCH)["skipped"]}


@pytest.fixture(name="space")
def _space(tmp_path: pathlib.Path) -> t.Iterator[Namespace]:
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo ready; exec sleep 600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        found = Namespace(tmp_path, holder.pid)
        found.run(
            "mkdir -p tree/disk tree/sub/deep other && mount -t tmpfs disk tree/disk && echo secret > tree/shadow &&"
            "for n in $(seq 40); do echo $n > tree/sub/$n; echo $n > tree/disk/$n; done && echo evil > other/evil"
        )
        try:
            yield found
        finally:
            holder.kill()


def _found(result: t.Mapping[str, t.Any]) -> dict[str, tuple[str, str]]:
    # Other tests install and remove packages of this machine at the same time.
    found = [one for one in result["detections"] if not one["subject"].startswith("dpkg:")]
    return {one["subject"]: (one["alert"], one["severity"]) for one in found}


@pytest.mark.parametrize(
    ("mount", "kind", "shown"),
    [
        ("mount --bind other tree/sub", "tmpfs|ext4|overlay", "other"),
        ("mount -t tmpfs nothing tree/sub", "tmpfs", "nothing"),
        ("mount -t proc proc tree/sub", "proc", "proc"),
        (
            _OVERLAY,
            "overlay",
            "cover",
        ),
        ("mount -t tmpfs first tree/sub && mount -t tmpfs second tree/sub", "tmpfs", "second"),
        ("mkdir gone && mount --bind gone tree/sub && rmdir gone", "tmpfs|ext4|overlay", "gone//deleted"),
    ],
    ids=["bind", "tmpfs", "proc", "overlay", "stacked", "deleted source"],
)
def test_a_mount_over_a_directory_is_one_finding(space: Namespace, mount: str, kind: str, shown: str) -> None:
    space.engine.apply()
    space.run(mount)
    compared = space.engine.compare()
    path = str(space.tree / "sub")
    assert _found(compared) == {path: ("fim_mounted_over", "high")}
    assert changes(compared) == {path: "mounted"}
    data = compared["detections"][0]["evidences"][0]["data"]
    assert data["after"]["file_system"] in kind.split("|")
    assert shown in data["after"]["root"] + data["after"]["source"]
    assert coverage(compared, WATCH)["status"] == "partial"
    assert list(space.skipped(compared)) == [path]
    assert "is mounted over it, which hides the files below" in space.skipped(compared)[path]


def test_what_is_beside_a_mount_is_compared(space: Namespace) -> None:
    space.engine.apply()
    space.run("mount -t tmpfs t tree/sub && echo evil > tree/shadow")
    assert changes(space.engine.compare()) == {
        str(space.tree / "sub"): "mounted",
        str(space.tree / "shadow"): "modified",
    }


def test_a_mount_over_one_file_is_named(space: Namespace) -> None:
    space.engine.apply()
    space.run("mount --bind other/evil tree/shadow")
    for rehash in ("always", "changed"):
        compared = space.engine.compare(rehash=rehash)
        assert _found(compared) == {str(space.tree / "shadow"): ("fim_mounted_over", "high")}
        assert "evil" in space.skipped(compared)[str(space.tree / "shadow")]


def test_a_mount_above_all_that_is_watched_leaves_nothing_checked(space: Namespace) -> None:
    space.engine.apply()
    space.run("mount -t tmpfs t tree")
    compared = space.engine.compare()
    assert _found(compared) == {str(space.tree): ("fim_mounted_over", "high")}
    assert coverage(compared, WATCH)["status"] == "not_checked"
    # The mounts below it are out of reach, not gone.
    assert changes(compared) == {str(space.tree): "mounted"}


def test_a_file_system_that_is_unmounted_is_one_finding(space: Namespace) -> None:
    watches = [{"name": WATCH, "paths": [str(space.tree)]}, {"name": "disk", "paths": [str(space.tree / "disk")]}]
    space.engine.apply(watches=watches)
    space.run("umount tree/disk && echo planted > tree/disk/planted")
    compared = space.engine.compare()
    path = str(space.tree / "disk")
    assert _found(compared) == {path: ("fim_unmounted", "medium")}
    assert coverage(compared, "disk")["status"] == "not_checked"
    assert coverage(compared, WATCH)["status"] == "partial"
    assert "is not mounted" in coverage(compared, "disk")["reason"]


def test_another_file_system_at_the_same_point_is_named(space: Namespace) -> None:
    space.engine.apply()
    space.run("umount tree/disk && mkdir low && mount -t overlay o -o lowerdir=low:other tree/disk")
    compared = space.engine.compare()
    assert changes(compared) == {str(space.tree / "disk"): "remounted"}
    assert [d["evidences"][0]["data"]["before"]["file_system"] for d in compared["detections"]] == ["tmpfs"]


def test_the_same_mounts_are_no_finding_and_what_they_show_is_compared(space: Namespace) -> None:
    space.run("mount --bind other tree/sub/deep")
    made = space.engine.apply()
    # What lies below a bind mount has never been seen.
    assert coverage(made, WATCH)["note"].startswith(f"{space.tree}/sub/deep: ")
    assert coverage(made, WATCH)["note"].endswith("what lies below it cannot be seen")
    assert coverage(space.engine.compare(), WATCH)["status"] == "checked"
    space.run("umount tree/disk && mount -t tmpfs renamed tree/disk && echo new > tree/disk/new")
    found = changes(space.engine.compare())
    assert found.pop(str(space.tree / "disk" / "new")) == "created"
    # The tmpfs is new and empty: its files are gone, whatever the mount is named.
    assert set(found.values()) <= {"deleted", "modified"}


def test_new_mounts_at_new_places_are_one_finding(space: Namespace) -> None:
    space.engine.apply()
    space.run(
        "for n in 1 2 3; do mkdir -p tree/engine/$n/merged && mount -t tmpfs c$n tree/engine/$n/merged &&"
        "touch tree/engine/$n/merged/a tree/engine/$n/merged/b; done"
    )
    compared = space.engine.compare()
    (found,) = [d for d in compared["detections"] if d["alert"] == "fim_mounted_over"]
    assert (found["subject"], found["severity"], found["count"]) == (WATCH, "medium", 3)
    assert not [path for path in changes(compared) if path.endswith(("/a", "/b"))]


def test_what_is_mounted_in_another_namespace_is_not_seen(space: Namespace) -> None:
    space.engine.apply()
    space.run("unshare --mount --propagation private mount -t tmpfs t tree/sub")
    compared = space.engine.compare()
    assert compared["detections"] == []
    assert coverage(compared, WATCH)["status"] == "checked"


def test_an_accepted_mount_is_compared_from_then_on(space: Namespace) -> None:
    space.engine.apply()
    space.run("mount --bind other tree/sub && umount tree/disk")
    both = [str(space.tree / "sub"), str(space.tree / "disk")]
    taken = space.engine.apply(accept=both[:1], reason="a new disk", accepted_by="me")
    assert taken["accepted_count"] == 1
    assert changes(space.engine.compare())[str(space.tree / "sub" / "evil")] == "created"
    space.engine.apply(accept=["all"], reason="as it is", accepted_by="me")
    compared = space.engine.compare()
    assert compared["changes"] == []
    assert coverage(compared, WATCH)["status"] == "checked"
    space.run("umount tree/sub")
    assert changes(space.engine.compare()) == {str(space.tree / "sub"): "unmounted"}


@pytest.mark.parametrize("mount", ["mount -t tmpfs t tree/sub", "mount --bind other/evil tree/shadow"])
def test_extending_a_baseline_neither_takes_nor_forgets_what_a_mount_shows(space: Namespace, mount: str) -> None:
    space.engine.apply()
    space.run(mount)
    before = changes(space.engine.compare())
    wider = [{**space.engine.watches[0], "hashes": ["sha256", "md5"]}, {"name": "other", "paths": ["/etc/hostname"]}]
    assert coverage(space.engine.apply(watches=wider), WATCH)["status"] == "partial"
    assert changes(space.engine.compare()) == before
    space.run("umount tree/sub || umount tree/shadow")
    assert changes(space.engine.compare()) == {}


def test_a_mount_that_comes_during_the_scan_is_no_flood(space: Namespace) -> None:
    for number in range(30):
        space.run(f"mkdir tree/sub/d{number} && for n in $(seq 100); do echo $n > tree/sub/d{number}/$n; done")
    space.engine.apply()
    scan = space.engine.start_compare()
    found: list[dict[str, t.Any]] = []
    time.sleep(0.25)
    space.run("mount -t tmpfs t tree/sub")
    found.append(space.engine.finish(scan))
    assert set(changes(found[0]).items()) <= {(str(space.tree / "sub"), "mounted")}
    assert "deleted" not in json.dumps(found[0]["changes"])


def test_an_automounter_may_mount_and_unmount(space: Namespace) -> None:
    """A real automount point: the kernel's autofs with a pipe that nobody reads, as systemd makes it."""
    autofs = (
        'python3 -c "import os,subprocess; r,w=os.pipe(); os.set_inheritable(w,True); os.setpgrp();'
        "subprocess.run(['mount','-i','-t','autofs','-o','fd=%d,pgrp=%d,minproto=5,maxproto=5,direct'%(w,os.getpgrp()),"
        "'systemd-1','tree/sub'],check=True,pass_fds=(w,));"
    )
    space.run(autofs + "subprocess.run(['mount','-t','tmpfs','boot','tree/sub'],check=True)\"")
    space.engine.apply()
    assert space.engine.compare()["changes"] == []
    space.run("umount tree/sub")
    compared = space.engine.compare()
    assert compared["detections"] == []
    assert coverage(compared, WATCH)["status"] == "partial"
    assert "automounter" in space.skipped(compared)[str(space.tree / "sub")]


def test_a_home_on_a_file_system_that_was_mounted_all_the_time(space: Namespace) -> None:
    space.run("cp /etc/passwd passwd && mount --bind passwd /etc/passwd && mount -t tmpfs homes other")
    watches = [{"name": WATCH, "paths": [str(space.tree), "~/.ssh"]}]
    space.engine.apply(watches=watches)
    home = space.directory / "other" / "new"
    space.run(f"mkdir -p {home}/.ssh && echo key > {home}/.ssh/authorized_keys")
    space.run(f"echo new:x:7777:7777::{home}:/bin/sh >> /etc/passwd")
    compared = space.engine.compare(watches=watches)
    assert _found(compared) == {
        f"{home}/.ssh": ("fim_directory_created", "informational"),
        f"{home}/.ssh/authorized_keys": ("fim_file_created", "low"),
    }
    assert coverage(compared, WATCH)["status"] == "checked"


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    [
        ("true", "mount --bind other tree/sub"),
        ("mount -t tmpfs first tree/sub", "umount tree/sub && mount -t ramfs second tree/sub"),
    ],
)
def test_a_mount_that_only_process_1_sees_is_named(tmp_path: pathlib.Path, before: str, meanwhile: str) -> None:
    unshare, nsenter = (t.cast("str", commands.find(name)) for name in ("unshare", "nsenter"))
    private = (unshare, "--mount", "--propagation", "private")
    wait = ("sh", "-c", "echo ready; exec sleep 600")
    first = subprocess.Popen([*private, "--pid", "--fork", "--mount-proc", *wait], stdout=subprocess.PIPE)
    second: subprocess.Popen[bytes] | None = None
    child = 0
    try:
        assert first.stdout is not None
        first.stdout.readline()
        child = int(pathlib.Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text())
        inside = (nsenter, "--mount", "--pid", "--target", str(child))
        sub = tmp_path / "tree" / "sub"
        sub.mkdir(parents=True)
        (sub / "file").write_text("as ever")
        (tmp_path / "other").mkdir()
        subprocess.run([*inside, "sh", "-c", f"cd '{tmp_path}' && {before}"], check=True)
        second = subprocess.Popen([*inside, *private, *wait], stdout=subprocess.PIPE)
        assert second.stdout is not None
        second.stdout.readline()
        # nsenter forks for a PID namespace.
        session = pathlib.Path(f"/proc/{second.pid}/task/{second.pid}/children").read_text().split()[0]
        engine = Engine(
            tmp_path / "state",
            ({"name": WATCH, "paths": [str(tmp_path / "tree")]},),
            common={"workers": 1},
            prefix=(nsenter, "--mount", "--pid", "--target", session),
        )
        engine.apply()
        assert engine.compare()["detections"] == []
        # What services run is in the place of process 1; the session sees what was there before.
        subprocess.run([*inside, "sh", "-c", f"cd '{tmp_path}' && {meanwhile}"], check=True)
        compared = engine.compare()
        assert _found(compared) == {str(sub): ("fim_mounted_over", "high")}
        (skipped,) = coverage(compared, WATCH)["skipped"]
        assert "as process 1 sees it, which this scan does not" in skipped["reason"]
        assert coverage(compared, WATCH)["status"] == "partial"
    finally:
        if child:
            # With process 1 all others of its PID namespace end.
            os.kill(child, signal.SIGKILL)
        for process in (second, first):
            if process is not None:
                process.kill()
                process.communicate()
