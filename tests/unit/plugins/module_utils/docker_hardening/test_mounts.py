# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What containers have of the host's files, by what the kernel has mounted."""

from __future__ import annotations

import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import facts, mounts
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import judge
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

from tests.unit.plugins.module_utils.docker_hardening._made import container, engine, host, judged

SYSTEM, SOCKET = "docker_container_mounts_system_directory", "docker_container_mounts_engine_socket"
ROOT = "/var/lib/docker"
Where = t.Callable[..., facts.Container]


def mounted(*sources: str, writable: bool = True, kind: str = "bind", asked: str = "/asked") -> facts.Container:
    """Return a container with one mount. sources: where the host sees it; asked: what the engine was asked for."""
    mount = {"Type": kind, "Source": asked, "Destination": "/m", "RW": writable, "Propagation": ""}
    return container("m", Mounts=[mount], mounted=(facts.Mounted("/m", sources, writable),))


@pytest.mark.parametrize("path", ["/", "/etc", "/boot", "/usr/lib", "/proc", "/sys", "/dev", "/var/lib", ROOT])
@pytest.mark.parametrize(("writable", "severity"), [(True, "high"), (False, "medium")])
def test_system_directories_are_not_mounted(path: str, writable: bool, severity: str) -> None:
    result = judged(SYSTEM, engine(mounted(path, writable=writable)))
    assert (result["status"], result["severity"]) == ("failed", severity)
    assert result["evidences"][0]["detail"] == f"{path} on /m ({'rw' if writable else 'ro'})"


@pytest.mark.parametrize(
    ("path", "writable", "status"),
    [
        ("/etc/localtime", False, "passed"),
        ("/etc/cron.d", True, "failed"),
        ("/usr/local/bin", True, "failed"),
        ("/srv/etc", True, "passed"),
        ("/etcetera", True, "passed"),
        ("/var/lib/docker2", True, "passed"),
        (f"{ROOT}/volumes/other/_data", False, "failed"),
        (f"{ROOT}/containers", False, "failed"),
        (f"{ROOT}/containers/5a/hosts", True, "passed"),
        (f"{ROOT}/containers/5a/mounts/secrets/x", False, "passed"),
    ],
)
def test_what_lies_below_is_judged_by_who_can_change_it(path: str, writable: bool, status: str) -> None:
    assert judged(SYSTEM, engine(mounted(path, writable=writable)))["status"] == status


def test_a_link_and_a_volume_are_what_they_lead_to() -> None:
    assert judged(SYSTEM, engine(mounted("/etc", asked="/srv/link")))["status"] == "failed"
    volume = f"{ROOT}/volumes/v/_data"
    assert judged(SYSTEM, engine(mounted(volume, kind="volume", asked=volume)))["status"] == "passed"
    # docker volume create --opt type=none --opt o=bind --opt device=/etc
    disguised = mounted("/etc", volume, kind="volume", asked=volume)
    assert judged(SYSTEM, engine(disguised))["evidences"][0]["detail"] == "/etc on /m (rw)"


def test_what_the_host_unmounted_is_what_was_asked_for() -> None:
    gone = mounted(asked="/etc")._replace(mounted=())
    assert judged(SYSTEM, engine(gone))["evidences"][0]["detail"] == "/etc on /m (rw)"


def test_the_files_of_an_engine_that_maps_users_are_its_own() -> None:
    inside = f"{ROOT}/100000.100000"
    for path, status in ((f"{inside}/containers/5a/hosts", "passed"), (f"{inside}/image", "failed")):
        where = engine(mounted(path, writable=False), info={"DockerRootDir": inside})
        assert judged(SYSTEM, where)["status"] == status


def test_the_data_root_of_another_engine_counts() -> None:
    other = engine(name="unix:///run/other.sock", data_root=facts.DataRoot("/srv/docker"))
    assert judged(SYSTEM, host(engine(mounted("/srv/docker")), other))["status"] == "failed"


def test_mounts_that_come_along_are_one_item() -> None:
    seen = (
        facts.Mounted("/h", ("/",), True),
        facts.Mounted("/h/boot", ("/boot",), True),
        facts.Mounted("/hx", ("/etc",), False),
    )
    mount = {"Type": "bind", "Source": "/", "Destination": "/h", "RW": True, "Propagation": ""}
    result = judged(SYSTEM, engine(container(Mounts=[mount], mounted=seen)))
    assert result["evidences"][0]["detail"] == "/ on /h (rw); /etc on /hx (ro)"


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/run/docker.sock", "/run/docker.sock on /m"),
        ("/run", "/run with /run/docker.sock on /m"),
        ("/run/containerd", "/run/containerd with /run/containerd/containerd.sock on /m"),
        ("/run/containerd/containerd.sock", "/run/containerd/containerd.sock on /m"),
        ("/srv/own.sock", "/srv/own.sock on /m"),
        ("/srv/other", "/srv/other with /srv/other/docker.sock on /m"),
        ("/run/user/1000/docker.sock", "/run/user/1000/docker.sock on /m"),
        ("/srv/exec/containerd/containerd.sock", "/srv/exec/containerd/containerd.sock on /m"),
        ("/", "/ with /run/docker.sock on /m"),
    ],
)
def test_no_socket_of_any_engine_is_mounted(path: str, detail: str) -> None:
    here = engine(mounted(path, writable=False), listeners=(facts.Listener("unix:///srv/own.sock", "flag"),))
    here = here._replace(settings={"exec-root": facts.Setting("exec-root", "/srv/exec", "flag")})
    result = judged(SOCKET, host(here, engine(name="unix:///srv/other/docker.sock")))
    assert (result["status"], [each["detail"] for each in result["evidences"]]) == ("failed", [detail])


def test_other_sockets_may_be_mounted() -> None:
    for path in ("/run/mysqld/mysqld.sock", "/run/user/1000/pulse/native", "/srv"):
        assert judged(SOCKET, engine(mounted(path)))["status"] == "passed"


@pytest.mark.parametrize("control", [SYSTEM, SOCKET])
def test_mounts_that_nobody_read_are_not_passed(control: str) -> None:
    unread = mounted("/srv")._replace(mounted=None)
    assert judged(control, engine(unread))["status"] == "not_checked"


def test_a_stopped_container_is_judged_by_what_was_asked_for() -> None:
    for asked, control in (("/var/run/docker.sock", SOCKET), ("/srv/../etc", SYSTEM), ("//", SYSTEM)):
        mount = {"Type": "bind", "Source": asked, "Destination": "/m", "RW": True, "Propagation": ""}
        result = judged(control, engine(container(stopped=True, Mounts=[mount])))
        assert (result["status"], result["evidences"][0]["detail"][-9:]) == ("failed", "; stopped")


HOST = rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
42 27 0:30 / /run rw,nosuid - tmpfs tmpfs rw
43 27 254:0 /var/lib/docker /var/lib/docker rw,relatime shared:2 - ext4 /dev/vda rw
44 27 8:1 /@data /srv/a\040b rw - btrfs /dev/sda rw
"""
INSIDE = rb"""418 289 0:136 / / rw,relatime - overlay overlay rw
419 418 0:141 / /proc rw,nosuid - proc proc rw
420 418 0:142 / /dev rw,nosuid - tmpfs tmpfs rw
421 420 0:143 / /dev/pts rw,nosuid - devpts devpts rw
422 418 0:22 / /sys ro,nosuid - sysfs sysfs rw
424 423 0:29 /docker/e9 /sys/fs/cgroup/cpu ro - cgroup cgroup rw
435 418 254:0 /var/lib/docker/volumes/vol/_data /v rw,relatime master:12 - ext4 /dev/vda rw
436 418 0:30 / /h rw,relatime - tmpfs tmpfs rw
437 418 0:30 /docker.sock//deleted /gone ro - tmpfs tmpfs rw
438 418 254:0 /etc /data/lin\040k ro,relatime - ext4 /dev/vda rw
439 418 8:1 /@data/x /b rw - btrfs /dev/sda rw
440 418 8:1 /@other /c rw - btrfs /dev/sda rw
441 420 0:6 /null /dev/null rw - devtmpfs devtmpfs rw
442 419 0:6 /null /proc/kcore rw - devtmpfs devtmpfs rw
443 418 254:0 /etc /dev/hidden rw - ext4 /dev/vda rw
290 419 0:141 /bus /proc/bus ro,nosuid - proc proc rw
not a line
"""


def test_the_kernel_says_what_is_mounted() -> None:
    found = mounts.of_container(HOST, INSIDE, frozenset(("/v", "/h")))
    assert found == (
        facts.Mounted("/v", ("/var/lib/docker/volumes/vol/_data",), True),
        facts.Mounted("/h", ("/run",), True),
        facts.Mounted("/gone", ("/run/docker.sock",), False),
        facts.Mounted("/data/lin k", ("/etc",), False),
        facts.Mounted("/b", ("/srv/a b/x",), True),
        facts.Mounted("/dev/hidden", ("/etc",), True),
    )


def test_what_the_runtime_mounts_by_itself_counts_where_it_was_asked_for() -> None:
    found = mounts.of_container(HOST, INSIDE, frozenset(("/sys", "/dev/null")))
    assert facts.Mounted("/sys", ("/sys",), False) in found
    assert facts.Mounted("/dev/null", ("/dev/null",), True) in found


def test_another_engine_excuses_no_mount() -> None:
    name = {"Type": "volume", "Source": "/var/lib/docker/volumes/x/_data", "Destination": "/x", "RW": True}
    sources = ("/etc/ssh", "/var/lib/docker/volumes/x/_data")
    volume = container(Mounts=[name], mounted=(facts.Mounted("/x", sources, True),))
    for uid in (0, 1000):
        fake = engine(name="unix:///tmp/x", uid=uid, info={"DockerRootDir": "/etc"}, data_root=facts.DataRoot("/etc"))
        result = judged("docker_container_mounts_system_directory", host(engine(volume), fake))
        assert result["evidences"][0]["detail"] == "/etc/ssh on /x (rw)"


def test_an_account_that_runs_an_engine_says_nothing_of_the_mounts_of_others() -> None:
    fake = engine(name="unix:///tmp/x", uid=1000, is_rootless=True, data_root=facts.DataRoot("/srv/app/data"))
    where = host(engine(mounted("/srv/app", writable=False)), fake)
    assert judged("docker_container_mounts_system_directory", where)["status"] == "passed"


def test_many_mounts_take_no_quadratic_time() -> None:
    many = tuple(facts.Mounted(f"/{number}/x", ("/etc/ssh",), True) for number in range(20_000))
    where = engine(container(mounted=many))
    before = time.process_time()
    result = judge.CHECKS["docker_container_mounts_system_directory"](host(where), where, Options())
    assert "19990 more" in result.items[0].detail
    # Twenty seconds and more if each was compared with all others.
    assert time.process_time() - before < 8


def test_what_is_mounted_below_a_mount_comes_along() -> None:
    paths = ("/", "/a", "/a/b/c", "/a-b", "/a/b")
    seen = tuple(facts.Mounted(path, ("/etc/ssh",), True) for path in paths)
    detail = judged("docker_container_mounts_system_directory", engine(container(mounted=seen[1:])))["evidences"][0]
    assert detail["detail"] == "/etc/ssh on /a (rw); /etc/ssh on /a-b (rw)"
    detail = judged("docker_container_mounts_system_directory", engine(container(mounted=seen)))["evidences"][0]
    assert detail["detail"] == "/etc/ssh on / (rw)"


@pytest.mark.parametrize("control", [SYSTEM, SOCKET])
def test_nothing_is_passed_by_the_word_of_the_engine_alone(control: str) -> None:
    assert judged(control, engine(container(Mounts=[], mounted=None)))["status"] == "not_checked"


def test_a_container_that_is_about_to_be_restarted_has_what_it_asked_for() -> None:
    mount = {"Type": "bind", "Source": "/etc", "Destination": "/m", "RW": True, "Propagation": ""}
    state = {"State__Pid": 0, "State__Restarting": True}
    assert judged(SYSTEM, engine(container(Mounts=[mount], mounted=None, **state)))["status"] == "failed"
    assert judged(SYSTEM, engine(container(Mounts=[], mounted=None, **state)))["status"] == "passed"
