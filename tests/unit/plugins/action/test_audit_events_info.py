# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import yaml
from ansible_collections.bulwark.servers.plugins.action.audit_events_info import ActionModule
from ansible_collections.bulwark.servers.plugins.modules import audit_events_info


def test_the_options_are_the_documented_ones() -> None:
    options = yaml.safe_load(audit_events_info.DOCUMENTATION)["options"]
    # Those that begin with an underscore are between the action and the module.
    documented = {name: fields for name, fields in options.items() if name[0] != "_"}
    for fields in documented.values():
        fields.pop("description")
        fields.pop("suboptions", None)
    asked = {name: dict(fields) for name, fields in ActionModule.ARGUMENTS["argument_spec"].items() if name[0] != "_"}
    for fields in asked.values():
        fields.pop("options", None)
    assert asked == documented
