# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the fields of a watch, and of a rule of generated files, by name."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify import derived_files
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import globs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.definitions import HASHES
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

CAPABILITY = "file_integrity"
FILE_SYSTEMS = ("local", "all")

# A module for Windows takes numbers of 32 bits.
_MOST_LEVELS = 2**31 - 1

_TYPES = (
    model.FILE,
    model.DIRECTORY,
    model.LINK,
    model.FIFO,
    model.SOCKET,
    model.CHAR_DEVICE,
    model.BLOCK_DEVICE,
)
_WATCH_FIELDS = frozenset(
    (
        *("name", "paths", "exclude", "include", "recurse", "attributes", "hashes"),
        *("filesystems", "category", "alert", "techniques"),
    )
)
_DERIVED_FIELDS = frozenset(("description", "paths", "packages", "types", "check", "exclude"))


def check_names(
    fields: t.Mapping[str, t.Any], known: t.AbstractSet[str], others: t.Mapping[str, str], where: str
) -> None:
    """Raise ContentError for a field that watches do not have. others: fields of another platform, and its name."""
    unknown = sorted(str(field) for field in set(fields) - known)
    if unknown and unknown[0] in others:
        raise ContentError(
            f"{where}: '{unknown[0]}' is for {others[unknown[0]]} hosts only; set this watch in the variables of those "
            "hosts"
        )
    if unknown:
        raise ContentError(f"{where}: '{unknown[0]}' is not a field; there are {', '.join(sorted(known))}")


def checked_watch(fields: t.Mapping[str, t.Any], where: str) -> dict[str, t.Any]:
    """Return one watch, checked, with its alert as ``{id, severity}`` for the classification on the target."""
    if not isinstance(fields, t.Mapping):
        raise ContentError(
            f"{where}: '{visible(fields, 80)}' is not a watch; write one as in {{name: shop, paths: [/srv/shop]}}"
        )
    name = fields.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ContentError(f"{where}: name is missing; give the watch one")
    where = f"watch '{name}'"
    check_names(fields, _WATCH_FIELDS, dict.fromkeys(("registry", "wmi"), "Windows"), where)
    watch = {**fields, "paths": _globs(fields, "paths", where)}
    if not watch["paths"]:
        raise ContentError(f"{where}: paths is missing; name at least one path")
    for field in ("exclude", "include"):
        if field in fields:
            watch[field] = _globs(fields, field, where)
    if "recurse" in fields:
        watch["recurse"] = levels_of(fields["recurse"], where)
    _choices(watch, "attributes", model.ATTRIBUTES, where)
    _choices(watch, "hashes", HASHES, where)
    for field, known in (("category", model.CATEGORIES), ("filesystems", FILE_SYSTEMS)):
        if field in fields and fields[field] not in known:
            raise ContentError(f"{where}: {field} '{fields[field]}' is not one of {', '.join(known)}")
    if fields.get("alert") is not None:
        watch["alert"] = alert_of(fields["alert"], where)
    if fields.get("techniques") is not None:
        watch["techniques"] = techniques_of(fields, where)
    return watch


def _globs(fields: t.Mapping[str, t.Any], field: str, where: str) -> list[str]:
    texts = texts_of(fields, field, where)
    for glob in texts:
        try:
            globs.check(glob[1:] if field == "paths" and glob.startswith("~/") else glob, name=field != "paths")
        except globs.GlobError as error:
            raise ContentError(f"{where}: {field}: {error}") from error
    return texts


def texts_of(fields: t.Mapping[str, t.Any], field: str, where: str) -> list[str]:
    """Return a field that is a list of texts, or one text; raise ContentError."""
    value = fields.get(field) or []
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) and text for text in texts):
        raise ContentError(f"{where}: {field} is a list of texts, none of them empty; it is {value!r}")
    return list(texts)


def levels_of(value: t.Any, where: str) -> int:
    """Return a number of levels; raise ContentError."""
    try:
        levels = int(value)
    except (TypeError, ValueError, OverflowError):
        levels = -2
    if not -1 <= levels <= _MOST_LEVELS or isinstance(value, bool):
        raise ContentError(f"{where}: recurse '{value}' is not a number of levels; use -1 for all, or 0 and more")
    return levels


def _choices(watch: dict[str, t.Any], field: str, known: t.Sequence[str], where: str) -> None:
    if field not in watch:
        return
    watch[field] = texts_of(watch, field, where)
    for value in watch[field]:
        if value not in known:
            raise ContentError(f"{where}: {field}: '{value}' is not one of {', '.join(known)}")


def alert_of(identifier: t.Any, where: str) -> dict[str, str]:
    """Return the alert of a watch as ``{id, severity}``; raise ContentError."""
    severities = {alert.id: alert.severity for alert in catalogue.load() if alert.capability == CAPABILITY}
    severity = severities.get(str(identifier))
    if severity is None:
        known = ", ".join(sorted(severities))
        raise ContentError(f"{where}: alert '{identifier}' is not an alert of file integrity; there are {known}")
    return {"id": identifier, "severity": severity}


def techniques_of(fields: t.Mapping[str, t.Any], where: str) -> list[str]:
    """Return the techniques of a watch; raise ContentError."""
    techniques = texts_of(fields, "techniques", where)
    for technique in techniques:
        try:
            catalogue.load().technique(technique)
        except ContentError as error:
            raise ContentError(f"{where}: techniques: {error}") from error
    return techniques


def checked_rule(name: str, fields: t.Mapping[str, t.Any], where: str) -> dict[str, t.Any]:
    unknown = sorted(set(fields) - _DERIVED_FIELDS)
    if unknown:
        raise ContentError(f"{where}: '{unknown[0]}' is not a field; there are {', '.join(sorted(_DERIVED_FIELDS))}")
    description = fields.get("description")
    if not isinstance(description, str) or not description.strip():
        raise ContentError(f"{where}: description is missing; say what is generated")
    rule = {**fields, "name": name, "paths": _globs(fields, "paths", where)}
    if not rule["paths"]:
        raise ContentError(f"{where}: paths is missing; name at least one path")
    if "exclude" in fields:
        rule["exclude"] = _globs(fields, "exclude", where)
    if "packages" in fields:
        rule["packages"] = texts_of(fields, "packages", where)
    _choices(rule, "types", _TYPES, where)
    try:
        derived_files.parse_derived([rule])
    except ValueError as error:
        raise ContentError(str(error)) from error
    return rule
