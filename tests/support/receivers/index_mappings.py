# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a document fits the mappings of an index, as Elasticsearch's "Field data types" have it.

Stricter than the real ones: a number in quotes is no number, and a value above ``ignore_above`` is the only one that is
not indexed. Fields without a mapping are not looked at (``dynamic: false``).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import typing as t

# What ``index.mapping.ignore_malformed`` leaves out of the index in place of refusing the document.
_IGNORED = frozenset({"date", "float", "ip", "long"})


def problem(
    document: t.Mapping[str, t.Any], properties: t.Mapping[str, t.Any], ignore_malformed: bool = False, path: str = ""
) -> str | None:
    """Return what does not fit, as ``[FIELD] of type [TYPE]``; None if all does."""
    for name, value in document.items():
        mapping = properties.get(name)
        if mapping is None:
            continue
        field = f"{path}{name}"
        kind = mapping.get("type", "object")
        for item in value if isinstance(value, list) else [value]:
            if item is None:
                continue
            if kind in ("object", "nested"):
                if not isinstance(item, dict):
                    return f"[{field}] of type [{kind}]"
                inner = problem(item, mapping.get("properties", {}), ignore_malformed, f"{field}.")
                if inner is not None:
                    return inner
            elif not _CHECKS[kind](item) and not (ignore_malformed and kind in _IGNORED and field != "@timestamp"):
                return f"[{field}] of type [{kind}]"
    return None


def _is_text(value: t.Any) -> bool:
    # An object where a text is expected is what most conflicts are about; numbers become texts.
    return isinstance(value, (str, int, float))


def _is_date(value: t.Any) -> bool:
    if type(value) is int:
        return True
    try:
        return dt.datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _is_address(value: t.Any) -> bool:
    try:
        return isinstance(value, str) and bool(ipaddress.ip_address(value))
    except ValueError:
        return False


_CHECKS: t.Mapping[str, t.Callable[[t.Any], bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "constant_keyword": _is_text,
    "date": _is_date,
    "flattened": lambda value: isinstance(value, dict),
    "float": lambda value: type(value) in (int, float),
    "ip": _is_address,
    "keyword": _is_text,
    "long": lambda value: type(value) is int and -(2**63) <= value < 2**63,
    "match_only_text": _is_text,
    "text": _is_text,
    "wildcard": _is_text,
}
