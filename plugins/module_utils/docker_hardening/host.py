# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all engines of a host share: files, audit rules, security modules, and what else runs containers."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import netlink, words
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import ALL_SYSCALLS, Rule, RuleError
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Audit, FileFact, Watch

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root

# What the benchmark names, where distributions have it.
_BINARIES = ("containerd", "containerd-shim", "containerd-shim-runc-v1", "containerd-shim-runc-v2", "dockerd", "runc")
_DIRECTORIES = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
_FILES = (
    "/etc/containerd/config.toml",
    "/etc/default/docker",
    "/etc/docker",
    "/etc/docker/certs.d",
    "/etc/docker/daemon.json",
    "/etc/sysconfig/docker",
    "/run/containerd",
    "/run/containerd/containerd.sock",
    "/run/docker.sock",
    "/var/lib/docker",
)
_UNITS = ("docker.service", "docker.socket")
_UNIT_DIRECTORIES = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
_PACKAGES = (
    "containerd",
    "containerd.io",
    "docker",
    "docker-ce",
    "docker-engine",
    "docker.io",
    "moby-engine",
    "podman",
    "runc",
)
_DPKG_STATUS = "/var/lib/dpkg/status"
_APK_INSTALLED = "/lib/apk/db/installed"
_RPM = "/usr/bin/rpm"
_RPM_DATABASES = ("/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages")
_RPM_SECONDS = 10.0
_READ_LIMIT = 64 * 1024 * 1024
# Control groups of containers by who made them, and the sockets of those who do.
_GROUPS = (
    ("Podman", re.compile(r"(?:^|/)libpod-[0-9a-f]{64}")),
    ("CRI-O", re.compile(r"(?:^|/)crio-[0-9a-f]{64}")),
    ("containerd", re.compile(r"(?:^|/)(?:cri-containerd|nerdctl)-[0-9a-f]{64}|kubepods.*[/:][0-9a-f]{64}")),
    ("LXC", re.compile(r"(?:^|/)lxc(?:\.payload)?[./][^/]+")),
    ("systemd-nspawn", re.compile(r"(?:^|/)(?:machine-(?!qemu)[^/]+\.scope|systemd-nspawn@[^/]+\.service)")),
)
_SOCKETS = (
    ("Podman", "/run/podman/podman.sock"),
    ("CRI-O", "/run/crio/crio.sock"),
    ("containerd", "/run/k3s/containerd/containerd.sock"),
    ("containerd", "/var/snap/microk8s/common/run/containerd.sock"),
)


def files(root: Root) -> dict[str, FileFact]:
    """Return what is in each of the places that the benchmark names."""
    paths = [*_FILES, *("%s/%s" % (folder, name) for folder in _DIRECTORIES for name in _BINARIES)]
    paths += ["%s/%s" % (folder, name) for folder in _UNIT_DIRECTORIES for name in _UNITS]
    return {path: root.fact(path) for path in sorted(paths)}


def audit() -> Audit:
    """Return the watches that the kernel has."""
    try:
        with netlink.connected() as kernel:
            rules = kernel.rules()
            return Audit(kernel.status().enabled != 0 and not _is_silenced(rules), tuple(_watches(rules)))
    except (HostError, netlink.KernelError, RuleError, OSError) as error:
        return Audit(problem=str(error))


def _is_silenced(rules: t.Iterable[Rule]) -> bool:
    """Say whether a rule keeps the kernel from recording anything, such as ``-a never,task`` of distributions."""
    return any(
        rule.action == words.NEVER and rule.filter in (words.TASK, words.EXIT) and _numbers(rule) <= {words.KEY}
        for rule in rules
        if rule.filter == words.TASK or rule.mask & ALL_SYSCALLS == ALL_SYSCALLS
    )


def _watches(rules: t.Iterable[Rule]) -> t.Iterator[Watch]:
    """Yield the paths that are watched for everybody: what a rule narrows in another way is none of them.

    The first rule that matches an event decides (auditctl(8)).
    """
    never: list[Watch] = []
    for rule in rules:
        watch = _watch(rule)
        if watch is None:
            continue
        if rule.action == words.NEVER:
            never.append(watch)
        elif rule.action == words.ALWAYS:
            silenced = {letter for each in never if _overlap(each, watch) for letter in each.permissions}
            permissions = "".join(letter for letter in watch.permissions if letter not in silenced)
            if permissions:
                yield watch._replace(permissions=permissions)


def _watch(rule: Rule) -> Watch | None:
    """Return what a rule is about where that is a path, and nothing else narrows it."""
    is_directory = words.DIR in _numbers(rule)
    path = rule.value(words.DIR if is_directory else words.WATCH)
    if (
        isinstance(path, bytes)
        and rule.filter == words.EXIT
        and rule.mask & ALL_SYSCALLS == ALL_SYSCALLS
        and _numbers(rule) <= {words.DIR, words.WATCH, words.PERM, words.KEY, words.ARCH}
        and all(field.operator == words.EQUAL for field in rule.fields)
    ):
        return Watch(os.fsdecode(path), is_directory, _permissions(rule))
    return None


def _overlap(one: Watch, other: Watch) -> bool:
    """Say whether two watches have a path in common."""
    return one.path == other.path or any(
        above.is_directory and below.path.startswith(above.path.rstrip("/") + "/")
        for above, below in ((one, other), (other, one))
    )


def _numbers(rule: Rule) -> set[int]:
    return {field.number for field in rule.fields}


def _permissions(rule: Rule) -> str:
    value = rule.value(words.PERM)
    if isinstance(value, int):
        return "".join(letter for letter in "rwxa" if value & words.PERMISSIONS[letter])
    return "rwxa"


def has_apparmor() -> bool:
    return _text("/sys/module/apparmor/parameters/enabled") == "Y"


def has_selinux() -> bool:
    return _text("/sys/fs/selinux/enforce") == "1"


def boot_time() -> float:
    for line in _text("/proc/stat", 1 << 20).splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


def other(groups: t.Iterable[str], listening: t.Collection[str]) -> tuple[tuple[str, str], ...]:
    """Return what else runs containers, each with one piece of evidence.

    groups: the paths of all control groups with processes. listening: the paths of sockets that somebody listens on.
    """
    found: dict[str, str] = {}
    for name, path in _SOCKETS:
        if path in listening:
            found.setdefault(name, "socket %s" % path)
    for path in listening:
        if re.match(r"/run/user/[0-9]+/podman/podman\.sock\Z", path):
            found.setdefault("Podman", "socket %s" % path)
    for group in groups:
        for name, pattern in _GROUPS:
            if pattern.search(group):
                found.setdefault(name, "control group %s" % group)
    return tuple(sorted(found.items()))


def is_other(group: str) -> bool:
    """Say whether a control group is that of a container of something else than a Docker Engine."""
    return any(pattern.search(group) for _name, pattern in _GROUPS)


def packages() -> dict[str, str]:
    """Return the versions of the packages that run containers, of dpkg, apk or rpm."""
    found = {**_stanzas(_DPKG_STATUS, "Package: ", "Version: "), **_stanzas(_APK_INSTALLED, "P:", "V:")}
    if os.path.exists(_RPM) and any(map(os.path.exists, _RPM_DATABASES)):
        found.update(_rpm_packages())
    return found


def _stanzas(path: str, name_field: str, version_field: str) -> dict[str, str]:
    """Return the versions of packages in a database of stanzas, those that are installed."""
    found = {}
    text = "\n" + _text(path, _READ_LIMIT)
    for name in _PACKAGES:
        place = text.find("\n%s%s\n" % (name_field, name))
        lines = text[place:].partition("\n\n")[0].splitlines() if place >= 0 else []
        versions = [line[len(version_field) :] for line in lines if line.startswith(version_field)]
        # apk has no state: what it lists is installed.
        states = [line for line in lines if line.startswith("Status: ")]
        if versions and all(state.endswith(" installed") for state in states):
            found[name] = versions[0]
    return found


def _rpm_packages() -> dict[str, str]:
    # It takes as long to import as the rest of a small host takes to read.
    from ansible_collections.bulwark.servers.plugins.module_utils import _command

    command = [_RPM, "-q", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\n", *_PACKAGES]
    try:
        output = _command.run(command, timeout=_RPM_SECONDS, max_output=1 << 20).stdout
    except _command.CommandError:
        return {}
    pairs = [line.split() for line in os.fsdecode(output).splitlines()]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _text(path: str, most: int = 256) -> str:
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        return os.fsdecode(stream.read(most)).strip()
    return ""
