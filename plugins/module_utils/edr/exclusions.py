# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exclusions that hide too much: places that everybody can write to, whole trees, and programs that run anything."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import Exclusion

_WILDCARD = re.compile(r"[*?\[]")
# Anybody can put a file there, however deep the exclusion is.
_ANYBODYS = ("/tmp", "/var/tmp", "/dev/shm", "/run/user")  # noqa: S108 - compared with, never opened
# Directories of the system with other programs and data than those of one application.
_TREES = frozenset(
    (
        "/",
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/home",
        "/lib",
        "/lib64",
        "/media",
        "/mnt",
        "/opt",
        "/proc",
        "/root",
        "/run",
    )
    + ("/sbin", "/srv", "/sys", "/usr", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/local", "/usr/local/bin")
    + ("/usr/local/lib", "/usr/local/sbin", "/usr/sbin", "/usr/share", "/var", "/var/cache", "/var/lib", "/var/log")
    + ("/var/opt", "/var/run", "/var/spool", "/var/www")
)
_EXTENSIONS = frozenset(
    ("bin", "deb", "dll", "elf", "exe", "jar", "js", "ko", "php", "pl", "py", "rb", "rpm", "run", "sh", "so", "war")
)
_RUNS_ANYTHING = re.compile(
    r"(?:ash|awk|bash|busybox|cron|crond|curl|dash|env|find|java|ksh|lua|node|perl|php|python|ruby|sh|ssh|sshd|su|sudo|"
    r"systemd|tar|wget|xargs|zsh)[0-9.]*\Z"
)


def broad(exclusions: t.Iterable[Exclusion], accepted: t.Container[str]) -> list[tuple[Exclusion, str]]:
    """Return the exclusions that are too broad with the reasons. accepted: values of exclusions that are not named."""
    judged = ((exclusion, _reason(exclusion)) for exclusion in exclusions if exclusion.value not in accepted)
    return [(exclusion, reason) for exclusion, reason in judged if reason]


def _reason(exclusion: Exclusion) -> str:
    if exclusion.kind == "path":
        return _path_reason(exclusion.value)
    if exclusion.kind == "extension":
        extension = exclusion.value.lstrip("*.").lower()
        return "attackers use files of this type" if not extension or extension in _EXTENSIONS else ""
    if exclusion.kind == "process":
        name = posixpath.basename(exclusion.value)
        if not name.strip("*?"):
            return "it matches every program"
        return "this program runs any command" if _RUNS_ANYTHING.match(name) else ""
    return ""


def _path_reason(value: str) -> str:
    fixed = _WILDCARD.split(value, maxsplit=1)[0]
    is_pattern = fixed != value
    # Up to the last directory that is spelt out.
    directory = posixpath.normpath("/" + (posixpath.dirname(fixed) if is_pattern else value).lstrip("/"))
    if any(directory == writable or directory.startswith(writable + "/") for writable in _ANYBODYS):
        return "every account can write there"
    if directory in _TREES and (not is_pattern or not value[len(fixed) :].strip("*?/")):
        return "it is a whole directory tree of the system"
    # /home/*/work and /*/x: the pattern stands for a directory, not for a part of a file's name.
    if is_pattern and directory in ("/", "/home"):
        return "its pattern matches directories of every account or application"
    return ""
