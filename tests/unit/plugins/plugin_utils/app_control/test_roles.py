# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts in roles, by what they run."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import Options
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommend import recommend
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommendation import Recommendation
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet

from tests.unit.plugins.plugin_utils.app_control.fleets import (
    ROCKY,
    Builder,
    Seen,
    database,
    packaged,
    two_roles,
    unpackaged,
    web,
)

WEB = {*(f"web{number}" for number in range(8)), "both"}
DATABASES = {*(f"db{number}" for number in range(6)), "both"}


def _roles(result: Recommendation) -> dict[str, set[str]]:
    return {role.name: {*role.hosts} for role in result.roles if not role.distribution}


def _sets(result: Recommendation) -> list[set[str]]:
    return sorted(_roles(result).values(), key=len)


def test_a_role_is_the_same_on_two_distributions_and_a_host_can_have_two() -> None:
    result = recommend(two_roles().fleet())
    assert _sets(result) == [DATABASES, WEB]
    assert [role.name for role in result.roles[:2]] == ["base-debian-12", "base-rocky-9"]
    assert len(result.hosts["both"]) == 3
    assert result.hosts["web1"] == (
        "base-rocky-9",
        next(name for name, hosts in _roles(result).items() if hosts == WEB),
    )


def test_shared_programs_make_no_role() -> None:
    built = two_roles()
    for name in (WEB | DATABASES) - {"web1"}:
        built.add(name, *(packaged(f"shared{letter}", f"/usr/bin/shared{letter}") for letter in "abcd"))
    built.host("plain0")
    built.host("plain1")
    built.host("plain2")
    built.host("plain3")
    assert _sets(recommend(built.fleet())) == [DATABASES, WEB]


def test_a_host_that_was_seen_for_three_days_has_its_role_and_teaches_nothing() -> None:
    built = two_roles()
    built.host("new", *web(), days=3)
    result = recommend(built.fleet())
    assert _sets(result) == [DATABASES, WEB | {"new"}]
    assert result.insufficient == {"new": "it was observed on 3 days, and app_control_minimum_days is 14"}


def test_too_few_days_and_too_few_hosts_are_answers() -> None:
    built = two_roles()
    for name in ("mail0", "mail1"):
        built.host(name, *(packaged(each) for each in ("postfix", "dovecot", "rspamd")))
    result = recommend(built.fleet())
    (mail,) = (role for role in result.roles if set(role.hosts) == {"mail0", "mail1"})
    assert (mail.problem, mail.rules, mail.review) == (
        "only 2 hosts have this role, and app_control_minimum_hosts is 3",
        (),
        (),
    )

    young = Builder()
    for number in range(4):
        young.host(f"web{number}", *web(), days=10)
        young.host(f"db{number}", *database(), days=10)
    result = recommend(young.fleet())
    assert len(_sets(result)) == 2
    assert {role.problem for role in result.roles} == {
        "not enough data yet: 0 of 8 hosts were observed for 14 days, and app_control_minimum_hosts is 3",
        "not enough data yet: 0 of 4 hosts were observed for 14 days, and app_control_minimum_hosts is 3",
    }
    assert all(role.rules for role in recommend(young.fleet(), Options(minimum_days=7)).roles)


def test_roles_keep_their_names_and_hosts() -> None:
    before = {"shop": sorted(WEB), "data": sorted(DATABASES)}
    built = two_roles()
    # A new host, an upgrade, odd programs, and a host that is no database any more.
    built.host("web8", *web(version="2.0"))
    built.host("web0", *web(version="2.0"), Seen(unpackaged("/root/try.sh"), 3, 1), Seen(packaged("htop"), 5, 2))
    built.host("db0")
    result = recommend(built.fleet(), previous=before)
    assert _roles(result) == {"shop": WEB | {"web8"}, "data": DATABASES - {"db0"}}


def test_a_role_of_former_allowlists_that_nobody_has_is_gone() -> None:
    result = recommend(two_roles().fleet(), previous={"mail": ["mail0", "mail1"], "shop": sorted(WEB)})
    assert "mail" not in _roles(result)
    assert _roles(result)["shop"] == WEB


def test_a_group_of_the_inventory_names_a_role_only_if_it_has_the_same_hosts() -> None:
    built = Builder()
    for number in range(5):
        built.host(f"web{number}", *web(), groups=("www", "all"))
        built.host(f"db{number}", *database(), groups=("all", "half") if number < 2 else ("all",))
    names = {*_roles(recommend(built.fleet()))}
    assert "www" in names
    assert names.isdisjoint({"all", "half"})


def test_malware_makes_no_role() -> None:
    built = two_roles()
    for name in ("web0", "web2", "web4"):
        built.add(name, *(unpackaged(f"/usr/lib/.x/{letter}") for letter in "abcdef"))
        tools = (packaged(each, f"/usr/bin/{each}") for each in ("nmap", "socat", "hydra", "oddtool", "strangetool"))
        built.add(name, *(Seen(tool, 9, 3, 5) for tool in tools))
    assert _sets(recommend(built.fleet())) == [DATABASES, WEB]


def test_hosts_without_anything_of_their_own_have_the_base() -> None:
    built = two_roles()
    built.host("plain")
    built.host("plain-rocky", distribution=ROCKY)
    result = recommend(built.fleet())
    assert result.hosts["plain"] == ("base-debian-12",)
    assert result.hosts["plain-rocky"] == ("base-rocky-9",)


def test_an_empty_fleet() -> None:
    result = recommend(Fleet([], []))
    assert (result.roles, dict(result.hosts), dict(result.insufficient)) == ((), {}, {})


def test_the_order_of_hosts_changes_nothing() -> None:
    fleet = two_roles().fleet()
    other = Fleet(fleet.programs, list(reversed(fleet.hosts)))
    assert _roles(recommend(fleet)) == _roles(recommend(other))
