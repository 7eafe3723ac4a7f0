# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state file of network rules keeps the keys of the first version."""

from __future__ import annotations

import contextlib
import json
import pathlib

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import records
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import policy, state

POLICY = {
    "mode": "enforce",
    "rules": [{"port": "22", "protocol": "tcp", "prefixes": ["10.0.0.0/8"], "closed": False}],
    "blocked": [],
    "log": False,
}


def test_a_policy_is_written_and_read_with_its_keys(tmp_path: pathlib.Path) -> None:
    wanted = policy.parse({**POLICY, "always_allow": ["192.0.2.1"]})
    root = tmp_path / "state"
    root.mkdir(mode=0o700)
    where = StateDirectory.open(str(root), state.CAPABILITY, create=True)
    assert where is not None
    with contextlib.closing(where):
        state.write(where, wanted)
        noted = json.loads((root / state.CAPABILITY / records.POLICY).read_text())
        assert noted["policy"] == {**POLICY, "always": ["192.0.2.1"]}
        found = state.read(where)
    assert found is not None
    assert found[0] == wanted
