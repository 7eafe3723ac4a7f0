# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The groups of audit rules that the collection has, from ``content/audit/rules`` and ``content/watched_paths.yml``."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, watched_paths
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import group_names
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

DIRECTORY = catalogue.CONTENT / "audit" / "rules"
_FIELDS = {"description", "default", "order", "rules"}


@dataclasses.dataclass(frozen=True)
class Group:
    """One group. order: the lower, the earlier; the kernel takes the first rule that fits."""

    name: str
    description: str
    default: bool
    order: int
    rules: tuple[str, ...]


@functools.lru_cache(maxsize=1)
def load() -> t.Mapping[str, Group]:
    """Return all groups by name, in their order; raise ContentError when a file is wrong."""
    found: dict[str, Group] = {}
    for path in sorted(DIRECTORY.glob("*.yml")):
        data = catalogue.read(path)
        if not isinstance(data, dict):
            raise ContentError(f"{path.name}: a mapping of groups is needed, not {type(data).__name__}")
        for name, fields in data.items():
            if name in found:
                raise ContentError(f"{path.name}: there is a group '{name}' already; give it another name")
            found[name] = _group(name, fields, f"{path.name}: group '{name}'")
    for entry in watched_paths.load():
        if entry.group is not None and entry.group not in found:
            raise ContentError(f"{watched_paths.FILE.name}: there is no group '{entry.group}' in audit/rules")
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0])))


def chosen_groups(names: t.Any, extra: t.Any, disabled: t.Any) -> list[dict[str, t.Any]]:
    """Return the groups that a host gets, as the module takes them; the arguments are those of ``group_names.choose``.

    Raises ContentError for a name that is none.
    """
    known = load()
    wanted = group_names.choose({name: group.default for name, group in known.items()}, names, extra, disabled)
    return [{"name": name, "rules": list(group.rules)} for name, group in known.items() if name in wanted]


def _group(name: t.Any, fields: t.Any, place: str) -> Group:
    if not isinstance(fields, dict) or set(fields) - _FIELDS or not isinstance(fields.get("rules", []), list):
        raise ContentError(f"{place} needs {', '.join(sorted(_FIELDS))}, and nothing else")
    description = fields.get("description")
    if not isinstance(description, str) or not description.strip():
        raise ContentError(f"{place}: description is missing; say what it records")
    rules = []
    for rule in fields.get("rules", []):
        # {newer: RULE, older: [RULES]}: for a kernel or auditctl that does not know a field of the first.
        if isinstance(rule, dict):
            rule = f"{rule['newer']} || {' ; '.join(rule['older'])}"
        rules.append(str(rule))
    rules.extend(watched_paths.of_group(name))
    return Group(
        str(name), description.strip(), bool(fields.get("default", True)), int(fields.get("order", 50)), tuple(rules)
    )
