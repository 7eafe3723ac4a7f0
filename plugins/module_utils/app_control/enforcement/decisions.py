# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Predict what fapolicyd decides by our own rules and trust, without running it. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.rule_lines import DENY_EXECUTION
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.special_programs import (
    TYPES,
    languages,
)
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.trust import Trusted

_SUBJECT = re.compile(r"auid=(\d+)$")


class _Allowing(t.NamedTuple):
    """A rule that allows. None: any."""

    uid: int | None
    path: str | None
    directories: tuple[str, ...] | None
    sha256: str | None

    def covers(self, path: str, sha256: str, uid: int | None) -> bool:
        return (
            self.uid in (None, uid)
            and self.path in (None, path)
            and (self.directories is None or path.startswith(self.directories))
            and (self.sha256 is None or self.sha256 == sha256)
        )


class Decisions:
    """Answers for one policy. Accounts are numbers, None for one that no rule names."""

    def __init__(self, rules: t.Sequence[str], trusted: t.Iterable[Trusted]) -> None:
        self._trusted = {entry.path: entry.sha256 for entry in trusted}
        before = rules[: rules.index(DENY_EXECUTION)]
        self._allowing = [rule for rule in map(_parsed, before) if rule is not None]
        sets = dict(rule[1:].partition("=")[::2] for rule in rules if rule.startswith("%"))
        after = rules[rules.index(DENY_EXECUTION) + 1 :]
        self._opening = [_opening(rule, sets) for rule in after]

    def is_executed(self, path: str, sha256: str, uid: int | None) -> bool:
        """Say whether a program is executed. sha256: of what ran; a trusted path has the content that it has now."""
        return path in self._trusted or any(rule.covers(path, sha256, uid) for rule in self._allowing)

    def is_library_loaded(self, path: str, sha256: str, uid: int | None) -> bool:
        """Say whether programs load a library."""
        return self.is_executed(path, sha256, uid)

    def is_script_read(self, interpreter: str, path: str, uid: int | None) -> bool:
        """Say whether an interpreter reads a script that is not trusted, and that begins with a line for it."""
        types = {each for language in languages(interpreter) for each in TYPES[language]}
        return next((rule.allows for rule in self._opening if rule.covers(interpreter, path, uid, types)), True)


class _Opening(t.NamedTuple):
    """A rule about reading. None: any."""

    allows: bool
    uids: frozenset[str] | None
    programs: frozenset[str] | None
    directories: tuple[str, ...] | None
    types: frozenset[str] | None

    def covers(self, program: str, path: str, uid: int | None, types: t.AbstractSet[str]) -> bool:
        return (
            (self.uids is None or str(uid) in self.uids)
            and (self.programs is None or program in self.programs)
            and (self.directories is None or path.startswith(self.directories))
            and (self.types is None or not self.types.isdisjoint(types))
        )


def _opening(rule: str, sets: t.Mapping[str, str]) -> _Opening:
    action, _separator, target = rule.partition(" : ")
    decision, _permission, *fields = action.split(" ")
    values = {
        name: frozenset((sets[value[1:]] if value.startswith("%") else value).split(","))
        for name, _equals, value in (word.partition("=") for word in (*fields, *target.split(" ")))
        if name != "all"
    }
    directories = values.get("dir")
    return _Opening(
        decision == "allow",
        values.get("uid"),
        values.get("exe"),
        None if directories is None else tuple(directories),
        values.get("ftype"),
    )


def _parsed(rule: str) -> _Allowing | None:
    """Return a rule about single files, a directory or a content; None for others."""
    action, separator, target = rule.partition(" : ")
    words = action.split()
    if not separator or words[0] != "allow" or words[1] not in ("perm=any", "perm=execute"):
        return None
    fields = dict(word.partition("=")[::2] for word in target.split(" "))
    if "trust" in fields or not fields.keys() & {"path", "dir", "sha256hash"}:
        return None
    subject = " ".join(words[2:])
    match = _SUBJECT.match(subject)
    if match is None and subject != "all":
        return None
    uid = int(match.group(1)) if match else None
    directories = tuple(fields["dir"].split(",")) if "dir" in fields else None
    return _Allowing(uid, fields.get("path"), directories, fields.get("sha256hash"))
