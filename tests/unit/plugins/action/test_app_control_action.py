# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the module that enforces are those that are documented, in the module and in the action."""

from __future__ import annotations

import yaml
from ansible_collections.bulwark.servers.plugins.action import app_control
from ansible_collections.bulwark.servers.plugins.modules import app_control as module


def test_the_options_are_the_documented_ones() -> None:
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    spec = app_control.ActionModule.ARGUMENTS["argument_spec"]
    own = {name: {key: value for key, value in fields.items() if key != "no_log"} for name, fields in spec.items()}
    assert own == {
        name: {key: value for key, value in fields.items() if key != "description"}
        for name, fields in documented.items()
    }
