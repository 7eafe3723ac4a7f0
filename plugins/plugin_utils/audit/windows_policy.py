# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The groups of the audit policy of Windows hosts, from ``content/audit/windows_policy.yml``."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible.module_utils.common.validation import check_type_bool, check_type_list
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import group_names
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

FILE = catalogue.CONTENT / "audit" / "windows_policy.yml"
# POLICY_AUDIT_EVENT_SUCCESS and _FAILURE (ntsecapi.h).
_FLAGS: t.Final[t.Mapping[str, int]] = {"success": 1, "failure": 2, "success and failure": 3}
_FIELDS = {"description", "default", "domain_controllers", "subcategories", "values", "channels", "paths"}
_VALUE_FIELDS = {"key", "name", "data", "is_32bit_too"}
_CHANNEL_FIELDS = {"max_size", "enabled"}


@dataclasses.dataclass(frozen=True)
class Group:
    """One group. settings: what the option ``_groups`` of win_audit_policy has of it."""

    name: str
    description: str
    default: bool
    settings: t.Mapping[str, t.Any]


def apply_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of win_audit_policy, as its documentation describes it."""
    return {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "groups": {"type": "list", "elements": "str"},
        "extra_groups": {"type": "list", "elements": "str", "default": []},
        "disabled_groups": {"type": "list", "elements": "str", "default": []},
        "subcategories": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": {"type": "str", "required": True},
                "success": {"type": "bool", "default": True},
                "failure": {"type": "bool", "default": False},
            },
        },
        "channels": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": {"type": "str", "required": True},
                "max_size": {"type": "int", "default": 0},
                "enabled": {"type": "bool", "default": True},
            },
        },
        "paths": {"type": "list", "elements": "str", "default": []},
        "state_dir": {"type": "path"},
        "lock_timeout": {"type": "int", "default": 60},
        "_groups": {"type": "list", "elements": "dict"},
    }


def look_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of win_audit_policy_info, as its documentation describes it."""
    return {
        "channels": {"type": "list", "elements": "str", "default": []},
        "paths": {"type": "list", "elements": "str", "default": []},
        "default_lists": {"type": "bool", "default": True},
    }


@functools.lru_cache(maxsize=1)
def load() -> t.Mapping[str, Group]:
    """Return all groups by name, in their order; raise ContentError when the file is wrong."""
    data = catalogue.read(FILE)
    if not isinstance(data, dict):
        raise ContentError(f"{FILE.name}: a mapping of groups is needed, not {type(data).__name__}")
    return {str(name): _group(str(name), fields) for name, fields in data.items()}


def chosen_groups(names: t.Any, extra: t.Any, disabled: t.Any) -> list[t.Mapping[str, t.Any]]:
    """Return the groups that a host gets, as the module takes them; the arguments are those of ``group_names.choose``.

    Raises ContentError for a name that is none.
    """
    known = load()
    wanted = group_names.choose({name: group.default for name, group in known.items()}, names, extra, disabled)
    return [group.settings for name, group in known.items() if name in wanted]


def with_defaults(arguments: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the arguments of win_audit_policy_info with the channels and paths of all groups, each once."""
    given = {option: list(map(str, check_type_list(arguments.get(option) or []))) for option in ("channels", "paths")}
    if not check_type_bool(arguments.get("default_lists", True)):
        return {**arguments, **given}
    every = [group.settings for group in load().values()]
    channels = [channel["name"] for settings in every for channel in settings["channels"]]
    paths = [path for settings in every for path in settings["paths"]]
    return {
        **arguments,
        "channels": list(dict.fromkeys([*channels, *given["channels"]])),
        "paths": list(dict.fromkeys([*paths, *given["paths"]])),
    }


def _group(name: str, fields: t.Any) -> Group:
    context = f"{FILE.name}: group '{name}'"
    if not isinstance(fields, dict) or set(fields) - _FIELDS:
        raise ContentError(f"{context} needs some of {', '.join(sorted(_FIELDS))}, and nothing else")
    description = fields.get("description")
    if not isinstance(description, str) or not description.strip():
        raise ContentError(f"{context}: description is missing; say what it records")
    settings = {
        "name": name,
        "domain_controllers": bool(fields.get("domain_controllers", False)),
        "subcategories": [_subcategory(entry, context) for entry in fields.get("subcategories", {}).items()],
        "values": [_value(entry, context) for entry in fields.get("values", [])],
        "channels": [_channel(entry, context) for entry in fields.get("channels", {}).items()],
        "paths": [str(path) for path in fields.get("paths", [])],
    }
    return Group(name, description.strip(), bool(fields.get("default", True)), settings)


def _subcategory(entry: tuple[t.Any, t.Any], context: str) -> dict[str, t.Any]:
    name, recorded = entry
    if recorded not in _FLAGS:
        raise ContentError(f"{context}: '{name}' is recorded for one of {', '.join(_FLAGS)}, not {recorded}")
    return {"name": str(name), "flags": _FLAGS[recorded]}


def _value(entry: t.Any, context: str) -> dict[str, t.Any]:
    known = isinstance(entry, dict) and not set(entry) - _VALUE_FIELDS
    if not known or not {"key", "name", "data"} <= set(entry) or not isinstance(entry["data"], (int, str)):
        raise ContentError(f"{context}: a value needs key, name and data, a number or a text")
    return dict(entry)


def _channel(entry: tuple[t.Any, t.Any], context: str) -> dict[str, t.Any]:
    name, fields = entry
    if not isinstance(fields, dict) or not fields or set(fields) - _CHANNEL_FIELDS:
        raise ContentError(f"{context}: channel '{name}' needs max_size or enabled, and nothing else")
    return {
        "name": str(name),
        "max_size": int(fields.get("max_size", 0)),
        "enabled": bool(fields.get("enabled", False)),
    }
