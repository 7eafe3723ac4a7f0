# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a recommended role as an allowlist file for people to review, with the reasons beside each rule. Pure."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import re
import typing as t

import yaml
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import judge
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files, entries
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.allowlist_files import Lists, Review, RoleList
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommendation import Role
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted

_WIDTH = 110
# Of the name of a file; roles are called after software, and hosts say what that is called.
_LONGEST = 100


@dataclasses.dataclass(frozen=True)
class Learned:
    """The source of a draft. days: of the host that was observed longest. at: the day of today."""

    days: int
    hosts: int
    at: dt.date


def file_names(roles: t.Iterable[Role], drafts: Lists) -> dict[str, str]:
    """Return the name of the file of each role: that which is there, or a new one. A role may be called anything."""
    names = {each.name: each.file for each in drafts.roles}
    taken = {allowlist_files.EXCEPTIONS, *names.values()}
    for role in roles:
        if role.name in names:
            continue
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", role.name)[:_LONGEST].strip("-") or "role"
        candidates = (f"{stem}{suffix}.yml" for suffix in itertools.chain([""], map("-{}".format, itertools.count(2))))
        names[role.name] = next(name for name in candidates if name not in taken)
        taken.add(names[role.name])
    return names


def named_hosts(role: Role, roles: t.Mapping[str, t.Sequence[str]]) -> tuple[str, ...]:
    """Return the hosts that the file of a role names. roles: of each host.

    A base counts for all hosts of its distribution that have another role, so it names those that have none.
    """
    if not role.distribution:
        return role.hosts
    return tuple(host for host in role.hosts if list(roles.get(host, ())) == [role.name])


def as_list(role: Role, file: str, learned: Learned, hosts: tuple[str, ...]) -> RoleList:
    """Return a role as the list that its file will be read as. hosts: those that it names."""
    return RoleList(
        name=role.name,
        file=file,
        distribution=role.distribution,
        hosts=hosts,
        learned=dataclasses.asdict(learned),
        allow=tuple(each.rule._replace(role=role.name) for each in role.rules),
        review=tuple(Review(judge.subject(each.program), each.reasons, each.rule) for each in role.review),
    )


def text(role: Role, learned: Learned, hosts: t.Sequence[str]) -> str:
    """Return the file of a role that has no problem. hosts: those that it names."""
    head: dict[str, t.Any] = {"role": role.name}
    if role.distribution:
        head["distribution"] = role.distribution
    if hosts or not role.distribution:
        head["hosts"] = list(hosts)
    lines = [*_head(role, learned), *_dumped(head), *_mapping("learned", dataclasses.asdict(learned))]
    lines += _listed("allow", [entries.rule_entry(each.rule, each.reason) for each in role.rules])
    if role.left_out:
        lines.append(f"# Further programs that need a review and are not listed: {role.left_out}.")
    if role.undecided:
        lines.append(f"# Packages and files that ran on too few days or hosts and are not listed: {role.undecided}.")
    lines += _listed("review", [_review(each.program, each.reasons, each.rule) for each in role.review])
    return "".join(f"{line}\n" for line in lines)


def _head(role: Role, learned: Learned) -> list[str]:
    of = f"all hosts of {role.distribution}" if role.distribution else "some hosts"
    seen = f"{counted(learned.hosts, 'host')}, observed for up to {counted(learned.days, 'day')}"
    return [
        "---",
        f"# Programs that {of} have in common, learned from {seen}.",
        f"# Written by bulwark.servers.learn on {learned.at.isoformat()}. It allows and blocks nothing by itself.",
        "#",
        "# 1. Remove from allow the programs that should not run. Move from review to allow those that should.",
        "# 2. Put the file, and that of its base, into the directory that app_control_allowlists names.",
        "# 3. bulwark.servers.app_allowlist_info says what would be an alert; bulwark.servers.scan then raises it.",
    ]


def _review(program: Program, reasons: t.Sequence[str], rule: Rule) -> dict[str, t.Any]:
    return {"program": judge.subject(program), "reasons": list(reasons), "rule": entries.rule_entry(rule)}


def _listed(name: str, items: t.Sequence[dict[str, t.Any]]) -> list[str]:
    if not items:
        return [f"{name}: []"]
    lines = [f"{name}:"]
    for item in items:
        first, *more = _dumped(item)
        lines += [f"  - {first}", *(f"    {line}" for line in more)]
    return lines


def _mapping(name: str, value: t.Mapping[str, t.Any]) -> list[str]:
    return [f"{name}: {yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=_WIDTH).strip()}"]


def _dumped(value: t.Mapping[str, t.Any]) -> list[str]:
    return yaml.safe_dump(_plain(value), sort_keys=False, width=_WIDTH).splitlines()


def _plain(value: t.Any) -> t.Any:
    """Return what YAML knows; it has no tuples."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (tuple, list)) else value
