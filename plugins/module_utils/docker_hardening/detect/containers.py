# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge how containers run and what they may use: parts of section 5."""

from __future__ import annotations

import functools
import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import (
    container_image,
    container_isolation,
    container_mounts,
    container_ports,
    each_container,
    values,
    verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.each_container import Fault
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    Container,
    Engine,
    Host,
    Json,
    Process,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

_SSH_SERVERS = frozenset(("sshd", "sshd-session", "sshd-auth", "dropbear", "tinysshd", "lshd"))
# One program for server and client.
_DROPBEAR = "dropbearmulti"
# How OpenSSH calls its processes, whatever its file is called: the one that listens, and those of sessions.
_TITLE = re.compile(r"\[listener\] \d+ of \d+-\d+ startups|\Asshd(?:-session|-auth)?: ")
# What the kernel adds to the path of a file that was removed after it was started.
_REMOVED = " (deleted)"
# The engine's default, which is the same for all.
_DEFAULT_SHARES = (0, 1024)
_MOST_RESTARTS = 5
_DEFAULT_BRIDGE = "bridge"
_ROOT = ("root", "0")
_LIMIT = re.compile(r"(-?[0-9]{1,19})(?::(-?[0-9]{1,19}))?")
# Name, soft and hard limit.
_Ulimit = t.Tuple[str, int, int]


def _each(fault: str, test: each_container.Test, virtue: str | None = None, with_stopped: bool = True) -> verdict.Check:
    """Return the check that all containers pass a test that needs nothing else."""

    def check(_host: Host, engine: Engine, _options: Options) -> Verdict:
        return each_container.judge(engine, fault, test, with_stopped, virtue)

    return check


def _swarm(_host: Host, engine: Engine, options: Options) -> Verdict:
    try:
        state = values.text(engine.info, "Swarm.LocalNodeState")
    except values.UnknownError as error:
        return verdict.not_checked(f"It is not known whether the engine is in a swarm: {error}.")
    if state == "inactive":
        return verdict.passed("The engine is in no swarm.")
    items = [Item("setting", "swarm", printable(state))]
    if options.swarm is None:
        return verdict.manual("The engine is in a swarm.", items)
    if options.swarm:
        return verdict.passed("The engine is in a swarm, as docker_hardening_swarm wants it.")
    return verdict.failed("The engine is in a swarm, and docker_hardening_swarm wants none.", items)


def _ssh_server(container: Container) -> t.Iterator[Fault]:
    if not container.processes:
        raise values.UnknownError("its processes are not known")
    for process in container.processes:
        executable = process.executable
        if executable.endswith(_REMOVED):
            executable = executable[: -len(_REMOVED)]
        # The name of a process alone is that of a script, too.
        name = posixpath.basename(executable) or process.name
        if name in _SSH_SERVERS or (name == _DROPBEAR and process.name == "dropbear") or _is_titled(process):
            yield Fault(printable(executable or process.name))
        elif not executable and process.arguments:
            raise values.UnknownError("the executable of process %d could not be read" % process.pid)


def _is_titled(process: Process) -> bool:
    return _TITLE.search(" ".join(process.arguments)) is not None


def _unlimited_memory(container: Container) -> t.Iterator[Fault]:
    if values.number(container.inspect, "HostConfig.Memory") <= 0:
        yield Fault("no limit")


def _unlimited_processor(container: Container) -> t.Iterator[Fault]:
    shares = values.number(container.inspect, "HostConfig.CpuShares")
    limits = [values.number(container.inspect, f"HostConfig.{each}") for each in ("NanoCpus", "CpuQuota")]
    if shares in _DEFAULT_SHARES and max(limits) <= 0:
        yield Fault("shares %d, no limit" % shares)


def _writable_root(container: Container) -> t.Iterator[Fault]:
    if not values.flag(container.inspect, "HostConfig.ReadonlyRootfs"):
        yield Fault("writable")


def _endless_restarts(container: Container) -> t.Iterator[Fault]:
    name = values.text(container.inspect, "HostConfig.RestartPolicy.Name")
    retries = values.number(container.inspect, "HostConfig.RestartPolicy.MaximumRetryCount")
    if name in ("", "no"):
        return
    if name != "on-failure" or not 0 < retries <= _MOST_RESTARTS:
        yield Fault(printable("%s:%d" % (name, retries) if retries else name))


def _own_ulimits(_host: Host, engine: Engine, options: Options) -> Verdict:
    # The engine writes its defaults into each container.
    defaults = set(_default_ulimits(engine))
    wanted = options.ulimits

    def test(container: Container) -> t.Iterator[Fault]:
        for name, soft, hard in _ulimits(container):
            if (name, soft, hard) not in defaults and name not in (wanted or ()):
                yield Fault(printable("%s=%d:%d" % (name, soft, hard)))

    result = each_container.judge(engine, "ulimits of its own", test, with_stopped=True)
    if wanted is not None or result.status != _control.FAILED:
        return result
    return verdict.manual(result.reason, result.items, result.examined)


def _ulimits(container: Container) -> t.Iterator[_Ulimit]:
    for each in values.mappings(container.inspect, "HostConfig.Ulimits"):
        yield values.text(each, "Name"), values.number(each, "Soft"), values.number(each, "Hard")


def _default_ulimits(engine: Engine) -> t.Iterator[_Ulimit]:
    """Yield the engine's ulimits, of its file as objects, of its flags as ``SOFT:HARD``; others than these are none."""
    setting = engine.settings.get("default-ulimits")
    value = setting.value if setting is not None and setting.problem is None else None
    for name, limit in value.items() if isinstance(value, dict) else ():
        soft, hard = (limit.get("Soft"), limit.get("Hard")) if isinstance(limit, dict) else _pair(str(limit))
        if isinstance(soft, int) and isinstance(hard, int):
            yield str(name), soft, hard


def _pair(limit: str) -> tuple[int | None, int | None]:
    match = _LIMIT.fullmatch(limit)
    return (int(match.group(1)), int(match.group(2) or match.group(1))) if match else (None, None)


def _own_control_group(container: Container) -> t.Iterator[Fault]:
    parent = values.text(container.inspect, "HostConfig.CgroupParent")
    if parent:
        yield Fault(printable(parent))


def _unchecked_health(container: Container) -> t.Iterator[Fault]:
    health = values.mapping(container.inspect, "State.Health", may_miss=True)
    if not health or values.text(health, "Status") in ("", "none"):
        yield Fault("no health check")


def _unlimited_processes(container: Container) -> t.Iterator[Fault]:
    if values.number(container.inspect, "HostConfig.PidsLimit", null=0) <= 0:
        yield Fault("no limit")


def _bridge(_host: Host, engine: Engine, _options: Options) -> Verdict:
    test = functools.partial(_default_bridge, engine)
    return each_container.judge(engine, "a place on the default bridge", test, with_stopped=True)


def _default_bridge(engine: Engine, container: Container) -> t.Iterator[Fault]:
    network = values.mapping(container.inspect, "NetworkSettings.Networks").get(_DEFAULT_BRIDGE)
    if network is None:
        return
    # An engine without a default bridge still names it, and gives no endpoint there.
    if values.text({"network": network}, "network.EndpointID"):
        yield Fault(f"network {_DEFAULT_BRIDGE}")
    elif each_container.is_stopped(container):
        if engine.networks is None:
            raise values.UnknownError(each_container.problem_of(engine, "networks"))
        if any(each.get("Name") == _DEFAULT_BRIDGE for each in engine.networks):
            yield Fault(f"network {_DEFAULT_BRIDGE}")


def _execs(is_meant: t.Callable[[Json], bool], how: str) -> verdict.Check:
    """Return the check of what people run in containers: those that run fail it, those that ended a person looks up."""

    def check(_host: Host, engine: Engine, _options: Options) -> Verdict:
        try:
            containers, absence = each_container.chosen(engine)
            if not containers:
                return verdict.not_applicable(absence)
            known = {container.id: container for container in containers}
            items = [_exec_item(each, known) for each in _running_execs(engine) if is_meant(each)]
        except values.UnknownError as error:
            return verdict.not_checked(f"The commands in containers are not known: {error}.")
        if items:
            return verdict.failed(
                "%d of %d commands in containers run %s." % (len(items), len(engine.execs), how), items
            )
        return verdict.manual(f"No command in a container runs {how} now; the audit log knows earlier ones.", ())

    return check


def _running_execs(engine: Engine) -> list[Json]:
    if any(what == "execs" for what, _why in engine.problems):
        raise values.UnknownError(each_container.problem_of(engine, "execs"))
    return [each for each in engine.execs if values.flag(each, "Running")]


def _exec_item(each: Json, containers: t.Mapping[str, Container]) -> Item:
    program = printable(values.text(each, "ProcessConfig.entrypoint"))
    container = containers.get(values.text(each, "ContainerID"))
    if container is None:
        return Item("container", printable(values.text(each, "ContainerID")[:12]), program)
    return each_container.item(container, [Fault(program)])


def _is_privileged_exec(each: Json) -> bool:
    return values.flag(each, "ProcessConfig.privileged")


def _is_root_exec(each: Json) -> bool:
    return values.text(each, "ProcessConfig.user", "").partition(":")[0] in _ROOT


CHECKS: t.Mapping[str, verdict.Check] = {
    **container_isolation.CHECKS,
    **container_mounts.CHECKS,
    **container_ports.CHECKS,
    "docker_swarm_unneeded": _swarm,
    "docker_container_runs_sshd": _each("an SSH server", _ssh_server, with_stopped=False),
    "docker_container_memory_unlimited": _each("no limit of memory", _unlimited_memory, "a limit of memory"),
    "docker_container_processor_unlimited": _each(
        "no share or limit of processor time", _unlimited_processor, "a share or limit of processor time"
    ),
    "docker_container_root_writable": _each(
        "a root file system that can be written to", _writable_root, "a root file system that is read only"
    ),
    "docker_container_restarts_endlessly": _each("a restart policy without an end", _endless_restarts),
    "docker_container_ulimit_changed": _own_ulimits,
    "docker_exec_privileged": _execs(_is_privileged_exec, "with --privileged"),
    "docker_exec_root": _execs(_is_root_exec, "with --user root"),
    "docker_container_control_group_changed": _each("a control group of its own choice", _own_control_group),
    "docker_container_health_unchecked": _each("no health check", _unchecked_health, "a health check", False),
    "docker_container_image_outdated": container_image.check,
    "docker_container_processes_unlimited": _each(
        "no limit of processes", _unlimited_processes, "a limit of processes"
    ),
    "docker_container_default_bridge": _bridge,
}
