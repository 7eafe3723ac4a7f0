# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets, roles and lists that tests are about."""

from __future__ import annotations

import pathlib
import typing as t
from array import array

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Exemption, Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.allowlist_files import (
    ListedExemption,
    Lists,
    RoleList,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommendation import (
    RecommendedRule,
    ReviewItem,
    Role,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet, HostPrograms

from tests.unit.plugins.plugin_utils.store.programs import program

NGINX, BASH = program(), program("/usr/bin/bash")
TOOL = program("/opt/tool", package="", manager="", verification="unpackaged", sha256="b" * 64)
NGINX_RULE = Rule("web", package="nginx", manager="dpkg", origin="signed")
BASH_RULE = Rule("base", package="bash", manager="dpkg")


def host(name: str, indexes: t.Sequence[int], days: int = 30, roles: tuple[str, ...] = ()) -> HostPrograms:
    """Return a host that ran programs of these positions, each 10 times, the last time on the day of its position."""
    number = len(indexes)
    return HostPrograms(
        name=name,
        distribution="debian 12",
        since=0.0,
        until=days * 86_400.0,
        days=days,
        programs=array("I", indexes),
        first=array("d", [0.0] * number),
        last=array("d", [float(each) for each in indexes]),
        days_seen=array("H", [days] * number),
        executions=array("Q", [10] * number),
        roles=roles,
    )


def fleet(*hosts: HostPrograms, programs: t.Sequence[Program] = (NGINX, BASH, TOOL)) -> Fleet:
    return Fleet(programs, hosts)


def listed(name: str = "web", *rules: Rule, hosts: tuple[str, ...] = ("web1",), **fields: t.Any) -> RoleList:
    about = {"file": f"{name}.yml", "distribution": "", "learned": {}, "review": (), **fields}
    return RoleList(name=name, hosts=hosts, allow=rules, **about)


def lists(*roles: RoleList, exemptions: t.Sequence[tuple[Exemption, tuple[str, ...]]] = ()) -> Lists:
    return Lists(pathlib.Path("/lists"), roles, tuple(ListedExemption(*each) for each in exemptions))


def role(
    name: str = "web",
    rules: t.Sequence[Rule] = (NGINX_RULE,),
    review: t.Sequence[Program] = (),
    hosts: tuple[str, ...] = ("web1", "web2"),
    **fields: t.Any,
) -> Role:
    return Role(
        name=name,
        distribution=fields.pop("distribution", ""),
        hosts=hosts,
        rules=tuple(RecommendedRule(each, 3, len(hosts), "3 programs on 2 hosts.") for each in rules),
        review=tuple(
            ReviewItem(each, hosts, ("It belongs to no package.",), Rule(name, sha256=each.sha256, path=each.path))
            for each in review
        ),
        **fields,
    )
