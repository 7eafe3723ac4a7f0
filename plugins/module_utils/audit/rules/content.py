# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules a host gets: groups of content and the user's own lines, for its architectures, paths and kernel.

A rule of a group is written as for auditctl, with four liberties:

- without ``arch`` it is made for each architecture of the host, with those of its system calls that exist there;
- with ``perm`` and without system calls it gets those that can have such an access, so that no other has to be looked
  at;
- its path may be a glob, or begin with ``~/`` for the home of each account that people log in with, and what isn't on
  the host is left out;
- it gets the key of its group, ``bulwark-GROUP``.

A path that is missing, and whose changes are to be recorded, is awaited: a rule for the first missing name on the way
to it, with the key ``bulwark-appearing``, records that it is made, and what is made directly in it. Each directory that
is watched in a home has such a rule, too, as have those above it: their owner can put others in their place, which the
rule for the tree does not watch.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import pwd
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _syscalls
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import places
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import text, words
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import ALL_SYSCALLS, Rule, RuleError

KEY_PREFIX = "bulwark-"
AUTOMATION_KEY = KEY_PREFIX + "automation"
APPEARING = "appearing"
# Each home makes a handful of rules.
_MOST_HOMES = 100
_MOST_MATCHES = 100
# Names that are awaited; each makes a rule for each architecture.
_MOST_NAMES = 1000
# Where homes are made for people: accounts of services have theirs among other things.
_HOMES = "/home"
_FIRST_PERSON = 1000

# What can have an access: the kernel's classes of system calls (asm-generic/audit_*.h), and those that it takes apart.
_OPENING = "open openat openat2 open_by_handle_at"
_DIRECTORY_WRITE = """
    rename mkdir rmdir creat link unlink symlink mknod mkdirat mknodat unlinkat renameat linkat symlinkat renameat2
"""
_ACCESS = {
    "x": "execve execveat",
    "r": _OPENING
    + " readlink readlinkat quotactl quotactl_fd getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr"
    + " getxattrat listxattrat",
    "w": _OPENING
    + _DIRECTORY_WRITE
    + " acct swapon quotactl quotactl_fd truncate truncate64 ftruncate ftruncate64 bind fallocate",
    "a": """
        link linkat chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat chown32 fchown32 lchown32 setxattr
        lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat file_setattr
    """,
}
_NETWORK = "connect,bind,listen,accept,accept4,sendto,sendmsg,sendmmsg"


@dataclasses.dataclass(frozen=True)
class Wish:
    """What the options ask for. groups: (name, lines); a line for an older kernel or auditctl follows a ``||``."""

    groups: t.Sequence[tuple[str, t.Sequence[str]]]
    own: t.Sequence[str]
    automation_users: t.Sequence[str]
    quiet_programs: t.Sequence[str]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A rule and the group that it is from."""

    rule: Rule
    group: str


@dataclasses.dataclass
class Selection:
    """The rules for a host in their order, and what was left out: (what, why).

    awaited: paths that are missing, and the first name on the way to each that is. names: what is watched by its name,
    with the groups that watch just that with all that is in it. homes: those of accounts that people log in with.
    in_homes: what is watched in each.
    """

    wanted: list[Wanted] = dataclasses.field(default_factory=list)
    left_out: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    absent: int = 0
    known: set[Rule] = dataclasses.field(default_factory=set)
    awaited: dict[str, str] = dataclasses.field(default_factory=dict)
    names: dict[str, dict[str, None]] = dataclasses.field(default_factory=dict)
    homes: t.Sequence[str] = ()
    in_homes: dict[str, None] = dataclasses.field(default_factory=dict)

    @property
    def rules(self) -> list[Rule]:
        return [wanted.rule for wanted in self.wanted]


def select(wish: Wish, host: text.Host, modern: bool, homes: t.Sequence[str] | None = None) -> Selection:
    """Return the rules for a host. modern: kernel and auditctl know ``saddr_fam``; homes: instead of the host's.

    The user's rules come first, so that theirs decide. UsageError for one of those that is wrong.
    """
    found = Selection()
    try:
        for line in wish.own:
            _add(found, _as_auditctl_does(text.parse(line, host)), "rules")
    except RuleError as error:
        raise UsageError("rules: %s" % error) from None
    for name in wish.automation_users:
        _automation(found, name, host)
    for program in wish.quiet_programs:
        if os.path.lexists(program):
            _group_line(found, "quiet", "-a never,exit -S %s -F exe=%s" % (_NETWORK, program), host, ())
        else:
            found.left_out.append((program, "there is no such program"))
    found.homes = accounts = _homes(found) if homes is None else homes
    for name, lines in wish.groups:
        for line in lines:
            newer, _separator, older = line.partition(" || ")
            if newer and (modern or not older):
                _group_line(found, name, newer, host, accounts)
            else:
                for part in older.split(" ; "):
                    _group_line(found, name, part, host, accounts)
    _watch_names(found, host)
    found.wanted = _without_covered(found.wanted)
    watched = {places.name_of(entry.rule) for entry in found.wanted if entry.group == APPEARING}
    found.awaited = {path: name for path, name in found.awaited.items() if name in watched}
    return found


def _watch_names(found: Selection, host: text.Host) -> None:
    """Add the rules for names that are awaited, and for those that homes are made in."""
    if found.in_homes:
        for parent in _parents_of_homes():
            found.names.setdefault(parent, {})
    names = list(found.names.items())
    if len(names) > _MOST_NAMES:
        found.left_out.append(
            ("missing paths", "there are %d, the first %d names are awaited" % (len(names), _MOST_NAMES))
        )
    for name, groups in names[:_MOST_NAMES]:
        conditions = [("path", "=", name), ("perm", "=", "wa")]
        for parts in _for_architectures(text.Parts(place="always,exit", conditions=conditions), host):
            parts.keys = [KEY_PREFIX + group for group in (APPEARING, *groups)]
            _add(found, text.build(parts, host, name), APPEARING)


def _as_auditctl_does(rule: Rule) -> Rule:
    """Return a rule of the user with the system calls that can have the access it is about.

    auditctl 4 adds them when it loads the file; without that, the rule would be another one after the next boot.
    """
    permissions, number = rule.value(words.PERM), rule.value(words.ARCH)
    if not isinstance(permissions, int) or not isinstance(number, int):
        return rule
    known = _syscalls.numbers(words.ARCHITECTURE_NAMES[number])
    letters = [letter for letter, bit in words.PERMISSIONS.items() if permissions & bit]
    mask = sum(1 << known[call] for call in {call for letter in letters for call in _calls(letter)} if call in known)
    return dataclasses.replace(rule, mask=mask if rule.mask == ALL_SYSCALLS else mask | rule.mask)


def _calls(access: str) -> list[str]:
    return [call for letter in access for call in _ACCESS[letter].split()]


def _without_covered(wanted: t.Sequence[Wanted]) -> list[Wanted]:
    """Leave out what is about a path below a directory that another rule of a group watches for the same anyway.

    Every system call of every program is held against each rule, so that fewer are better.
    """
    broad = [scope for entry in wanted if entry.group != "rules" for scope in [_scope(entry.rule)] if scope]
    found = []
    for entry in wanted:
        own = _scope(entry.rule) if entry.group != "rules" else None
        # A name is also watched for what takes the place of the directory that has it.
        same = entry.group == APPEARING
        if own is None or not any(
            own != other and other.covers(own) and not (same and own.path == other.path)
            for other in broad
            if other.is_directory
        ):
            found.append(entry)
    return found


@dataclasses.dataclass(frozen=True)
class _Scope:
    """What a rule is about that has no other condition than a path and the kinds of access to it."""

    architecture: int | bytes | None
    path: bytes
    is_directory: bool
    permissions: int
    mask: int

    def covers(self, other: _Scope) -> bool:
        below = (other.path + b"/").startswith(self.path + b"/")
        same = other.permissions & ~self.permissions == 0 and other.mask & ~self.mask == 0
        return below and same and self.architecture == other.architecture


def _scope(rule: Rule) -> _Scope | None:
    numbers = {field.number for field in rule.fields}
    if numbers - {words.ARCH, words.KEY, words.PERM, words.WATCH, words.DIR} or rule.action != words.ALWAYS:
        return None
    path = rule.value(words.DIR) or rule.value(words.WATCH)
    permissions = rule.value(words.PERM)
    if not isinstance(path, bytes) or not isinstance(permissions, int):
        return None
    return _Scope(rule.value(words.ARCH), path, words.DIR in numbers, permissions, rule.mask)


def _add(found: Selection, rule: Rule, group: str) -> None:
    if rule not in found.known:
        found.known.add(rule)
        found.wanted.append(Wanted(rule, group))


def _automation(found: Selection, name: str, host: text.Host) -> None:
    """Let what automation starts carry a key of its own: the login user can't be forged, as a command line can."""
    user = host.user(name) if not name.isdigit() else int(name)
    if user is None:
        found.left_out.append((name, "there is no such account"))
        return
    line = "-a always,exit -S execve,execveat -F auid=%d -k %s" % (user, AUTOMATION_KEY)
    _group_line(found, "automation", line, host, ())


def _group_line(found: Selection, group: str, line: str, host: text.Host, homes: t.Sequence[str]) -> None:
    for placed in _placed(found, group, text.split(line), homes):
        for parts in _for_architectures(placed, host):
            if not parts.keys and (parts.syscalls or parts.watch):
                parts.keys = [KEY_PREFIX + group]
            _add(found, text.build(parts, host, line), group)


def _placed(found: Selection, group: str, parts: text.Parts, homes: t.Sequence[str]) -> t.Iterator[text.Parts]:
    """Give the words once for each path on the host that they are about; as they are where they name none."""
    for position, (name, operator, operand) in enumerate(parts.conditions):
        if name == "exe" and not os.path.lexists(operand):
            found.absent += 1
            return
        if name in ("path", "dir"):
            paths = [path for path in _paths(operand, name == "dir", homes) if _usable(path, name == "dir")]
            found.absent += not paths
            if not parts.syscalls and _records_changes(parts):
                _await(found, group if name == "dir" else None, operand, paths, homes)
            for path in paths[:_MOST_MATCHES]:
                conditions = [*parts.conditions]
                conditions[position] = (name, operator, path)
                yield dataclasses.replace(parts, conditions=conditions, syscalls=[*parts.syscalls], keys=[*parts.keys])
            if len(paths) > _MOST_MATCHES:
                found.left_out.append((operand, "it matches %d paths, the first 100 are watched" % len(paths)))
            return
    yield parts


def _records_changes(parts: text.Parts) -> bool:
    access = next((value for name, _operator, value in parts.conditions if name == "perm"), "")
    return not set(access).isdisjoint("wa")


def _await(found: Selection, tree: str | None, operand: str, paths: t.Sequence[str], homes: t.Sequence[str]) -> None:
    """Note which of the paths that a rule is about are missing, and the names to watch for that.

    tree: the group of a rule for a directory with all that is in it. In a home, the rule for its name has the key of
    that, too: its owner can lead there by other names, which detections tell from the key.
    """
    in_home = operand.startswith("~/")
    if in_home:
        found.in_homes[operand[1:]] = None
        for path in paths if tree else ():
            _watch_name(found, path, tree)
        for name in [name for home in homes if tree for name in _between(home, operand[1:])]:
            _watch_name(found, name, None)
    elif glob.has_magic(operand) or operand.startswith(("/proc/", "/sys/")):
        return
    there = set(paths)
    for path in [home + operand[1:] for home in homes] if in_home else [operand]:
        missing = None if path in there or (paths and not in_home) else places.first_missing(path, not in_home)
        if missing is not None:
            found.awaited[path] = missing
            _watch_name(found, missing, tree if in_home and missing == path else None)
            if in_home and os.path.islink(missing):
                left_out = (missing, "it is a link, and its target is not watched")
                found.left_out += [left_out] if left_out not in found.left_out else []


def _between(home: str, rest: str) -> t.Iterator[str]:
    """Yield the directories between a home and what is watched in it: who moves one away takes the rules along."""
    name = home
    for part in rest.strip("/").split("/")[:-1]:
        name = "%s/%s" % (name, part)
        if not os.path.isdir(name) or os.path.islink(name):
            return
        yield name


def _watch_name(found: Selection, name: str, tree: str | None) -> None:
    groups = found.names.setdefault(name, {})
    if tree:
        groups[tree] = None


def _paths(operand: str, is_directory: bool, homes: t.Sequence[str]) -> list[str]:
    if operand.startswith("~/"):
        # What is in a home is up to its owner, who could lead the rule elsewhere with a link.
        return [home + operand[1:] for home in homes if _is_own(home, operand[2:].split("/"))]
    found = sorted(glob.glob(operand)) if glob.has_magic(operand) else [operand]
    # The kernel does not follow a link at the end of the path of a directory.
    return list(dict.fromkeys(map(os.path.realpath, found))) if is_directory else found


def _is_own(home: str, names: t.Sequence[str]) -> bool:
    path = home
    for name in names:
        path = os.path.join(path, name)
        if os.path.islink(path):
            return False
    return True


def _usable(path: str, is_directory: bool) -> bool:
    """Say whether the kernel takes a watch of this path: the directory, or that of the file, must be there.

    Where nobody can make files, the file itself must be there, too.
    """
    if is_directory:
        return os.path.isdir(path)
    if path.startswith(("/proc/", "/sys/")):
        return os.path.isfile(path)
    return os.path.isdir(os.path.dirname(path)) and not os.path.isdir(path)


def _for_architectures(parts: text.Parts, host: text.Host) -> t.Iterator[text.Parts]:
    access = next((value for name, _operator, value in parts.conditions if name == "perm"), "")
    calls = parts.syscalls or _calls(access)
    if parts.has("arch") or not calls or calls == ["all"]:
        yield parts
        return
    for machine in words.both(host.machine):
        known = _syscalls.numbers(machine)
        available = [call for call in dict.fromkeys(calls) if call in known]
        if available:
            conditions = [("arch", "=", machine), *parts.conditions]
            yield dataclasses.replace(parts, conditions=conditions, syscalls=available, keys=[*parts.keys])


def _accounts() -> list[pwd.struct_passwd]:
    """Return the accounts that people log in with, root's first."""
    accounts = (entry for entry in pwd.getpwall() if not entry.pw_shell.endswith(("/nologin", "/false", "/sync")))
    return sorted(accounts, key=lambda entry: entry.pw_uid)


def existing_homes() -> list[str]:
    """Return the homes of the accounts that people log in with, root's first."""
    homes = dict.fromkeys(os.path.normpath(entry.pw_dir) for entry in _accounts())
    return [home for home in homes if home.startswith("/") and home.strip("/") and os.path.isdir(home)]


def _parents_of_homes() -> list[str]:
    """Return the directories that homes of people are made in; one for each home is none."""
    homes = [entry.pw_dir for entry in _accounts() if entry.pw_uid >= _FIRST_PERSON]
    parents = dict.fromkeys([_HOMES, *(os.path.dirname(os.path.normpath(home)) for home in homes)])
    return [parent for parent in parents if parent.strip("/") and os.path.isdir(parent)][:_MOST_MATCHES]


def _homes(found: Selection) -> list[str]:
    """Return the homes whose files are watched."""
    homes = existing_homes()
    if len(homes) > _MOST_HOMES:
        found.left_out.append(
            ("home directories", "there are %d, those of the first %d accounts are watched" % (len(homes), _MOST_HOMES))
        )
    return homes[:_MOST_HOMES]
