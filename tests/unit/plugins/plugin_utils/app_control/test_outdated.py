# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An allowlist is compared with what is recommended now."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import outdated
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.allowlist_files import Review
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommendation import Recommendation

from tests.unit.plugins.plugin_utils.app_control.samples import (
    BASH_RULE,
    NGINX_RULE,
    TOOL,
    fleet,
    host,
    listed,
    lists,
    role,
)

SEEN = fleet(host("web1", [0, 2]), host("web2", [0]), host("db1", [1]))
HOSTS = ("web1", "web2")
OLD = Rule("web", package="apache2", manager="dpkg")


def test_a_list_that_fits_has_no_changes() -> None:
    assert not outdated.of_role(listed("web", NGINX_RULE, hosts=HOSTS), role(), SEEN)


def test_what_is_missing_unused_and_new_to_review_is_named() -> None:
    changes = outdated.of_role(listed("web", OLD, hosts=("web1", "web3")), role(review=[TOOL]), SEEN)
    assert [each.rule for each in changes.add] == [NGINX_RULE]
    assert changes.unused == (OLD,)
    assert [each.program for each in changes.review] == [TOOL]
    assert (changes.hosts_added, changes.hosts_removed) == (("web2",), ("web3",))


def test_what_a_person_allowed_or_left_for_review_is_no_news() -> None:
    allowed = listed("web", NGINX_RULE, Rule("web", directory="/opt"), hosts=HOSTS)
    reviewed = listed("web", NGINX_RULE, hosts=HOSTS, review=(Review("/opt/tool", (), None),))
    for each in (allowed, reviewed):
        assert not outdated.of_role(each, role(review=[TOOL]), SEEN)


@pytest.mark.parametrize(
    ("given", "rule", "is_there"),
    [
        (Rule("a", package="nginx", manager="dpkg"), NGINX_RULE, True),
        (NGINX_RULE, Rule("a", package="nginx", manager="dpkg"), False),
        (NGINX_RULE, NGINX_RULE._replace(image="shop"), False),
        (NGINX_RULE._replace(allow_unverified=True), NGINX_RULE, True),
        (NGINX_RULE, NGINX_RULE._replace(allow_unverified=True), False),
        (Rule("a", directory="/opt"), Rule("a", directory="/opt/app"), True),
        (Rule("a", directory="/opt/app"), Rule("a", directory="/opt"), False),
        (Rule("a", directory="/opt"), Rule("a", directory="/optional"), False),
        (Rule("a", sha256="b" * 64), Rule("a", sha256="b" * 64, path="/x"), True),
        (Rule("a", sha256="b" * 64, path="/x"), Rule("a", sha256="b" * 64), False),
        (NGINX_RULE._replace(except_sha256=("c",)), NGINX_RULE, False),
    ],
)
def test_a_wider_rule_has_it_already(given: Rule, rule: Rule, is_there: bool) -> None:
    changes = outdated.of_role(listed("web", given, hosts=HOSTS), role(rules=[rule]), SEEN)
    assert (changes.add == ()) is is_there


def test_every_kind_of_rule_can_be_unused() -> None:
    used = (NGINX_RULE, Rule("web", directory="/opt"), Rule("web", sha256="b" * 64))
    unused = (
        OLD,
        BASH_RULE,
        Rule("web", directory="/srv"),
        Rule("web", sha256="d" * 64),
        NGINX_RULE._replace(image="x"),
    )
    assert outdated.of_role(listed("web", *used, *unused, hosts=HOSTS), None, SEEN).unused == unused


def test_of_hosts_of_which_nothing_is_known_no_rule_is_unused() -> None:
    assert not outdated.of_role(listed("web", OLD, hosts=("web7",)), None, SEEN)


def test_a_base_is_used_by_all_hosts_of_its_distribution_and_names_none() -> None:
    base = listed("base", BASH_RULE, hosts=(), distribution="debian 12")
    assert not outdated.of_role(base, role("base", [BASH_RULE], distribution="debian 12"), SEEN)
    other = listed("base", BASH_RULE, hosts=(), distribution="rocky 9")
    assert not outdated.of_role(other, None, SEEN)


def test_lists_without_changes_and_roles_with_a_problem_are_left_out() -> None:
    fits, old = listed("web", NGINX_RULE, hosts=HOSTS), listed("old", OLD, hosts=("db1",))
    problem = role("old", [], problem="only 1 host has it", hosts=("db1",))
    found = outdated.of_lists(lists(fits, old), Recommendation((role(), problem), {}, {}), SEEN)
    assert [(each.name, each.unused, each.hosts_added) for each in found] == [("old", (OLD,), ())]
