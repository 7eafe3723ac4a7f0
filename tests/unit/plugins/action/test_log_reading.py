# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that read logs have the options that are documented for them, those that they share among them."""

from __future__ import annotations

import types
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.action import audit_events_info as events_action
from ansible_collections.bulwark.servers.plugins.action import sign_in_info as sign_ins_action
from ansible_collections.bulwark.servers.plugins.doc_fragments import automation, checkpoint, log_reading
from ansible_collections.bulwark.servers.plugins.modules import audit_events_info, sign_in_info

_FRAGMENTS: dict[str, dict[str, t.Any]] = {
    f"bulwark.servers.{fragment.__name__.rpartition('.')[2]}": yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)[
        "options"
    ]
    for fragment in (automation, checkpoint, log_reading)
}


@pytest.mark.parametrize(
    ("module", "action"),
    [(audit_events_info, events_action.ActionModule), (sign_in_info, sign_ins_action.ActionModule)],
)
def test_the_options_are_the_documented_ones(module: types.ModuleType, action: t.Any) -> None:
    documentation = yaml.safe_load(module.DOCUMENTATION)
    extended = documentation["extends_documentation_fragment"]
    assert "bulwark.servers.log_reading" in extended
    shared = {name: fields for each in extended for name, fields in _FRAGMENTS.get(each, {}).items()}
    own = documentation["options"]
    assert not own.keys() & shared.keys()
    # Those that begin with an underscore are between the action and the module.
    documented = {name: dict(fields) for name, fields in {**shared, **own}.items() if name[0] != "_"}
    for fields in documented.values():
        fields.pop("description")
    asked = {name: fields for name, fields in action.ARGUMENTS["argument_spec"].items() if name[0] != "_"}
    assert asked == documented
