# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries of allowlist files: rules and exceptions, checked one by one.

Each error is a ContentError with the file, the entry, what is wrong and what to write.
"""

from __future__ import annotations

import datetime as dt
import glob
import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Exemption, Rule
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import UNKNOWN_IMAGE
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, spelling
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

MANAGERS = ("dpkg", "rpm")
EXEMPTION_FIELDS = ("program", "sha256", "user", "hosts", "reason", "by", "until", "added")

_SUBJECTS = ("package", "directory", "sha256")
# What belongs to each kind of rule, beside reason and image.
_RULE_FIELDS = {
    "package": ("manager", "origin", "allow_unverified", "except_sha256"),
    "directory": ("except_sha256",),
    "sha256": ("path",),
}
_ALL_RULE_FIELDS = tuple(dict.fromkeys((*_SUBJECTS, *sum(_RULE_FIELDS.values(), ()), "image", "reason")))
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DAY = 86400.0


def rule(data: t.Any, role: str, where: str) -> Rule:
    """Return a rule from its entry in ``allow``."""
    given = fields(data, _ALL_RULE_FIELDS, where)
    subjects = [name for name in _SUBJECTS if name in given]
    if len(subjects) != 1:
        raise ContentError(f"{where}: give exactly one of package, directory and sha256")
    kind = subjects[0]
    for name in given:
        if name not in (kind, "image", "reason", *_RULE_FIELDS[kind]):
            raise ContentError(f"{where}: '{name}' does not belong to a rule with '{kind}'; remove it")
    text(given, "reason", where)
    image = text(given, "image", where)
    if image == UNKNOWN_IMAGE:
        raise ContentError(f"{where}: image '{image}' stands for containers whose image is unknown; name an image")
    excepted = tuple(_digest(each, f"{where}: except_sha256") for each in texts(given, "except_sha256", where))
    if kind == "package":
        unverified = given.get("allow_unverified", False)
        if not isinstance(unverified, bool):
            raise ContentError(f"{where}: allow_unverified is true or false")
        return Rule(
            role,
            package=catalogue.text(given, kind, where),
            manager=catalogue.choice(given, "manager", MANAGERS, where),
            origin=text(given, "origin", where),
            allow_unverified=unverified,
            image=image,
            except_sha256=excepted,
        )
    if kind == "directory":
        return Rule(role, directory=_directory(given, where), image=image, except_sha256=excepted)
    return Rule(role, sha256=_sha256(given, where), path=_path(given, "path", where), image=image)


def rule_entry(rule: Rule, reason: str = "") -> dict[str, t.Any]:
    """Return a rule as the entry that ``rule`` reads, for files that are written."""
    fields = {name: list(value) if isinstance(value, tuple) else value for name, value in rule._asdict().items()}
    given = {name: value for name, value in fields.items() if value and name != "role"}
    return {**given, "reason": reason} if reason else given


def exemption(data: t.Any, where: str) -> Exemption:
    """Return an exception from its entry. A day in ``until`` counts to its end (UTC)."""
    given = fields(data, EXEMPTION_FIELDS, where)
    program = catalogue.text(given, "program", where)
    digest = _sha256(given, where) if "sha256" in given else ""
    user = text(given, "user", where)
    if not program.strip("*?/") and not (digest or user):
        raise ContentError(f"{where}: '{program}' would allow every program; name one, or add a user or sha256")
    return Exemption(
        program=program,
        reason=catalogue.text(given, "reason", where),
        by=catalogue.text(given, "by", where),
        sha256=digest,
        user=user,
        until=None if given.get("until") is None else _until(given["until"], where),
    )


def literal(program: str) -> str:
    """Return the pattern that names one program only. Intruders choose names: ``/tmp/*`` is a file's name, too."""
    return glob.escape(program)


def fields(data: t.Any, known: t.Sequence[str], where: str) -> t.Mapping[str, t.Any]:
    """Return a mapping that has known fields only."""
    given = catalogue.mapping(data, where)
    for name in given:
        if name not in known:
            advice = spelling.likeliest_or(str(name), known, f"known are {', '.join(known)}")
            raise ContentError(f"{where}: there is no field '{name}'; {advice}")
    return given


def listed(given: t.Mapping[str, t.Any], name: str, where: str) -> t.Sequence[t.Any]:
    """Return a field that is a list, empty where it is missing."""
    value = given.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ContentError(f"{where}: {name} is a list")
    return value


def texts(given: t.Mapping[str, t.Any], name: str, where: str) -> tuple[str, ...]:
    """Return a field that is a list of texts."""
    values = listed(given, name, where)
    for value in values:
        if not isinstance(value, str) or not value:
            raise ContentError(f"{where}: {name}: {value!r} is not text; put it in quotes")
    return tuple(values)


def text(given: t.Mapping[str, t.Any], name: str, where: str) -> str:
    """Return a field that is a text, empty where it is missing."""
    if given.get(name) is None:
        return ""
    if not isinstance(given[name], str):
        raise ContentError(f"{where}: {name}: {given[name]!r} is not text; put it in quotes")
    return str(given[name]).strip()


def _directory(given: t.Mapping[str, t.Any], where: str) -> str:
    path = _path(given, "directory", where)
    if path == "/":
        raise ContentError(f"{where}: directory '/' would allow every program; name the directories that are needed")
    return path


def _path(given: t.Mapping[str, t.Any], name: str, where: str) -> str:
    path = text(given, name, where)
    if name not in given:
        return ""
    stripped = path.rstrip("/") or "/"
    # POSIX leaves two slashes at the beginning as they are.
    if not path.startswith("/") or path.startswith("//") or posixpath.normpath(stripped) != stripped:
        raise ContentError(f"{where}: {name} '{path}' is not an absolute path without '..' and doubled slashes")
    return stripped


def _sha256(given: t.Mapping[str, t.Any], where: str) -> str:
    return _digest(text(given, "sha256", where), f"{where}: sha256")


def _digest(value: str, where: str) -> str:
    digest = value.lower()
    if not _SHA256.fullmatch(digest):
        raise ContentError(f"{where} '{value}' is not a digest of 64 hexadecimal digits")
    return digest


def _until(value: t.Any, where: str) -> float:
    try:
        if isinstance(value, str):
            value = dt.datetime.fromisoformat(value) if "T" in value or " " in value else dt.date.fromisoformat(value)
    except ValueError:
        pass
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp()
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC).timestamp() + _DAY
    raise ContentError(f"{where}: until '{value}' is not a date; write it as 2026-12-31")
