# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine as a distribution installs it, on a host of which everything was read, and the same with changes."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import facts
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    Account,
    Audit,
    ConfigFile,
    DataRoot,
    Engine,
    FileFact,
    Host,
    Image,
    Json,
    Listener,
    Setting,
    Swarm,
    Watch,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

ADDRESS = "unix:///run/docker.sock"
NOW = 1_800_000_000.0
DEFAULTS: t.Mapping[str, t.Any] = {
    "authorization-plugins": [],
    "bridge": "",
    "cgroup-parent": "",
    "containerd": "",
    "debug": False,
    "default-ulimits": {},
    "exec-root": None,
    "experimental": False,
    "group": "docker",
    "hosts": [],
    "icc": True,
    "insecure-registries": [],
    "iptables": True,
    "live-restore": False,
    "log-driver": "json-file",
    "log-level": "info",
    "log-opts": {},
    "no-new-privileges": False,
    "seccomp-profile": "builtin",
    "storage-driver": "overlay2",
    "storage-opts": [],
    "tlsverify": False,
    "userland-proxy": True,
    "userns-remap": "",
}


def file(path: str, mode: int = 0o644, kind: str = "file", owner: str = "root", group: str = "root") -> FileFact:
    """Return a file; accounts of other names than root have the number 1000, the group docker has 998."""
    numbers = {"root": 0, "docker": 998}
    return FileFact(path, kind, mode, numbers.get(owner, 1000), numbers.get(group, 1000), owner, group)


SOCKET = file("/run/docker.sock", 0o660, "socket", group="docker")
FILES = {
    entry.path: entry
    for entry in (
        file("/etc/docker", 0o755, "directory"),
        file("/run/containerd", 0o711, "directory"),
        file("/run/containerd/containerd.sock", 0o660, "socket"),
        file("/usr/bin/containerd", 0o755),
        file("/usr/bin/containerd-shim-runc-v2", 0o755),
        file("/usr/bin/dockerd", 0o755),
        file("/usr/bin/runc", 0o755),
        FileFact("/etc/containerd/config.toml"),
        FileFact("/etc/default/docker"),
        FileFact("/etc/docker/daemon.json"),
        FileFact("/etc/sysconfig/docker"),
        FileFact("/usr/bin/containerd-shim"),
        FileFact("/usr/bin/containerd-shim-runc-v1"),
    )
}


def settings(**values: t.Any) -> dict[str, Setting]:
    """Return all settings with their defaults, and others by names with underscores in place of hyphens."""
    changed = {name.replace("_", "-"): value for name, value in values.items()}
    assert set(changed) <= set(DEFAULTS)
    return {
        **{name: Setting(name, value, "default", value) for name, value in DEFAULTS.items()},
        **{name: Setting(name, value, "file", value, "/etc/docker/daemon.json") for name, value in changed.items()},
    }


def pending(name: str, value: t.Any, written: t.Any) -> dict[str, Setting]:
    return {**settings(), name: Setting(name, value, "api", written, "/etc/docker/daemon.json", is_pending=True)}


def unknown(name: str, problem: str = "daemon.json was changed after the engine started.") -> dict[str, Setting]:
    return {**settings(), name: Setting(name, None, "file", problem=problem)}


def engine(**changes: t.Any) -> Engine:
    usual = Engine(
        ADDRESS,
        facts.RUNNING,
        pid=100,
        executable="/usr/bin/dockerd",
        units=(file("/usr/lib/systemd/system/docker.service"), file("/usr/lib/systemd/system/docker.socket")),
        config=ConfigFile(FileFact("/etc/docker/daemon.json")),
        settings=settings(),
        listeners=(Listener(ADDRESS, "systemd", file=SOCKET),),
        data_root=DataRoot("/var/lib/docker", 1, 1),
        info={"OperatingSystem": "Debian 13", "KernelVersion": "6.12.1"},
        version={"Version": "28.1.0", "BuildTime": "2025-04-01", "Components": [{"Name": "runc", "Version": "1.2.5"}]},
        containers=(),
        images=(),
        networks=({"Name": "bridge", "Driver": "bridge"}, {"Name": "none"}),
        swarm=Swarm(is_active=False),
    )
    return usual._replace(**changes)


def rootless(**changes: t.Any) -> Engine:
    """Return an engine of an account, with its own files."""
    home = "/home/ada/.config/docker"
    socket = file("/run/user/1000/docker.sock", 0o660, "socket", "ada", "ada")
    own: dict[str, t.Any] = {
        "name": "unix:///run/user/1000/docker.sock",
        "is_rootless": True,
        "uid": 1000,
        "units": (file("/home/ada/.config/systemd/user/docker.service", owner="ada", group="ada"),),
        "config": ConfigFile(file("%s/daemon.json" % home, owner="ada", group="ada"), {}),
        "listeners": (Listener("unix:///run/user/1000/docker.sock", "flag", file=socket),),
        "data_root": DataRoot("/home/ada/.local/share/docker", 1, 1),
    }
    return engine(**{**own, **changes})


def stopped(**changes: t.Any) -> Engine:
    """Return an engine that is installed and does not run."""
    absent: dict[str, t.Any] = {
        "state": facts.STOPPED,
        "pid": 0,
        "executable": "",
        "listeners": (Listener(ADDRESS, "systemd", file=FileFact("/run/docker.sock")),),
        "info": {},
        "version": {},
        **dict.fromkeys(("containers", "images", "networks", "swarm")),
    }
    return engine(**{**absent, **changes})


def silent(**changes: t.Any) -> Engine:
    """Return an engine that runs and does not answer."""
    nothing: dict[str, t.Any] = dict.fromkeys(("containers", "images", "networks", "swarm"))
    told = {"state": facts.SILENT, "problem": "it did not answer within 15 seconds", "info": {}, "version": {}}
    return engine(**{**told, **nothing, **changes})


def host(*watches: Watch, **changes: t.Any) -> Host:
    usual = Host(
        engines=(),
        files=FILES,
        audit=Audit(is_enabled=True, watches=watches),
        accounts={ADDRESS: (Account("root", 0, "uid 0"),)},
        accounts_problem=None,
        has_apparmor=True,
        has_selinux=False,
        other=(),
        packages={"docker-ce": "5:28.1.0-1"},
        boot_time=NOW - 1000,
        now=NOW,
        is_root=True,
    )
    return usual._replace(**changes)


def with_files(*entries: FileFact) -> dict[str, FileFact]:
    return {**FILES, **{entry.path: entry for entry in entries}}


def image(*lines: str, names: tuple[str, ...] = ("own:1",), **changes: t.Any) -> Image:
    """Return an image with a history of these lines, the oldest first."""
    history: tuple[Json, ...] = tuple({"CreatedBy": line} for line in reversed(lines))
    inspect = {"Id": "sha256:" + "a" * 64, "Config": {}, "Created": "2026-12-01T10:00:00Z", "RepoDigests": []}
    inspect.update(changes.pop("inspect", {}))
    return Image("sha256:" + "a" * 64, names, inspect, history, True, ())._replace(**changes)


NO_OPTIONS = Options()
