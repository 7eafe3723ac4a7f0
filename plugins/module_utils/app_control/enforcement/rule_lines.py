# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of our rule file for fapolicyd.

What each line decides, the first that matches counts:

1. Trusted files run, and may be read.
2. What rules of the allowlist name by content or directory, and exceptions.
3. Nothing else is executed.
4. Root's Python reads everything: modules of Ansible and scans of the collection are such.
5. A run-time linker that is given a program loads no untrusted one.
6. Root's programs that copy and examine files read untrusted programs and libraries, others don't.
7. Interpreters read no script that has a first line for them, except below directories of the system. Python does not
   where accounts keep files: many modules of applications have such a line, and no allowlist has modules.

A field that fapolicyd can't find out counts as matching (rules.c), so no rule depends on one that a process can hide.
Every denial is deny_audit: the kernel writes it into the audit log, which no process can forge.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.facts import Facts
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.special_programs import TYPES
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.rules import (
    ROOT_DIRECTORIES,
    is_value,
)

ALLOW_TRUSTED = "allow perm=any all : trust=1"
DENY_EXECUTION = "deny_audit perm=execute all : all"
# A library may name an interpreter or be malformed for fapolicyd and nevertheless be loaded.
_ELF = ("application/x-sharedlib", "application/x-executable", "application/x-bad-elf")
# Where packages and administrators keep what shells source and interpreters import.
SYSTEM_DIRECTORIES = (
    *("/etc/", "/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/lib32/", "/usr/lib64/", "/usr/libexec/", "/usr/share/"),
    *("/usr/src/", "/var/lib/dpkg/"),
)


# Where accounts, and intruders, keep files.
_DROPPED = ("/tmp/", "/var/tmp/", "/dev/shm/", "/home/", "/root/")  # noqa: S108 - nothing is written there
_HOME = re.compile(r"(/home/[^/]+|/root)/")


def assemble(facts: Facts, allowing: t.Iterable[str], named: t.Iterable[str] = ()) -> list[str]:
    """Return all lines. allowing: those that the allowlist makes. named: the paths that it has."""
    interpreters = {language: _values(paths) for language, paths in sorted(facts.interpreters.items())}
    scripts = sorted({each for language in interpreters for each in TYPES[language]})
    lines = [_set("bulwark_elf", _ELF), _set("bulwark_code", (*_ELF, *scripts))]
    pythons, readers, loaders = _values(facts.pythons), _values(facts.readers), _values(facts.loaders)
    everyone = _values({path for paths in interpreters.values() for path in paths})
    for name, values in (("pythons", pythons), ("readers", readers), ("loaders", loaders), ("interpreters", everyone)):
        if values:
            lines.append(_set("bulwark_" + name, values))
    lines += [ALLOW_TRUSTED, *allowing, DENY_EXECUTION]
    if pythons:
        lines.append("allow perm=open uid=0 exe=%bulwark_pythons : all")
    if loaders:
        lines.append("deny_audit perm=open exe=%bulwark_loaders : ftype=%bulwark_elf")
    if readers:
        lines.append("allow perm=open uid=0 exe=%bulwark_readers : ftype=%bulwark_elf")
    lines.append("deny_audit perm=open all : ftype=%bulwark_elf")
    if everyone:
        lines.append("allow perm=open exe=%%bulwark_interpreters : dir=%s" % ",".join(SYSTEM_DIRECTORIES))
        lines += _connections(facts)
        if pythons:
            lines += ["allow perm=open exe=%%bulwark_pythons : dir=%s" % home for home in _homes(named)]
        for language, paths in interpreters.items():
            where = "dir=%s " % ",".join(_DROPPED) if language == "python" else ""
            if paths:
                lines.append(
                    "deny_audit perm=open exe=%s : %sftype=%s" % (",".join(paths), where, ",".join(TYPES[language]))
                )
    return lines


def _homes(named: t.Iterable[str]) -> list[str]:
    """Return the home directories that have something of the allowlist: an application, with its modules."""
    homes = {match.group(0) for match in map(_HOME.match, named) if match}
    return sorted(home for home in homes if is_value(home))


def by_content(sha256: str) -> list[str]:
    """Return the rules for a content at any path below directories of root's."""
    where = ",".join(ROOT_DIRECTORIES)
    return [
        "allow perm=execute all : dir=%s sha256hash=%s" % (where, sha256),
        "allow perm=open all : dir=%s ftype=%%bulwark_code sha256hash=%s" % (where, sha256),
    ]


def by_path(path: str, sha256: str = "", subject: str = "all") -> str:
    """Return the rule for a path, with a content where it is given."""
    return "allow perm=any %s : path=%s%s" % (subject, path, " sha256hash=" + sha256 if sha256 else "")


def by_directory(path: str) -> str:
    """Return the rule for all that is below a directory."""
    return "allow perm=any all : dir=%s/" % path.rstrip("/")


def subjects(uid: int) -> tuple[str, str]:
    """Return who an account is: what it does after it signed in, and what runs as it without."""
    return "auid=%d" % uid, "auid=-1 uid=%d" % uid


def _connections(facts: Facts) -> list[str]:
    """Return the rules for modules that come as files, without pipelining; root's are read in any case."""
    lines = set()
    for connection in (facts.connection, *facts.earlier):
        uids = [uid for uid in connection.uids if uid]
        directory = connection.temporary
        if directory and is_value(directory) and uids and _values(facts.pythons):
            accounts = ",".join(map(str, uids))
            lines.add("allow perm=open uid=%s exe=%%bulwark_pythons : dir=%s/" % (accounts, directory.rstrip("/")))
    # Whichever of them deploys, the policy is the same.
    return sorted(lines)


def _values(paths: t.Iterable[str]) -> list[str]:
    return sorted({path for path in paths if path.startswith("/") and is_value(path)})


def _set(name: str, values: t.Iterable[str]) -> str:
    return "%%%s=%s" % (name, ",".join(values))
