# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dry run names what would be an alert on which hosts, and no more."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Exemption
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import dry_run
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.allowlist_files import Lists
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet

from tests.unit.plugins.plugin_utils.app_control.samples import (
    BASH,
    BASH_RULE,
    NGINX,
    NGINX_RULE,
    TOOL,
    fleet,
    host,
    listed,
    lists,
)

BASE = listed("base", BASH_RULE, hosts=(), distribution="debian 12")
ALL = range(3)


def nobody(programs: t.Sequence[Program]) -> dict[tuple[str, Program], t.Sequence[str]]:
    assert list(programs) == []
    return {}


def replay(seen: Fleet, given: Lists, users: dry_run.Users = nobody) -> dry_run.Replay:
    return dry_run.replay(seen, given, users, 1_000.0)


def test_it_names_programs_that_no_list_of_the_host_has() -> None:
    seen = fleet(host("web1", ALL), host("web2", ALL), host("db1", [1, 2]))
    found = replay(seen, lists(BASE, listed("web", NGINX_RULE, hosts=("web1", "web2")), listed("db", hosts=("db1",))))
    (tool,) = found.alerts
    assert (tool.program, tool.alert) == (TOOL, "app_unapproved_program")
    assert tool.reason == "it belongs to no package"
    assert (tool.hosts, tool.roles) == (["web1", "web2", "db1"], {"base", "web", "db"})
    assert (tool.executions, tool.newest) == (30, 2.0)
    assert (found.judged, found.without) == (("web1", "web2", "db1"), ())


def test_hosts_without_a_list_are_named_and_not_judged() -> None:
    found = replay(fleet(host("web1", [1]), host("new", ALL)), lists(BASE, listed()))
    assert (found.alerts, found.judged, found.without) == ((), ("web1",), ("new",))


def test_the_lists_of_the_newest_look_count_too() -> None:
    seen = fleet(host("web9", [0], roles=("web", "gone")))
    assert replay(seen, lists(listed("web", NGINX_RULE))).alerts == ()


def test_the_programs_of_most_hosts_come_first() -> None:
    seen = fleet(host("a", [2]), host("b", [0, 2]))
    found = replay(seen, lists(listed("web", hosts=("a", "b"))))
    assert [(each.program, each.hosts) for each in found.alerts] == [(TOOL, ["a", "b"]), (NGINX, ["b"])]


def test_exceptions_count_for_their_hosts_until_they_end() -> None:
    seen = fleet(host("a", [0, 2]), host("b", [0, 2]))
    exemptions = [
        (Exemption("/opt/tool", "x", "y"), ("a",)),
        (Exemption("/usr/bin/*", "x", "y", until=999.0), ()),
    ]
    found = replay(seen, lists(listed("web", hosts=("a", "b")), exemptions=exemptions))
    assert [(each.program, each.hosts) for each in found.alerts] == [(NGINX, ["a", "b"]), (TOOL, ["b"])]


def test_an_exception_for_an_account_counts_where_nobody_else_ran_it() -> None:
    asked = []

    def users(programs: t.Sequence[Program]) -> dict[tuple[str, Program], t.Sequence[str]]:
        asked.extend(programs)
        return {("a", TOOL): ["ci"], ("b", TOOL): ["ci", "bob"]}

    seen = fleet(host("a", ALL), host("b", ALL), host("c", [2]))
    given = listed("web", NGINX_RULE, hosts=("a", "b", "c"))
    exemption = (Exemption("/opt/*", "x", "y", user="ci"), ())
    found = replay(seen, lists(BASE, given, exemptions=[exemption]), users)
    assert [(each.program, each.hosts) for each in found.alerts] == [(TOOL, ["b", "c"])]
    assert asked == [TOOL]
    assert BASH in seen.programs
