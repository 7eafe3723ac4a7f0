# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load and check the watches of Windows hosts: other paths than those of Linux, registry keys and WMI."""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import fields as linux_fields
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

FILE = catalogue.CONTENT / linux_fields.CAPABILITY / "watches_windows.yml"
ROOTS_FILE = FILE.with_name("microsoft_roots.yml")

# What a watch can select. Of files, of keys, and of values; "content" is the digest and the data that is shown.
ATTRIBUTES = (
    "attributes",
    "size",
    "mtime",
    "created",
    "content",
    "owner",
    "dacl",
    "streams",
    "reparse",
    "links",
    "file_id",
    "signer",
    "signature",
    "last_write",
    "class",
    "link",
    "type",
)

CATEGORIES = (
    "program",
    "local_program",
    "library",
    "persistence",
    "account",
    "defence",
    "configuration",
    "state",
    "other",
)

_FIELDS = frozenset(
    (
        *("name", "paths", "registry", "wmi", "exclude", "include", "recurse"),
        *("attributes", "category", "alert", "techniques"),
    )
)
_THUMBPRINT = re.compile(r"[0-9A-F]{40}\Z")
_ABSOLUTE = re.compile(r"(?:[A-Za-z]:[\\/]|%[A-Za-z0-9_()]+%(?:[\\/]|\Z)|\\\\)")
_NAMESPACE = re.compile(r"root\*?(?:\\[^\\/:]+)*", re.IGNORECASE)
_HIVES = ("HKLM", "HKEY_LOCAL_MACHINE", "HKU", "HKEY_USERS")


def load_watches() -> list[dict[str, t.Any]]:
    """Return the collection's watches for Windows as the module takes them; raise ContentError when one is wrong."""
    return [dict(watch) for watch in _default_watches()]


@functools.lru_cache(maxsize=1)
def load_microsoft_roots() -> tuple[str, ...]:
    """Return the thumbprints of Microsoft's root certificates; raise ContentError when one is none."""
    roots = catalogue.read(ROOTS_FILE)
    if not isinstance(roots, dict):
        raise ContentError(f"{ROOTS_FILE.name}: a mapping of thumbprints is needed, not {type(roots).__name__}")
    for thumbprint in roots:
        if not isinstance(thumbprint, str) or not _THUMBPRINT.match(thumbprint):
            raise ContentError(f"{ROOTS_FILE.name}: '{visible(thumbprint, 80)}' is not a SHA-1 thumbprint in capitals")
    return tuple(roots)


@functools.lru_cache(maxsize=1)
def _default_watches() -> tuple[dict[str, t.Any], ...]:
    data = catalogue.read(FILE)
    if not isinstance(data, dict):
        raise ContentError(f"{FILE.name}: a mapping of names is needed, not {type(data).__name__}")
    watches = []
    for name, fields in data.items():
        if not isinstance(fields, dict):
            raise ContentError(f"{FILE.name}: '{name}' needs fields, not {type(fields).__name__}")
        if not str(fields.get("description") or "").strip():
            raise ContentError(f"{FILE.name}: watch '{name}': description is missing; say what it watches")
        watch = {field: value for field, value in fields.items() if field != "description"}
        watches.append(checked_watch({"name": name, **watch}, FILE.name))
    return tuple(watches)


def checked_watch(fields: t.Mapping[str, t.Any], where: str) -> dict[str, t.Any]:
    """Return one watch, checked, with its alert as ``{id, severity}`` for the judgement on the target."""
    if not isinstance(fields, t.Mapping):
        raise ContentError(
            f"{where}: '{visible(fields, 80)}' is not a watch; write one as in {{name: shop, paths: ['C:\\Shop']}}"
        )
    name = fields.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ContentError(f"{where}: name is missing; give the watch one")
    where = f"watch '{name}'"
    linux_fields.check_names(fields, _FIELDS, dict.fromkeys(("filesystems", "hashes"), "Linux"), where)
    watch = dict(fields)
    for field in ("paths", "registry", "wmi", "exclude", "include", "attributes"):
        if field in fields:
            watch[field] = linux_fields.texts_of(fields, field, where)
    _check_values(watch, where)
    if "recurse" in fields:
        watch["recurse"] = linux_fields.levels_of(fields["recurse"], where)
    if fields.get("alert") is not None:
        watch["alert"] = linux_fields.alert_of(fields["alert"], where)
    if fields.get("techniques") is not None:
        watch["techniques"] = linux_fields.techniques_of(fields, where)
    return watch


def _check_values(watch: t.Mapping[str, t.Any], where: str) -> None:
    if not any(watch.get(field) for field in ("paths", "registry", "wmi")):
        raise ContentError(f"{where}: paths, registry and wmi are missing; name at least one path, key or namespace")
    for path in watch.get("paths", ()):
        if not _ABSOLUTE.match(path):
            raise ContentError(f"{where}: path '{visible(path, 200)}' is not absolute; begin with C:\\ or %SystemRoot%")
    for key in watch.get("registry", ()):
        _check_key(key, where)
    for namespace in watch.get("wmi", ()):
        if not _NAMESPACE.fullmatch(namespace):
            raise ContentError(
                f"{where}: wmi '{visible(namespace, 200)}' is not a namespace; write root\\subscription or root\\*"
            )
    for glob in watch.get("exclude", ()):
        _check_exclusion(glob, where)
    for attribute in watch.get("attributes", ()):
        if attribute not in ATTRIBUTES:
            raise ContentError(f"{where}: attributes: '{attribute}' is not one of {', '.join(ATTRIBUTES)}")
    if watch.get("category", "other") not in CATEGORIES:
        raise ContentError(f"{where}: category '{watch['category']}' is not one of {', '.join(CATEGORIES)}")


def _check_exclusion(glob: str, where: str) -> None:
    # PathPattern.cs and RegistryPattern.cs tell them apart likewise; one name matches at every level.
    if not re.search(r"[\\/]", glob) or glob.upper().startswith("WMI\\"):
        return
    if glob.upper().startswith("HK"):
        _check_key(glob, where)
    elif not re.match(r"[A-Za-z]:[\\/]|%[^%]+%", glob):
        raise ContentError(
            f"{where}: exclude '{visible(glob, 200)}' is no path, key or name of Windows; write"
            " C:\\PATH, HKLM\\KEY or one name"
        )


def _check_key(key: str, where: str) -> None:
    # RegistryPattern.cs reads it likewise.
    path, divider, value = key.partition("\\\\")
    names = path.rstrip("\\").split("\\")
    if names[0].upper() not in _HIVES:
        raise ContentError(
            f"{where}: registry '{visible(key, 200)}' does not begin with HKLM or HKU; write HKCU keys as HKU\\*\\KEY"
        )
    if "" in names or (divider and not value):
        raise ContentError(
            f"{where}: registry '{visible(key, 200)}' has an empty name; write KEY\\\\NAME for one value"
        )
