# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of network rules are those that are documented, in the module and in the action."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.action import network_rules, network_rules_draft, network_rules_info
from ansible_collections.bulwark.servers.plugins.doc_fragments import store
from ansible_collections.bulwark.servers.plugins.modules import network_rules as rules_doc
from ansible_collections.bulwark.servers.plugins.modules import network_rules_draft as draft_doc
from ansible_collections.bulwark.servers.plugins.modules import network_rules_info as info_doc


def _described(module: t.Any, *fragments: str) -> dict[str, t.Any]:
    found = dict(yaml.safe_load(module.DOCUMENTATION)["options"])
    for fragment in fragments:
        found.update(yaml.safe_load(fragment)["options"])
    return {name: _plain(fields) for name, fields in found.items()}


def _plain(fields: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    plain = {key: value for key, value in fields.items() if key not in ("description", "suboptions")}
    if "suboptions" in fields:
        plain["options"] = {name: _plain(inner) for name, inner in fields["suboptions"].items()}
    return plain


@pytest.mark.parametrize(
    ("action", "module"),
    [(network_rules.ActionModule, rules_doc), (network_rules_info.ActionModule, info_doc)],
)
def test_the_options_are_the_documented_ones(action: t.Any, module: t.Any) -> None:
    spec = action.ARGUMENTS["argument_spec"]
    own = {name: {key: value for key, value in fields.items() if key != "no_log"} for name, fields in spec.items()}
    assert own == _described(module)


def test_so_are_those_of_the_draft() -> None:
    assert dict(network_rules_draft.ARGUMENTS) == _described(draft_doc, store.ModuleDocFragment.DOCUMENTATION)
