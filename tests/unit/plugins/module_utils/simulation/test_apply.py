# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before anything is simulated."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.apply import Hook, apply


def test_a_visit_that_no_capability_has_a_hook_for_is_named_with_what_there_is() -> None:
    hooks = {
        "locked_port": Hook("jit_access", lambda _params, source: (source, "tcp", 22), lambda _params, _packet: None)
    }
    params = {"confirm": True, "_simulations": [{"alert": "x", "visits": ["open_port"]}]}
    with pytest.raises(UsageError, match=r"^the simulation of x: 'open_port' is not one of .* visited: locked_port$"):
        apply(params, True, hooks)
