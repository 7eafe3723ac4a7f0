# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pattern that matches no host is refused with the names that come close; plays of the playbooks' tests have it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.lookup import hosts

VARIABLES: dict[str, t.Any] = {
    "groups": {"all": ["web1", "db1"], "ungrouped": [], "webservers": ["web1"]},
    "ansible_inventory_sources": ["hosts.yml"],
}


@pytest.mark.parametrize(
    ("pattern", "advice"),
    [
        ("wbe1", "did you mean web1?"),
        ("webserver", "did you mean webservers?"),
        ("all:&wbe1", "did you mean web1?"),
        ("web1:!web1", "correct inventory, limit or pattern"),
        ("mail", "correct inventory, limit or pattern"),
    ],
)
def test_names_that_come_close_are_named(pattern: str, advice: str) -> None:
    assert hosts._explanation(pattern, VARIABLES) == f"no host matches '{pattern}' in the inventory hosts.yml; {advice}"


def test_without_an_inventory_there_is_nothing_to_name() -> None:
    message = hosts._explanation("web1", {"ansible_limit": "db"})
    assert message == (
        "no host matches 'web1' within the limit 'db' in the inventory that is configured; "
        "correct inventory, limit or pattern"
    )


@pytest.mark.parametrize(("name", "question"), [("wbe1", "did you mean web1?"), ("web1", ""), ("mail", "")])
def test_only_an_unknown_name_is_compared(name: str, question: str) -> None:
    assert hosts._similar(name, VARIABLES["groups"]) == question
