# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge section 1: the host of an engine, and what its kernel audits."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import (
    engine_files,
    listeners,
    verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.engine_files import Chosen, same
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    STOPPED,
    Account,
    Audit,
    Engine,
    FileFact,
    Host,
    Watch,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

# A change of content and of owner or permissions.
_NEEDED = frozenset("wa")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_DELETED = " (deleted)"
_EVERYONE = "everyone"
_DAEMON = "/usr/bin/dockerd"
_RUNTIME = "/run/containerd"


def _check_data_root(_host: Host, engine: Engine, _options: Options) -> Verdict:
    root = engine.data_root
    if root is None or root.problem is not None:
        why = root.problem if root is not None and root.problem else "it is not known where it is"
        return verdict.not_checked("The data root was not checked: %s." % why.rstrip("."))
    if -1 in (root.device, root.parent_device):
        return verdict.not_checked("The devices of %s are not known." % printable(root.path))
    evidence = [Item("file", printable(root.path), "the file system of the directory above it")]
    if root.device == root.parent_device:
        return verdict.failed("The data root is on the file system of the directory above it.", evidence, 1)
    return verdict.passed("The data root has a file system of its own.", 1)


def _check_accounts(host: Host, engine: Engine, options: Options) -> Verdict:
    if host.accounts_problem is not None:
        return verdict.not_checked("Not all accounts are known: %s." % host.accounts_problem.rstrip("."))
    addresses = [listener.address for listener in listeners.sockets(engine)]
    missing = [address for address in addresses if address not in host.accounts]
    if engine.state == STOPPED and (missing or not addresses):
        return verdict.not_checked("The engine does not run, so that it has no socket.")
    if missing or not engine.listeners:
        where = printable(missing[0]) if missing else "the sockets of the engine"
        return verdict.not_checked("It was not checked who may use %s." % where)
    problem = listeners.verification_problem(engine)
    if problem is not None:
        return verdict.not_checked(problem)
    accounts = _who_controls(host, engine)
    if not accounts:
        return verdict.passed("Only root and the account of the engine control it.")
    trusted = options.trusted_users
    if trusted is None:
        return verdict.manual(
            "Accounts that control the engine: %d." % len(accounts), _accounts(accounts), len(accounts)
        )
    others = [account for account in accounts if account.name not in trusted or _is_everyone(account)]
    if others:
        reason = "%d of %d accounts are not in docker_hardening_trusted_users." % (len(others), len(accounts))
        return verdict.failed(reason, _accounts(others), len(accounts))
    return verdict.passed("All accounts that control the engine are trusted.", len(accounts), _accounts(accounts))


def _who_controls(host: Host, engine: Engine) -> list[Account]:
    """Return the accounts that may use the sockets of an engine, but for root and its own; everyone by an open port."""
    own = engine.uid if engine.is_rootless else 0
    found = {account for each in listeners.sockets(engine) for account in host.accounts[each.address]}
    by_port = [
        Account(_EVERYONE, -1, "%s without a certificate" % each.address) for each in listeners.unverified(engine)
    ]
    return sorted({account for account in found if account.uid not in (0, own)}.union(by_port))


def _is_everyone(account: Account) -> bool:
    """Say whether it is no account but all of them, whatever the operator calls one."""
    return account.name == _EVERYONE and account.uid == -1


def _accounts(accounts: t.Iterable[Account]) -> list[Item]:
    return [Item("account", printable(account.name), printable(account.by)) for account in accounts]


def _audited(choose: t.Callable[[Host, Engine], Chosen]) -> verdict.Check:
    """Return the check that the kernel records changes to some files."""

    def check(host: Host, engine: Engine, _options: Options) -> Verdict:
        if host.audit.problem is not None:
            return verdict.not_checked("%s." % host.audit.problem.rstrip("."))
        chosen = choose(host, engine)
        if chosen.problem is not None:
            return verdict.not_checked(chosen.problem)
        present = [file for file in chosen.files if file.kind]
        unwatched = [file for file in present if not _is_watched(host.audit, file)]
        if unwatched:
            why = "no watch for w and a" if host.audit.is_enabled else "the kernel records nothing: auditing is off"
            items = [Item("rule", printable(file.path), why) for file in unwatched]
            return verdict.failed(
                "The kernel does not record changes to %d of %d paths." % (len(items), len(present)),
                items,
                len(present),
            )
        unknown = [file for file in chosen.files if file.problem is not None]
        if unknown:
            return verdict.not_checked("%s: %s." % (printable(unknown[0].path), str(unknown[0].problem).rstrip(".")))
        if not present:
            return verdict.not_applicable(chosen.absence)
        items = [Item("rule", printable(file.path), "watched") for file in present]
        return verdict.passed("The kernel records changes to it.", len(present), items)

    return check


def _is_watched(audit: Audit, file: FileFact) -> bool:
    """Say whether rules watch a path, or a directory above it, for all that is needed."""
    if not audit.is_enabled:
        return False
    paths = {same(file.path), same(file.target)} - {""}
    return any(
        {letter for watch in audit.watches if _covers(watch, path, file) for letter in watch.permissions} >= _NEEDED
        for path in paths
    )


def _covers(watch: Watch, path: str, file: FileFact) -> bool:
    watched = same(watch.path)
    if watched == path:
        # A watch of a directory alone says nothing of what is in it.
        return watch.is_directory or file.kind != "directory"
    return watch.is_directory and path.startswith(watched.rstrip("/") + "/")


def _daemon(host: Host, engine: Engine) -> Chosen:
    path = engine.executable[: -len(_DELETED)] if engine.executable.endswith(_DELETED) else engine.executable
    if path:
        return Chosen((engine_files.fact(host, path) or FileFact(path, "file"),), "")
    return engine_files.at(host, _DAEMON, "There is no %s." % _DAEMON)


def _data(_host: Host, engine: Engine) -> Chosen:
    if engine.data_root is None or engine.data_root.problem is not None:
        return Chosen((), "", "The data root was not checked.")
    return Chosen((FileFact(engine.data_root.path, "directory"),), "")


def _unit(host: Host, engine: Engine) -> Chosen:
    chosen = engine_files.service_unit(host, engine)
    files = tuple(file for file in chosen.files if file.path.endswith(".service"))
    return chosen._replace(files=files)


def _runtime(host: Host, engine: Engine) -> Chosen:
    """Choose the runtime directory of containerd. Sockets of shims are there, whoever started containerd."""
    if not engine.is_rootless:
        return engine_files.at(host, _RUNTIME, "There is no %s." % _RUNTIME)
    path = posixpath.dirname(engine_files.containerd_path(host, engine))
    return engine_files.at(host, path, "There is no %s." % printable(path))


def _at(path: str) -> t.Callable[[Host, Engine], Chosen]:
    return lambda host, _engine: engine_files.at(host, path, "There is no %s." % path)


def _program(name: str) -> t.Callable[[Host, Engine], Chosen]:
    """Return what chooses a program in each directory of programs that it is in."""

    def choose(host: Host, _engine: Engine) -> Chosen:
        looked_at = [file for path, file in host.files.items() if path.endswith(("/bin/%s" % name, "/sbin/%s" % name))]
        if not looked_at:
            return Chosen((), "", "%s was not looked for." % name)
        return Chosen(tuple(_once(looked_at)), "There is no program %s." % name)

    return choose


def _once(files: t.Iterable[FileFact]) -> t.Iterable[FileFact]:
    """Return each file once, as directories of programs can be links to each other."""
    return {file.target or file.path: file for file in files}.values()


def _check_hardened(host: Host, engine: Engine, _options: Options) -> Verdict:
    info = engine.info
    control = [name for name, is_there in (("AppArmor", host.has_apparmor), ("SELinux", host.has_selinux)) if is_there]
    items = [Item("host", "mandatory access control", ", ".join(control) or "none")]
    if isinstance(info.get("OperatingSystem"), str):
        items.append(Item("host", "operating system", printable(info["OperatingSystem"])))
    if isinstance(info.get("KernelVersion"), str):
        # A new kernel is what a hardened host gets all the time.
        items.append(Item("host", "kernel", "", printable(info["KernelVersion"])))
    return verdict.manual("Only a person knows how this host was hardened.", items)


def _check_version(host: Host, engine: Engine, options: Options) -> Verdict:
    items = [
        Item("host", "package %s" % printable(name), printable(version))
        for name, version in sorted(host.packages.items())
    ]
    built = engine.version.get("BuildTime")
    if isinstance(engine.version.get("Version"), str):
        items.append(Item("host", "engine", printable(engine.version["Version"]), _built(built)))
    components = engine.version.get("Components")
    for component in components if isinstance(components, list) else ():
        if isinstance(component, dict) and component.get("Name") != "Engine":
            name, version = component.get("Name"), component.get("Version")
            items.append(Item("host", "component %s" % printable(str(name)), printable(str(version))))
    if not items:
        return verdict.not_checked("Neither the engine nor a package says its version.")
    if options.minimum_version is None:
        return verdict.manual("Only a person knows whether this version is current.", items)
    known = _numbers(engine.version.get("Version"))
    if not known:
        return verdict.not_checked("The engine does not say its version.")
    if known < _numbers(options.minimum_version):
        return verdict.failed("The engine is older than %s." % options.minimum_version, items, 1)
    return verdict.passed("The engine is not older than %s." % options.minimum_version, 1, items)


def _numbers(version: t.Any) -> tuple[int, ...]:
    """Return the numbers that a version begins with, such as 28, 5 and 2 of ``28.5.2+dfsg1``; none of anything else."""
    match = _VERSION.match(version) if isinstance(version, str) else None
    numbers = [int(number) for number in match.group().split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _built(time: t.Any) -> str:
    return "built %s" % printable(time) if isinstance(time, str) and time else ""


CHECKS: t.Mapping[str, verdict.Check] = {
    "docker_data_not_separate": _check_data_root,
    "docker_accounts_untrusted": _check_accounts,
    "docker_audit_daemon": _audited(_daemon),
    "docker_audit_containerd_runtime": _audited(_runtime),
    "docker_audit_data": _audited(_data),
    "docker_audit_configuration": _audited(engine_files.directory),
    "docker_audit_service_unit": _audited(_unit),
    "docker_audit_containerd_socket": _audited(engine_files.containerd_socket),
    "docker_audit_socket": _audited(engine_files.engine_sockets),
    "docker_audit_etc_default": _audited(engine_files.environment("/etc/default/docker")),
    "docker_audit_daemon_json": _audited(engine_files.daemon_json),
    "docker_audit_containerd_config": _audited(_at("/etc/containerd/config.toml")),
    "docker_audit_etc_sysconfig": _audited(engine_files.environment("/etc/sysconfig/docker")),
    "docker_audit_containerd": _audited(_program("containerd")),
    "docker_audit_shim": _audited(_program("containerd-shim")),
    "docker_audit_shim_v1": _audited(_program("containerd-shim-runc-v1")),
    "docker_audit_shim_v2": _audited(_program("containerd-shim-runc-v2")),
    "docker_audit_runc": _audited(_program("runc")),
    "docker_host_not_hardened": _check_hardened,
    "docker_version_outdated": _check_version,
}
