# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge what containers share with the host, and what the kernel still keeps them from: parts of section 5."""

from __future__ import annotations

import bisect
import functools
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import (
    container_image,
    each_container,
    values,
    verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.each_container import Fault
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    Container,
    Engine,
    Host,
    Process,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

# The engine's own: https://docs.docker.com/engine/containers/run/#runtime-privilege-and-linux-capabilities
_DEFAULT_CAPABILITIES = frozenset(
    ("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW")
    + ("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")
)
# Each leads to the host: capabilities(7).
_MIGHTY_CAPABILITIES = frozenset(
    ("ALL", "BPF", "DAC_READ_SEARCH", "PERFMON", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO")
    + ("SYSLOG",)
)
_UNCONFINED = "unconfined"
# What a profile of seccomp does that keeps from nothing: seccomp(2).
_ALLOWING = frozenset(("SCMP_ACT_ALLOW", "SCMP_ACT_LOG"))
# A container that joins another one's namespace, which may join a third one's.
_JOIN = "container:"
_MOST_JOINS = 10


def options_of(container: Container) -> list[tuple[str, str]]:
    """Return the security options; ``no-new-privileges`` may stand alone, and a colon may stand for ``=``."""
    found = []
    for text in values.texts(container.inspect, "HostConfig.SecurityOpt"):
        key, separator, value = text.partition("=")
        if not separator:
            key, _separator, value = text.partition(":")
        found.append((key, value))
    return found


def engine_options(engine: Engine) -> list[list[str]]:
    """Return what the engine applies, such as ``["name=seccomp", "profile=builtin"]``; raise UnknownError."""
    if not engine.info:
        raise values.UnknownError(each_container.problem_of(engine, "information"))
    return [text.split(",") for text in values.texts(engine.info, "SecurityOptions")]


def is_privileged(container: Container) -> bool:
    return values.flag(container.inspect, "HostConfig.Privileged")


def first_process(container: Container) -> Process | None:
    """Return the process that the container was started for; others may be on their way into it."""
    pid = values.number(container.inspect, "State.Pid")
    return next((each for each in container.processes or () if each.pid == pid), None)


def _apparmor(host: Host, engine: Engine, _options: Options) -> Verdict:
    if not host.has_apparmor:
        return verdict.not_applicable(_other_than("AppArmor", "SELinux", host.has_selinux))
    if engine.is_rootless:
        return verdict.not_applicable("A rootless engine can't apply profiles of AppArmor.")
    return each_container.judge(
        engine, "no profile of AppArmor", _without_apparmor, True, virtue="a profile of AppArmor"
    )


def _without_apparmor(container: Container) -> t.Iterator[Fault]:
    profile = values.text(container.inspect, "AppArmorProfile")
    if ("apparmor", _UNCONFINED) in options_of(container) or is_privileged(container):
        yield Fault(f"apparmor={_UNCONFINED}")
    elif profile == _UNCONFINED or not (profile or each_container.is_stopped(container)):
        # The engine gives the default profile when it starts a container.
        yield Fault(f"apparmor={profile or 'none'}")


def _selinux(host: Host, engine: Engine, _options: Options) -> Verdict:
    if not host.has_selinux:
        return verdict.not_applicable(_other_than("SELinux", "AppArmor", host.has_apparmor))
    return each_container.judge(
        engine, "no confining label of SELinux", _without_selinux, True, virtue="a label of SELinux"
    )


def _without_selinux(container: Container) -> t.Iterator[Fault]:
    label = values.text(container.inspect, "ProcessLabel")
    if ("label", "disable") in options_of(container) or not (label or each_container.is_stopped(container)):
        yield Fault("no label")
    elif label.split(":")[2:3] in (["spc_t"], ["unconfined_t"]):
        yield Fault(f"label {printable(label)}")


def _other_than(missing: str, other: str, has_other: bool) -> str:
    if has_other:
        return f"The kernel of this host enforces with {other}, not with {missing}."
    return f"The kernel of this host enforces neither with {missing} nor with {other}."


def _capabilities(_host: Host, engine: Engine, _options: Options) -> Verdict:
    return each_container.judge(engine, "capabilities beyond the default", _added_capabilities, with_stopped=True)


def _added_capabilities(container: Container) -> t.Iterator[Fault]:
    if is_privileged(container):
        yield Fault("all, as it is privileged", "high")
    names = {name.upper() for name in values.texts(container.inspect, "HostConfig.CapAdd")}
    names = {name[4:] if name.startswith("CAP_") else name for name in names}
    for name in sorted(names - _DEFAULT_CAPABILITIES):
        yield Fault(printable(name), "high" if name in _MIGHTY_CAPABILITIES else "medium")


def _privileged(_host: Host, engine: Engine, _options: Options) -> Verdict:
    def test(container: Container) -> t.Iterator[Fault]:
        if is_privileged(container):
            is_harmless = engine.is_rootless or each_container.is_stopped(container)
            yield Fault("privileged", "high" if is_harmless else "critical")

    return each_container.judge(engine, "all privileges", test, with_stopped=True)


def _devices(_host: Host, engine: Engine, _options: Options) -> Verdict:
    return each_container.judge(engine, "devices of the host", _exposed_devices, with_stopped=True)


def _exposed_devices(container: Container) -> t.Iterator[Fault]:
    if is_privileged(container):
        yield Fault("all, as it is privileged")
    for device in values.mappings(container.inspect, "HostConfig.Devices"):
        rights = values.text(device, "CgroupPermissions")
        yield Fault(printable("{} ({})".format(values.text(device, "PathOnHost"), rights)))
    for request in values.mappings(container.inspect, "HostConfig.DeviceRequests", may_miss=True):
        yield Fault("by a request to {}".format(printable(values.text(request, "Driver") or "any driver")))
    for rule in values.texts(container.inspect, "HostConfig.DeviceCgroupRules", may_miss=True):
        yield Fault(f"rule {printable(rule)}")


class _Containers:
    """Finds containers by what others call them."""

    def __init__(self, containers: t.Sequence[Container]) -> None:
        # The first one of a name counts, and an id before a name.
        self._by_name = {each.name.lstrip("/"): each for each in reversed(containers)}
        self._by_name.update((each.id, each) for each in reversed(containers))
        self._by_id = sorted((each.id, number) for number, each in enumerate(containers))
        self._all = containers

    def get(self, reference: str) -> Container | None:
        """Return a container by its id, the beginning of it, or its name."""
        if reference in self._by_name:
            return self._by_name[reference]
        place = bisect.bisect_left(self._by_id, (reference, 0))
        if not reference or place == len(self._by_id) or not self._by_id[place][0].startswith(reference):
            return None
        return self._all[self._by_id[place][1]]


class _Namespace(t.NamedTuple):
    """A kind of namespace. name: below /proc/PID/ns. mode: where the engine has what was asked for."""

    name: str
    mode: str
    fault: str

    def check(self, _host: Host, engine: Engine, _options: Options) -> Verdict:
        test = functools.partial(_shared, self, _Containers(engine.containers or ()))
        return each_container.judge(engine, self.fault, test, with_stopped=True)


_NETWORK = _Namespace("net", "HostConfig.NetworkMode", "the network of the host")
_PROCESSES = _Namespace("pid", "HostConfig.PidMode", "the processes of the host")
_IPC = _Namespace("ipc", "HostConfig.IpcMode", "the shared memory of the host")
_UTS = _Namespace("uts", "HostConfig.UTSMode", "the host name (UTS namespace) of the host")


def _shared(namespace: _Namespace, containers: _Containers, container: Container) -> t.Iterator[Fault]:
    """Find whether a container is in a namespace of the host: by its mode, by those that it joins, by its process."""
    mode = values.text(container.inspect, namespace.mode)
    if mode == "host":
        yield Fault("host")
        return
    target = _joined(namespace, containers, mode) if mode.startswith(_JOIN) else None
    if target is not None and values.text(target.inspect, namespace.mode) == "host":
        yield Fault(f"host, through container {each_container.name_of(target)}")
    elif not each_container.is_stopped(container):
        process = first_process(container)
        if process is not None and process.host_namespaces is not None:
            if namespace.name in process.host_namespaces:
                yield Fault(f"{printable(mode or 'default')}, but its first process is in the host's")
        elif mode.startswith(_JOIN) and target is None:
            raise values.UnknownError(f"it joins '{printable(mode)}', which is not known")


def _joined(namespace: _Namespace, containers: _Containers, mode: str) -> Container | None:
    """Return the container at the end of those that one joins; None for one that is not known, or in a circle."""
    for _join in range(_MOST_JOINS):
        target = containers.get(mode[len(_JOIN) :])
        if target is None:
            return None
        mode = values.text(target.inspect, namespace.mode)
        if not mode.startswith(_JOIN):
            return target
    return None


def _seccomp(_host: Host, engine: Engine, _options: Options) -> Verdict:
    try:
        profiles = [each for each in engine_options(engine) if "name=seccomp" in each]
    except values.UnknownError as error:
        return verdict.not_checked(f"The engine's profile is not known: {error}.")
    default = "none" if not profiles else _UNCONFINED if f"profile={_UNCONFINED}" in profiles[0] else "filter"
    test = functools.partial(_unfiltered, default)
    return each_container.judge(engine, "no filter of system calls", test, True, virtue="a filter of system calls")


def _unfiltered(default: str, container: Container) -> t.Iterator[Fault]:
    """Find whether system calls are not filtered. default: ``none`` of an engine that can't, ``unconfined``."""
    own = [value for key, value in options_of(container) if key == "seccomp"]
    process = None if each_container.is_stopped(container) else first_process(container)
    if is_privileged(container):
        yield Fault("privileged")
    elif default == "none":
        yield Fault("the engine applies no filter")
    elif own and own[-1] == _UNCONFINED:
        yield Fault("seccomp=unconfined")
    elif own and own[-1].lstrip().startswith("{") and _allows_all(own[-1]):
        yield Fault("a profile of its own that allows all")
    elif not own and default == _UNCONFINED:
        yield Fault("the engine's default is unconfined")
    elif process is not None and process.seccomp == 0:
        yield Fault("its first process has no filter")


def _allows_all(profile: str) -> bool:
    """Say whether a profile denies nothing: each action in it allows or logs."""
    try:
        parsed = json.loads(profile)
        rules = [rule["action"] for rule in parsed.get("syscalls") or []]
        return {parsed["defaultAction"], *rules} <= _ALLOWING
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise values.UnknownError("its profile of seccomp is not understood") from None


def _new_privileges(_host: Host, engine: Engine, _options: Options) -> Verdict:
    try:
        is_default = any("name=no-new-privileges" in each for each in engine_options(engine))
    except values.UnknownError as error:
        return verdict.not_checked(f"The engine's default is not known: {error}.")
    test = functools.partial(_gains_privileges, engine, is_default)
    return each_container.judge(engine, "a way to new privileges", test, with_stopped=True)


def _gains_privileges(engine: Engine, is_default: bool, container: Container) -> t.Iterator[Fault]:
    own = [value for key, value in options_of(container) if key == "no-new-privileges"]
    # As strconv.ParseBool of Go has it.
    if own and own[-1] in ("", "1", "t", "T", "true", "TRUE", "True"):
        return
    if own or not is_default:
        yield Fault("no-new-privileges is %s" % ("off" if own else "not set"))
        return
    # The engine's default counts for what was made after it was set.
    process = None if each_container.is_stopped(container) else first_process(container)
    if process is None or process.no_new_privileges is None:
        if container_image.timestamp(values.text(container.inspect, "Created")) <= engine.started:
            raise values.UnknownError("whether it was made after the engine's default was set is not known")
    elif not process.no_new_privileges:
        yield Fault("made before the engine's default was set")


def _users(_host: Host, engine: Engine, _options: Options) -> Verdict:
    try:
        is_remapped = any("name=userns" in each for each in engine_options(engine))
        containers = each_container.known(engine)
    except values.UnknownError as error:
        return verdict.not_checked(f"The user namespaces of the engine are not known: {error}.")
    if not containers:
        return verdict.not_applicable("The engine has no container.")
    result = each_container.judge(
        engine, "the user namespace of the host", functools.partial(_shared_users, is_remapped), with_stopped=True
    )
    if result.status == _control.PASSED and not is_remapped and not engine.is_rootless:
        return verdict.not_applicable("The engine has no user namespaces for containers, which control 2.10 judges.")
    return result


def _shared_users(is_remapped: bool, container: Container) -> t.Iterator[Fault]:
    if values.text(container.inspect, "HostConfig.UsernsMode") == "host":
        yield Fault("host")
    elif is_remapped and not each_container.is_stopped(container):
        process = first_process(container)
        if process is not None and "user" in (process.host_namespaces or ()):
            yield Fault("its first process is in the host's")


CHECKS: t.Mapping[str, verdict.Check] = {
    "docker_container_apparmor_missing": _apparmor,
    "docker_container_selinux_missing": _selinux,
    "docker_container_capabilities_added": _capabilities,
    "docker_container_privileged": _privileged,
    "docker_host_network_shared": _NETWORK.check,
    "docker_host_processes_shared": _PROCESSES.check,
    "docker_host_ipc_shared": _IPC.check,
    "docker_host_device_exposed": _devices,
    "docker_host_name_shared": _UTS.check,
    "docker_container_seccomp_disabled": _seccomp,
    "docker_container_gains_privileges": _new_privileges,
    "docker_host_users_shared": _users,
}
