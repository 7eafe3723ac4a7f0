# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The golden cases that both engines are tested with; tests/unit/windows/test_sigma.py has those of C#."""

from __future__ import annotations

import json

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import Values, condition

from tests.support import sigma_cases
from tests.support.sigma_cases import Case


@pytest.mark.parametrize("case", sigma_cases.load(), ids=lambda case: json.dumps(case.node)[:60])
def test_a_node_has_the_verdicts_of_its_views(case: Case) -> None:
    check = condition(case.node)
    assert [check(Values(view)) for view in case.views] == case.expected
