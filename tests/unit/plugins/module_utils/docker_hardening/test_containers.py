# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each control about containers: what fails it, what passes it, and what is not known."""

from __future__ import annotations

import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import facts
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import judge
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

from tests.unit.plugins.module_utils.docker_hardening._made import (
    DAY,
    NOW,
    container,
    engine,
    host,
    judged,
    process,
)

CAPABILITIES = "docker_container_capabilities_added"
PRIVILEGES = "docker_container_gains_privileges"
SECCOMP = "docker_container_seccomp_disabled"
SSH = "docker_container_runs_sshd"
NNP_DEFAULT = ["name=seccomp,profile=builtin", "name=no-new-privileges"]
CUSTOM = 'seccomp={"defaultAction":"%s","syscalls":[{"names":["read"],"action":"%s"}]}'

# The control, what makes a container fail it, and what the evidence says.
FAILING: tuple[tuple[str, dict[str, t.Any], str], ...] = (
    (CAPABILITIES, {"HostConfig__CapAdd": ["CHOWN", "CAP_SYS_ADMIN", "net_admin"]}, "NET_ADMIN; SYS_ADMIN"),
    (CAPABILITIES, {"HostConfig__Privileged": True}, "all, as it is privileged"),
    ("docker_container_privileged", {"HostConfig__Privileged": True}, "privileged"),
    ("docker_host_network_shared", {"HostConfig__NetworkMode": "host"}, "host"),
    ("docker_host_processes_shared", {"HostConfig__PidMode": "host"}, "host"),
    ("docker_host_ipc_shared", {"HostConfig__IpcMode": "host"}, "host"),
    ("docker_host_name_shared", {"HostConfig__UTSMode": "host"}, "host"),
    ("docker_host_users_shared", {"HostConfig__UsernsMode": "host"}, "host"),
    (
        "docker_host_network_shared",
        {"processes": (process(host_namespaces=("net",)),)},
        "bridge, but its first process is in the host's",
    ),
    (
        "docker_host_device_exposed",
        {"HostConfig__Devices": [{"PathOnHost": "/dev/sda", "PathInContainer": "/x", "CgroupPermissions": "rwm"}]},
        "/dev/sda (rwm)",
    ),
    ("docker_host_device_exposed", {"HostConfig__DeviceRequests": [{"Driver": "nvidia"}]}, "by a request to nvidia"),
    ("docker_host_device_exposed", {"HostConfig__DeviceCgroupRules": ["b 8:* rwm"]}, "rule b 8:* rwm"),
    (SECCOMP, {"HostConfig__SecurityOpt": ["seccomp=unconfined"]}, "seccomp=unconfined"),
    (SECCOMP, {"HostConfig__SecurityOpt": ["seccomp:unconfined"]}, "seccomp=unconfined"),
    (SECCOMP, {"HostConfig__Privileged": True}, "privileged"),
    (SECCOMP, {"processes": (process(seccomp=0),)}, "its first process has no filter"),
    (
        SECCOMP,
        {"HostConfig__SecurityOpt": [CUSTOM % ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")]},
        "a profile of its own that allows all",
    ),
    (PRIVILEGES, {}, "no-new-privileges is not set"),
    (PRIVILEGES, {"HostConfig__SecurityOpt": ["no-new-privileges:false"]}, "no-new-privileges is off"),
    (SSH, {"processes": (process(), process("/usr/sbin/sshd"))}, "/usr/sbin/sshd"),
    (SSH, {"processes": (process("/usr/sbin/sshd (deleted)", name="web"),)}, "/usr/sbin/sshd"),
    (SSH, {"processes": (process("/opt/web", arguments=("sshd: root@pts/0",)),)}, "/opt/web"),
    (
        SSH,
        {"processes": (process("/opt/web", arguments=("web: /opt/web -D [listener] 0 of 10-100 startups",)),)},
        "/opt/web",
    ),
    (SSH, {"processes": (process("/bin/dropbearmulti", name="dropbear"),)}, "/bin/dropbearmulti"),
    (SSH, {"processes": (process("", name="sshd"),)}, "sshd"),
    (SSH, {"processes": (process("/bin/dropbear"),)}, "/bin/dropbear"),
    ("docker_container_memory_unlimited", {"HostConfig__Memory": 0}, "no limit"),
    ("docker_container_processor_unlimited", {"HostConfig__CpuShares": 1024}, "shares 1024, no limit"),
    ("docker_container_root_writable", {"HostConfig__ReadonlyRootfs": False}, "writable"),
    ("docker_container_restarts_endlessly", {"HostConfig__RestartPolicy__Name": "always"}, "always"),
    ("docker_container_restarts_endlessly", {"HostConfig__RestartPolicy__Name": "unless-stopped"}, "unless-stopped"),
    ("docker_container_restarts_endlessly", {"HostConfig__RestartPolicy__Name": "on-failure"}, "on-failure"),
    (
        "docker_container_restarts_endlessly",
        {"HostConfig__RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 6}},
        "on-failure:6",
    ),
    ("docker_container_control_group_changed", {"HostConfig__CgroupParent": "/mine"}, "/mine"),
    ("docker_container_health_unchecked", {}, "no health check"),
    ("docker_container_health_unchecked", {"State__Health": {"Status": "none"}}, "no health check"),
    ("docker_container_processes_unlimited", {"HostConfig__PidsLimit": None}, "no limit"),
    ("docker_container_processes_unlimited", {"HostConfig__PidsLimit": -1}, "no limit"),
    ("docker_container_processes_unlimited", {"HostConfig__PidsLimit": 0}, "no limit"),
    (
        "docker_container_default_bridge",
        {"NetworkSettings__Networks": {"bridge": {"EndpointID": "5a"}}},
        "network bridge",
    ),
    (
        "docker_container_publishes_privileged_port",
        {"NetworkSettings__Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "443"}], "81/tcp": None}},
        "127.0.0.1:443/tcp to 80",
    ),
    (
        "docker_container_port_on_all_interfaces",
        {
            "NetworkSettings__Ports": {
                "53/udp": [{"HostIp": "", "HostPort": "53"}, {"HostIp": "::", "HostPort": "53"}],
                "80/tcp": [{"HostIp": "192.0.2.1", "HostPort": "80"}],
            }
        },
        "0.0.0.0:53/udp to 53; [::]:53/udp to 53",
    ),
    (
        "docker_container_mount_propagated",
        {"Mounts": [{"Type": "bind", "Source": "/srv", "Destination": "/s", "RW": True, "Propagation": "rshared"}]},
        "rshared on /s",
    ),
)

PASSING: tuple[tuple[str, dict[str, t.Any]], ...] = (
    (CAPABILITIES, {"HostConfig__CapAdd": ["CHOWN", "cap_net_raw"], "HostConfig__CapDrop": ["ALL"]}),
    ("docker_container_privileged", {}),
    ("docker_host_network_shared", {"HostConfig__NetworkMode": "none"}),
    ("docker_host_processes_shared", {}),
    ("docker_host_ipc_shared", {"HostConfig__IpcMode": "shareable"}),
    ("docker_host_name_shared", {}),
    ("docker_host_device_exposed", {}),
    (SECCOMP, {}),
    (SECCOMP, {"HostConfig__SecurityOpt": ["seccomp=builtin"]}),
    (SECCOMP, {"HostConfig__SecurityOpt": [CUSTOM % ("SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW")]}),
    (PRIVILEGES, {"HostConfig__SecurityOpt": ["no-new-privileges"]}),
    (PRIVILEGES, {"HostConfig__SecurityOpt": ["no-new-privileges:true"]}),
    (SSH, {"processes": (process("/usr/bin/ssh"), process("", arguments=()))}),
    # A script, and the client of a program that is server and client.
    (SSH, {"processes": (process("/bin/sh", name="sshd", arguments=("/bin/sh", "/usr/sbin/sshd")),)}),
    (SSH, {"processes": (process("/bin/dropbearmulti", name="dbclient"),)}),
    ("docker_container_memory_unlimited", {"HostConfig__Memory": 1 << 28}),
    ("docker_container_processor_unlimited", {"HostConfig__CpuShares": 512}),
    ("docker_container_processor_unlimited", {"HostConfig__NanoCpus": 10**9}),
    ("docker_container_processor_unlimited", {"HostConfig__CpuQuota": 50000}),
    ("docker_container_root_writable", {"HostConfig__ReadonlyRootfs": True}),
    ("docker_container_restarts_endlessly", {}),
    (
        "docker_container_restarts_endlessly",
        {"HostConfig__RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5}},
    ),
    ("docker_container_ulimit_changed", {}),
    ("docker_container_control_group_changed", {}),
    ("docker_container_health_unchecked", {"State__Health": {"Status": "unhealthy"}}),
    ("docker_container_processes_unlimited", {"HostConfig__PidsLimit": 100}),
    # As an engine without a default bridge has it.
    ("docker_container_default_bridge", {}),
    ("docker_container_publishes_privileged_port", {"NetworkSettings__Ports": {"80/tcp": None}}),
    ("docker_container_port_on_all_interfaces", {}),
    ("docker_container_publishes_unneeded_port", {}),
    ("docker_container_mount_propagated", {}),
    ("docker_container_mounts_system_directory", {}),
    ("docker_container_mounts_engine_socket", {}),
)


@pytest.mark.parametrize(("control", "changes", "detail"), FAILING)
def test_a_container_fails(control: str, changes: dict[str, t.Any], detail: str) -> None:
    result = judged(control, engine(container("bad", **changes)))
    assert (result["status"], [each["detail"] for each in result["evidences"]]) == ("failed", [detail]), result
    assert result["evidences"][0]["name"] == "bad"


@pytest.mark.parametrize(("control", "changes"), PASSING)
def test_a_container_passes(control: str, changes: dict[str, t.Any]) -> None:
    result = judged(control, engine(container(**changes)))
    assert (result["status"], result["evidences"], result["examined"]) == ("passed", [], 1), result


@pytest.mark.parametrize("control", sorted({control for control, _changes in PASSING}))
def test_without_containers_nothing_passes(control: str) -> None:
    assert judged(control, engine())["status"] == "not_applicable"
    assert judged(control, engine(containers=None, state=facts.STOPPED))["status"] == "not_checked"
    silent = engine(containers=None, problems=(("containers", "it took longer than 5 s"),))
    assert "it took longer than 5 s" in judged(control, silent)["reason"]


@pytest.mark.parametrize("control", sorted({control for control, _changes in PASSING}))
def test_a_container_that_was_not_described_is_never_passed(control: str) -> None:
    unknown = container("gone", problem="the engine took too long.")
    result = judged(control, engine(container(State__Health={"Status": "healthy"}), unknown))
    assert result["status"] in ("not_checked", "failed"), result
    assert "1 of 2 containers could not be judged; gone: the engine took too long." in result["reason"]


def test_a_container_that_is_stopped_is_started_as_it_is() -> None:
    stopped = container("old", stopped=True, HostConfig__Privileged=True, HostConfig__PidMode="host")
    result = judged("docker_container_privileged", engine(container(), stopped))
    assert [(each["name"], each["detail"]) for each in result["evidences"]] == [("old", "privileged; stopped")]
    assert (result["severity"], result["examined"]) == ("high", 2)
    assert judged("docker_host_processes_shared", engine(stopped))["status"] == "failed"
    assert judged("docker_container_memory_unlimited", engine(stopped))["status"] == "failed"
    # Nothing happens in it.
    for control in ("docker_container_health_unchecked", SSH, "docker_exec_root", "docker_container_image_outdated"):
        assert judged(control, engine(stopped))["status"] == "not_applicable"


def test_a_container_that_is_stopped_will_be_on_the_default_bridge() -> None:
    control, stopped = "docker_container_default_bridge", container(stopped=True)
    assert judged(control, engine(stopped))["status"] == "passed"
    assert judged(control, engine(stopped, networks=({"Name": "bridge"},)))["status"] == "failed"
    assert judged(control, engine(stopped, networks=None))["status"] == "not_checked"


def test_privileged_is_critical_where_root_is_root() -> None:
    privileged = container(HostConfig__Privileged=True)
    assert judged("docker_container_privileged", engine(privileged))["severity"] == "critical"
    assert judged("docker_container_privileged", engine(privileged, is_rootless=True))["severity"] == "high"


@pytest.mark.parametrize("by_id", [True, False])
def test_a_network_is_joined_through_others(by_id: bool) -> None:
    top = container("top", HostConfig__NetworkMode="host", processes=None)
    middle = container("mid", HostConfig__NetworkMode=f"container:{top.id if by_id else 'top'}", processes=None)
    last = container("last", HostConfig__NetworkMode=f"container:{middle.id[:12]}", processes=None)
    result = judged("docker_host_network_shared", engine(top, middle, last, container()))
    assert [(each["name"], each["detail"]) for each in result["evidences"]] == [
        ("last", "host, through container top"),
        ("mid", "host, through container top"),
        ("top", "host"),
    ]


def test_a_network_that_nobody_knows_is_not_passed() -> None:
    lost = container(HostConfig__NetworkMode="container:5a", processes=None)
    assert judged("docker_host_network_shared", engine(lost))["status"] == "not_checked"
    circle = container("a", HostConfig__NetworkMode="container:a", processes=None)
    assert judged("docker_host_network_shared", engine(circle))["status"] == "not_checked"
    # The kernel knows.
    assert judged("docker_host_network_shared", engine(lost._replace(processes=(process(),))))["status"] == "passed"


def test_the_default_of_the_engine_counts_for_what_was_made_after_it() -> None:
    info = {"SecurityOptions": NNP_DEFAULT}
    after = container(processes=(process(no_new_privileges=True),))
    before = container("before", processes=(process(no_new_privileges=False),))
    unknown = container("unknown", processes=(process(no_new_privileges=None),))
    off = container("off", HostConfig__SecurityOpt=["no-new-privileges=false"])
    assert judged(PRIVILEGES, engine(after, info=info))["status"] == "passed"
    assert judged(PRIVILEGES, engine(unknown, info=info, started=NOW))["status"] == "not_checked"
    # It was made since the engine was started.
    assert judged(PRIVILEGES, engine(unknown, info=info, started=NOW - 2 * DAY))["status"] == "passed"
    failed = judged(PRIVILEGES, engine(after, before, off, info=info))
    assert [each["name"] for each in failed["evidences"]] == ["before", "off"]


def test_an_engine_without_a_filter_filters_nothing() -> None:
    for options, detail in (
        ([], "the engine applies no filter"),
        (["name=seccomp,profile=unconfined"], "the engine's default is unconfined"),
    ):
        result = judged(SECCOMP, engine(container(), info={"SecurityOptions": options}))
        assert [each["detail"] for each in result["evidences"]] == [detail]
    assert judged(SECCOMP, engine(container())._replace(info={}))["status"] == "not_checked"


def test_user_namespaces_are_judged_where_there_are_some() -> None:
    control, info = "docker_host_users_shared", {"SecurityOptions": ["name=userns"]}
    assert judged(control, engine(container()))["status"] == "not_applicable"
    inside = container(processes=(process(host_namespaces=()),))
    assert judged(control, engine(inside, info=info))["status"] == "passed"
    assert judged(control, engine(container(), info=info))["status"] == "failed"
    assert judged(control, engine(inside, is_rootless=True))["status"] == "passed"
    assert judged(control, engine(inside)._replace(info={}))["status"] == "not_checked"


def test_apparmor_and_selinux_are_judged_where_the_kernel_enforces_with_them() -> None:
    apparmor, selinux = "docker_container_apparmor_missing", "docker_container_selinux_missing"
    plain = engine(container())
    assert "neither" in judged(apparmor, plain)["reason"]
    assert judged(selinux, plain)["status"] == "not_applicable"
    confined = engine(
        container(AppArmorProfile="docker-default", ProcessLabel="system_u:system_r:container_t:s0:c1,c2")
    )
    for status, where in (("failed", plain), ("passed", confined)):
        assert judged(apparmor, host(where, has_apparmor=True))["status"] == status
        assert judged(selinux, host(where, has_selinux=True))["status"] == status
    assert "enforces with SELinux, not with AppArmor" in judged(apparmor, host(plain, has_selinux=True))["reason"]
    unconfined = engine(container(AppArmorProfile="unconfined", ProcessLabel="system_u:system_r:spc_t:s0"))
    assert judged(apparmor, host(unconfined, has_apparmor=True))["status"] == "failed"
    assert judged(selinux, host(unconfined, has_selinux=True))["status"] == "failed"
    rootless = host(plain._replace(is_rootless=True), has_apparmor=True)
    assert judged(apparmor, rootless)["status"] == "not_applicable"


def test_processes_that_are_not_known_hide_no_ssh_server() -> None:
    assert judged(SSH, engine(container(processes=None)))["status"] == "not_checked"
    assert judged(SSH, engine(container(processes=())))["status"] == "not_checked"
    unread = container(processes=(process("", arguments=("web",)),))
    assert judged(SSH, engine(unread))["status"] == "not_checked"


def test_a_person_decides_about_ulimits() -> None:
    limit = {"Name": "nofile", "Soft": 10, "Hard": 20}
    result = judged("docker_container_ulimit_changed", engine(container(HostConfig__Ulimits=[limit]), container("b")))
    assert (result["status"], [each["detail"] for each in result["evidences"]]) == ("manual", ["nofile=10:20"])


@pytest.mark.parametrize(("names", "status"), [(("nofile",), "passed"), (("nproc",), "failed"), ((), "failed")])
def test_ulimits_are_judged_by_those_that_are_wanted(names: tuple[str, ...], status: str) -> None:
    limit = {"Name": "nofile", "Soft": 10, "Hard": 20}
    where = engine(container(HostConfig__Ulimits=[limit]))
    assert judged("docker_container_ulimit_changed", where, ulimits=names)["status"] == status


@pytest.mark.parametrize("default", [{"Name": "nofile", "Soft": 10, "Hard": 20}, "10:20"])
def test_the_ulimits_of_the_engine_are_no_own_ones(default: t.Any) -> None:
    limit = {"Name": "nofile", "Soft": 10, "Hard": 20}
    setting = facts.Setting("default-ulimits", {"nofile": default}, "file")
    where = engine(container(HostConfig__Ulimits=[limit]), settings={"default-ulimits": setting})
    assert judged("docker_container_ulimit_changed", where)["status"] == "passed"
    unknown = {"default-ulimits": setting._replace(problem="the file was changed")}
    assert judged("docker_container_ulimit_changed", where._replace(settings=unknown))["status"] == "manual"
    other = {"default-ulimits": setting._replace(value={"nofile": "10:21", "nproc": {"Soft": None}})}
    assert judged("docker_container_ulimit_changed", where._replace(settings=other))["status"] == "manual"


@pytest.mark.parametrize(
    ("state", "wanted", "status"),
    [
        ("inactive", None, "passed"),
        ("active", None, "manual"),
        ("active", True, "passed"),
        ("active", False, "failed"),
        ("locked", False, "failed"),
        (None, None, "not_checked"),
    ],
)
def test_a_swarm_has_to_be_wanted(state: str | None, wanted: bool | None, status: str) -> None:
    where = engine()
    where = where._replace(info={**where.info, "Swarm": {"LocalNodeState": state}})
    assert judged("docker_swarm_unneeded", where, swarm=wanted)["status"] == status


def _exec(privileged: bool = False, running: bool = True, **config: t.Any) -> dict[str, t.Any]:
    config = {"entrypoint": "/bin/sh", "arguments": [], "tty": False, "privileged": privileged, **config}
    return {"ID": "5a", "Running": running, "ContainerID": container().id, "ProcessConfig": config}


@pytest.mark.parametrize(
    ("control", "bad"),
    [("docker_exec_privileged", {"privileged": True}), ("docker_exec_root", {"user": "0:0"})],
)
def test_what_is_executed_in_containers_fails_while_it_runs(control: str, bad: dict[str, t.Any]) -> None:
    plain = engine(container(), execs=(_exec(user="web"),))
    assert judged(control, plain)["status"] == "manual"
    assert judged(control, plain._replace(execs=(_exec(running=False, **bad),)))["status"] == "manual"
    failed = judged(control, plain._replace(execs=(_exec(), _exec(**bad))))
    assert [(each["name"], each["detail"]) for each in failed["evidences"]] == [("web", "/bin/sh")]
    assert judged(control, plain._replace(problems=(("execs", "it is gone"),)))["status"] == "not_checked"


def test_containers_that_join_each_other_in_a_long_chain_take_no_quadratic_time() -> None:
    control = "docker_host_processes_shared"
    first = container("c0")
    chain = []
    for number in range(3_000):
        options = {**first.inspect["HostConfig"], "PidMode": f"container:c{number + 1}" if number < 2_999 else "host"}
        chain.append(
            first._replace(id=f"{number:064x}", name=f"c{number}", inspect={**first.inspect, "HostConfig": options})
        )
    where = engine(*chain)
    before = time.process_time()
    result = judge.CHECKS[control](host(where), where, Options())
    # Those that are further away are not followed.
    assert len(result.items) == 11
    assert time.process_time() - before < 4


def test_a_container_is_joined_by_its_id_the_beginning_of_it_or_its_name() -> None:
    target = container("web", HostConfig__PidMode="host")
    other = container(target.id[:12])
    for reference, count in ((target.id, 2), (target.id[:12], 1), (target.id[:11], 2), ("web", 2), ("", 1), ("we", 1)):
        result = judged(
            "docker_host_processes_shared",
            engine(container("x", HostConfig__PidMode=f"container:{reference}"), target, other),
        )
        assert result["count"] == count, reference
