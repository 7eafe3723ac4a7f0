# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge section 3: owners, groups and permissions of the files of an engine."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import engine_files, verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.engine_files import Chosen
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine, FileFact, Host
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

Choose = t.Callable[[Host, Engine], Chosen]
# Why a file is wrong, or None if it is right.
Fault = t.Callable[[FileFact, Engine], t.Optional[str]]


def check(choose: Choose, fault: Fault, good: str, wrong: str) -> verdict.Check:
    """Return the check of some files. good: the sentence of files that are right; wrong: what the others have."""

    def judge(host: Host, engine: Engine, _options: Options) -> Verdict:
        chosen = choose(host, engine)
        if chosen.problem is not None:
            return verdict.not_checked(chosen.problem)
        present = [file for file in chosen.files if file.kind and not _is_masked(file)]
        failing = [_item(file, detail) for file in present for detail in [fault(file, engine)] if detail]
        if failing:
            reason = "%d of %d %s." % (len(failing), len(present), wrong)
            return verdict.failed(reason, failing, len(present))
        unknown = [file for file in chosen.files if file.problem is not None]
        if unknown:
            return verdict.not_checked("%s: %s." % (printable(unknown[0].path), str(unknown[0].problem).rstrip(".")))
        if not present:
            return verdict.not_applicable(chosen.absence)
        return verdict.passed(good, len(present), [_item(file, _shown(file)) for file in present])

    return judge


def _item(file: FileFact, detail: str) -> Item:
    if file.target:
        detail += ", where the link leads: %s" % printable(file.target)
    return Item("file", printable(file.path), detail)


def _is_masked(file: FileFact) -> bool:
    """Say whether a unit is masked: a link to /dev/null, which has its own permissions."""
    return file.target == "/dev/null"


def _shown(file: FileFact) -> str:
    return "%s:%s %04o" % (printable(file.owner), printable(file.group), file.mode)


def of_root(file: FileFact, engine: Engine) -> str | None:
    """Root owns it; of a rootless engine its account may as well, with a group of its own."""
    if (file.uid, file.gid) == (0, 0) or (engine.is_rootless and file.uid == engine.uid):
        return None
    return "%s:%s" % (printable(file.owner), printable(file.group))


def of_socket_group(file: FileFact, engine: Engine) -> str | None:
    """Root owns the socket, and the group that the setting names."""
    if engine.is_rootless:
        return of_root(file, engine)
    setting = engine.settings.get("group")
    value = None if setting is None else setting.written if setting.problem is not None else setting.value
    # Without a group the engine leaves the socket to that of root.
    named = "docker" if value is None else str(value) or "root"
    if file.uid == 0 and named in (file.group, str(file.gid)):
        return None
    return "%s:%s in place of root:%s" % (printable(file.owner), printable(file.group), printable(named))


def at_most(mode: int) -> Fault:
    """Return the fault of permissions: any bit that the mode does not have, the special ones of a file among them."""

    def fault(file: FileFact, _engine: Engine) -> str | None:
        # The sticky bit, and setgid of a directory, restrict or only say which group new files get.
        harmless = 0o3000 if file.kind == "directory" else 0o1000
        return None if not file.mode & 0o7777 & ~(mode | harmless) else "mode %04o, at most %04o" % (file.mode, mode)

    return fault


def _pair(owner: str, mode: str, choose: Choose, bits: int, owned: Fault = of_root) -> dict[str, verdict.Check]:
    """Return the two checks of some files, by the ids of their controls."""
    right = "Root, or the account of a rootless engine, is the owner."
    return {
        owner: check(choose, owned, right, "belong to another account or group"),
        mode: check(choose, at_most(bits), "The mode is %04o or less." % bits, "have permissions beyond %04o" % bits),
    }


CHECKS: t.Mapping[str, verdict.Check] = {
    **_pair("docker_service_unit_owner", "docker_service_unit_mode", engine_files.service_unit, 0o644),
    **_pair("docker_socket_unit_owner", "docker_socket_unit_mode", engine_files.socket_unit, 0o644),
    **_pair("docker_etc_owner", "docker_etc_mode", engine_files.directory, 0o755),
    **_pair(
        "docker_registry_certificate_owner",
        "docker_registry_certificate_mode",
        engine_files.registry_certificates,
        0o444,
    ),
    **_pair("docker_tls_ca_owner", "docker_tls_ca_mode", engine_files.certificate("tlscacert"), 0o444),
    **_pair("docker_tls_certificate_owner", "docker_tls_certificate_mode", engine_files.certificate("tlscert"), 0o444),
    **_pair("docker_tls_key_owner", "docker_tls_key_mode", engine_files.certificate("tlskey"), 0o400),
    **_pair("docker_socket_owner", "docker_socket_mode", engine_files.engine_sockets, 0o660, of_socket_group),
    **_pair("docker_daemon_json_owner", "docker_daemon_json_mode", engine_files.daemon_json, 0o644),
    **_pair(
        "docker_etc_default_owner", "docker_etc_default_mode", engine_files.environment("/etc/default/docker"), 0o644
    ),
    **_pair(
        "docker_etc_sysconfig_owner",
        "docker_etc_sysconfig_mode",
        engine_files.environment("/etc/sysconfig/docker"),
        0o644,
    ),
    **_pair(
        "docker_containerd_socket_owner",
        "docker_containerd_socket_mode",
        engine_files.containerd_socket,
        0o660,
    ),
}
