# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what lines of a Dockerfile do with packages: update lists, install, skip verification."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import image_history
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.image_history import Command, Line

_APT = ("apt-get", "apt", "aptitude")
_DNF = ("yum", "dnf", "dnf5", "microdnf", "tdnf")
# By program: what gets new lists of packages or new packages and nothing that the line names, and what installs.
_UPDATES = {
    **dict.fromkeys(_APT, ("update",)),
    **dict.fromkeys(_DNF, ("update", "upgrade", "makecache", "check-update")),
    "apk": ("update",),
    "zypper": ("ref", "refresh"),
}
_INSTALLS = {
    **dict.fromkeys(_APT, ("install", "build-dep")),
    **dict.fromkeys(_DNF, ("install", "localinstall", "groupinstall", "reinstall")),
    "apk": ("add",),
    "zypper": ("in", "install"),
    "pip": ("install",),
    "pip3": ("install",),
    "npm": ("install", "ci"),
    "gem": ("install",),
}
# Commands beside an update that do not use it.
_IDLE = ("set", "echo", "printf", "true", ":", "rm", "mkdir", "chmod", "sleep", "export")
_IDLE_VERBS = ("", "clean", "autoclean", "autoremove", "cache")
# Longer words are no names, and the pattern needs quadratic time for them.
_NAME_LIMIT = 255
_NAME = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9+._/:~-]*(?:[=<>~!]=?[\w.+:~*-]+)?\Z")
_UNVERIFIED = {
    **dict.fromkeys(_APT, ("--allow-unauthenticated", "--force-yes", "--allow-insecure-repositories")),
    **dict.fromkeys(_DNF, ("--nogpgcheck", "--setopt=gpgcheck=0", "--setopt=*.gpgcheck=0", "--setopt=sslverify=0")),
    "apk": ("--allow-untrusted",),
    "zypper": ("--no-gpg-checks", "--allow-unsigned-rpm"),
    "rpm": ("--nosignature", "--nodigest", "--nogpg"),
    "pip": ("--trusted-host",),
    "pip3": ("--trusted-host",),
}
_APT_OPTIONS = re.compile(
    r"(?:APT::Get::AllowUnauthenticated|Acquire::AllowInsecureRepositories)\W{1,3}(?:true|1|yes)\b", re.IGNORECASE
)
_TRUSTED_SOURCE = re.compile(r"\bdeb(?:-src)?\s+\[[^\]]{0,200}trusted=yes", re.IGNORECASE)


def updates_alone(line: Line) -> bool:
    """Say whether a line updates lists of packages and does nothing with them."""
    found = image_history.commands(line)
    updates = [command for command in found if _is_update(command)]
    return bool(updates) and all(command in updates or _is_idle(command) for command in found)


def _is_update(command: Command) -> bool:
    # An update of packages that it names is no update of lists.
    return command.verb in _UPDATES.get(command.program, ()) and not command.operands


def _is_idle(command: Command) -> bool:
    if command.program in _UPDATES:
        return command.verb in _IDLE_VERBS
    return command.program in _IDLE


def installed(line: Line) -> list[str]:
    """Return the packages that a line installs by name. What does not look like a name stays on the host."""
    return [
        word
        for command in image_history.commands(line)
        if command.verb in _INSTALLS.get(command.program, ())
        for word in command.operands
        if len(word) <= _NAME_LIMIT and _NAME.match(word) and "://" not in word
    ]


def unverified(line: Line) -> t.Iterator[str]:
    """Yield what switches off the verification of what a line installs or downloads."""
    for command in image_history.commands(line):
        known = _UNVERIFIED.get(command.program, ())
        for option in command.options:
            if option in known or (option.startswith("-") and option.partition("=")[0] in known):
                yield "%s %s" % (command.program, option.partition("=")[0] if "://" in option else option)
    if line.instruction == "RUN":
        for pattern, name in ((_APT_OPTIONS, "option of apt"), (_TRUSTED_SOURCE, "trusted=yes in a source of apt")):
            if pattern.search(line.text):
                yield name
