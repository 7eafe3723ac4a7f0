# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bulwark.servers.plugins.filter.findings_table import FilterModule

from tests.unit.plugins.plugin_utils.report import stored

findings_table = FilterModule().filters()["findings_table"]


def test_results_of_a_module_become_lines() -> None:
    lines = findings_table(
        [stored.event("web1", "/bin/ls")], [stored.checked()], host="web1", capability="file_integrity"
    )
    assert lines == [
        "SEVERITY  STATUS  HOST  FINDING                                                       SUBJECT",
        "critical  new     web1  package_file_modified: A packaged program does not match it…  /bin/ls",
        "",
        "Checked on web1: File integrity.",
        "Everything was checked.",
    ]


def test_the_width_bounds_every_line() -> None:
    lines = findings_table([stored.event("web1", "/bin/" + "x" * 300)], [stored.checked()], width=70)
    assert max(map(len, lines)) <= 70


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"findings": "text"}, "findings_table: findings is not a list but of type str"),
        ({"findings": [], "coverage": 3}, "findings_table: coverage is not a list but of type int"),
        ({"findings": [], "width": "wide"}, "findings_table: width must be int, not str"),
        ({"findings": [], "limit": True}, "findings_table: limit must be int, not bool"),
        ({"findings": [], "host": None}, "findings_table: host must be str, not NoneType"),
    ],
)
def test_what_cannot_be_shown_is_named(arguments: dict[str, t.Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        findings_table(**arguments)
