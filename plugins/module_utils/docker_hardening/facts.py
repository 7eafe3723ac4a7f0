# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a host and its engines, as the benchmark judges it: read by ``collect``, judged by ``detect``.

Whatever could not be read says so: a ``problem`` is one sentence, and None means that the value is true. Nothing here
is empty because it could not be read. Names and paths are as the host has them, not yet printable.
"""

from __future__ import annotations

import types
import typing as t

Json = t.Mapping[str, t.Any]
_NOTHING: Json = types.MappingProxyType({})

# The states of an engine.
RUNNING = "running"
# It is installed and does not run: only its files are known.
STOPPED = "stopped"
# It runs and does not answer: ``problem`` says why.
SILENT = "silent"


class FileFact(t.NamedTuple):
    """A path on the host. kind: ``file``, ``directory``, ``socket``, ``other``, and empty where there is nothing.

    mode: the permission bits. owner, group: names, or numbers where there is none. target: where a symbolic link in
    its place leads; the rest is then of what it leads to.
    """

    path: str
    kind: str = ""
    mode: int = 0
    uid: int = -1
    gid: int = -1
    owner: str = ""
    group: str = ""
    target: str = ""
    problem: str | None = None


class Setting(t.NamedTuple):
    """One setting of an engine, by its name in daemon.json.

    value: what is in force. source: who says so: ``api`` (the engine), ``flag`` (the command line of its process),
    ``file`` (daemon.json, not changed since the engine read it) or ``default``. written: what the next start would
    use, by drop-in, environment file or daemon.json, and written_in where; is_pending: it is something else than the
    value. problem: why the value is not known.
    """

    name: str
    value: t.Any
    source: str
    written: t.Any = None
    written_in: str = ""
    is_pending: bool = False
    problem: str | None = None


class Listener(t.NamedTuple):
    """Where the API is offered. address: as ``unix:///run/docker.sock`` or ``tcp://0.0.0.0:2376``.

    source: ``flag``, ``file``, ``default``, ``systemd`` (inherited) or ``kernel`` (the process listens there, and
    nothing that is written says so). file: of a unix socket.
    """

    address: str
    source: str
    has_tls: bool = False
    verifies_clients: bool = False
    file: FileFact | None = None


class Process(t.NamedTuple):
    """A process in a container. executable: the path inside. arguments: not printable, bounded.

    host_namespaces: those that it shares with process 1 of the host, by their names below /proc/PID/ns. seccomp: its
    mode in /proc/PID/status (2 is a filter). None where /proc did not tell.
    """

    pid: int
    executable: str
    name: str
    uid: int
    arguments: tuple[str, ...] = ()
    host_namespaces: tuple[str, ...] | None = None
    no_new_privileges: bool | None = None
    seccomp: int | None = None


class Mounted(t.NamedTuple):
    """A mount in a running container. sources: all paths by which the host reaches the same; one, as a rule."""

    destination: str
    sources: tuple[str, ...]
    is_writable: bool


class Container(t.NamedTuple):
    """A container. inspect: ``GET /containers/ID/json``. processes: by control group; None where /proc did not tell.

    mounted: by ``mounts.of_container``, from the mountinfo of its first process (State.Pid); None where it can't be
    read, and of one that does not run.
    """

    id: str
    name: str
    inspect: Json
    is_running: bool
    processes: tuple[Process, ...] | None = None
    mounted: tuple[Mounted, ...] | None = None
    problem: str | None = None


class Image(t.NamedTuple):
    """An image. inspect: ``GET /images/ID/json``. history: ``GET /images/ID/history``, the newest first.

    setuid: files with setuid or setgid in its layers on disk, as (path, mode); None where they were not read, and
    setuid_problem says why. is_used: whether a container of it exists.
    """

    id: str
    names: tuple[str, ...]
    inspect: Json
    history: tuple[Json, ...] | None = None
    is_used: bool = False
    setuid: tuple[tuple[str, int], ...] | None = None
    setuid_problem: str | None = None
    problem: str | None = None


class Swarm(t.NamedTuple):
    """The swarm of an engine. is_manager: only then the rest is known. The lists are as the API has them.

    state: what the engine keeps of its membership, ``swarm/docker-state.json`` below its data root, as ListenAddr,
    AdvertiseAddr and DataPathAddr; empty where it can't be read.
    """

    is_active: bool
    is_manager: bool = False
    cluster: Json = _NOTHING
    nodes: tuple[Json, ...] = ()
    services: tuple[Json, ...] = ()
    secrets: tuple[Json, ...] = ()
    certificate_expires: float | None = None
    state: Json = _NOTHING
    problem: str | None = None


class DataRoot(t.NamedTuple):
    """Where an engine keeps its data. device, parent_device: st_dev, below the mount that the engine makes of it."""

    path: str
    device: int = -1
    parent_device: int = -1
    problem: str | None = None


class ConfigFile(t.NamedTuple):
    """A daemon.json. values: None where it is absent or can't be read. doubled: keys that it has twice."""

    file: FileFact
    values: Json | None = None
    doubled: tuple[str, ...] = ()
    problem: str | None = None


class Engine(t.NamedTuple):
    """A Docker Engine. name: its identity, ``unix:///run/docker.sock``, or what is installed for one that is stopped.

    uid: of the account that it runs as; is_rootless: in a user namespace of its own. conflicts: settings that stand
    in flags and in the file, with which an engine refuses to start. units: the files of its service and socket with
    their drop-ins. environment_files: that they name, and those that distributions read. certificates: by the names
    ``tlscacert``, ``tlscert`` and ``tlskey``. registry_certificates: below /etc/docker/certs.d. info, version: of the
    API, empty where it does not answer. containers, images, networks: None where they are not known. plugins:
    authorization plugins in force. problems: (what, why) of each question that the API did not answer.
    """

    name: str
    state: str
    pid: int = 0
    executable: str = ""
    arguments: tuple[str, ...] = ()
    uid: int = 0
    is_rootless: bool = False
    is_snap: bool = False
    started: float = 0.0
    unit: str = ""
    units: tuple[FileFact, ...] = ()
    environment_files: tuple[FileFact, ...] = ()
    config: ConfigFile | None = None
    settings: t.Mapping[str, Setting] = _NOTHING
    conflicts: tuple[str, ...] = ()
    listeners: tuple[Listener, ...] = ()
    certificates: t.Mapping[str, FileFact] = _NOTHING
    registry_certificates: tuple[FileFact, ...] = ()
    registry_problem: str | None = None
    data_root: DataRoot | None = None
    info: Json = _NOTHING
    version: Json = _NOTHING
    containers: tuple[Container, ...] | None = None
    images: tuple[Image, ...] | None = None
    networks: tuple[Json, ...] | None = None
    swarm: Swarm | None = None
    execs: tuple[Json, ...] = ()
    problem: str | None = None
    problems: tuple[tuple[str, str], ...] = ()


class Watch(t.NamedTuple):
    """A path that the kernel's audit rules watch. is_directory: with all that is below. permissions: of ``rwxa``."""

    path: str
    is_directory: bool
    permissions: str


class Audit(t.NamedTuple):
    """The audit rules that the kernel has. is_enabled: whether it records. problem: why they are not known."""

    is_enabled: bool = False
    watches: tuple[Watch, ...] = ()
    problem: str | None = None


class Account(t.NamedTuple):
    """An account that may control an engine, and by what: ``member of docker``, ``uid 0``, ``owner of the socket``."""

    name: str
    uid: int
    by: str


class Host(t.NamedTuple):
    """What all engines of a host share.

    files: by path, those that the benchmark names, such as /etc/docker; a path that was not looked at is missing.
    accounts: by the address of a unix socket. has_apparmor, has_selinux: whether the kernel enforces with it. other:
    (what, evidence) that runs containers outside this benchmark, such as containerd and Podman. boot_time, now:
    seconds since the epoch.
    """

    engines: tuple[Engine, ...]
    files: t.Mapping[str, FileFact]
    audit: Audit
    accounts: t.Mapping[str, tuple[Account, ...]]
    accounts_problem: str | None
    has_apparmor: bool
    has_selinux: bool
    other: tuple[tuple[str, str], ...]
    packages: t.Mapping[str, str]
    boot_time: float
    now: float
    is_root: bool
