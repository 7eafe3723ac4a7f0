# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of requests have what their documentation says."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.action import jit_close, jit_open, jit_request, jit_requests_info
from ansible_collections.bulwark.servers.plugins.doc_fragments import store
from ansible_collections.bulwark.servers.plugins.modules import jit_close as jit_close_doc
from ansible_collections.bulwark.servers.plugins.modules import jit_open as jit_open_doc
from ansible_collections.bulwark.servers.plugins.modules import jit_request as jit_request_doc
from ansible_collections.bulwark.servers.plugins.modules import jit_requests_info as jit_requests_info_doc
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import table
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import jit_states

PAIRS: list[tuple[type[StoreActionBase], t.Any]] = [
    (jit_request.ActionModule, jit_request_doc),
    (jit_requests_info.ActionModule, jit_requests_info_doc),
]


@pytest.mark.parametrize(("action", "module"), PAIRS)
def test_the_options_are_the_documented_ones(action: type[StoreActionBase], module: t.Any) -> None:
    documented = dict(yaml.safe_load(module.DOCUMENTATION)["options"])
    documented.update(yaml.safe_load(store.ModuleDocFragment.DOCUMENTATION)["options"])
    for fields in documented.values():
        del fields["description"]
    assert action.ARGUMENTS["argument_spec"] == documented


@pytest.mark.parametrize(
    ("action", "module"), [(jit_open.ActionModule, jit_open_doc), (jit_close.ActionModule, jit_close_doc)]
)
def test_the_steps_have_the_documented_options(action: t.Any, module: t.Any) -> None:
    documented = dict(yaml.safe_load(module.DOCUMENTATION)["options"])
    documented.update(yaml.safe_load(store.ModuleDocFragment.DOCUMENTATION)["options"])
    for fields in documented.values():
        del fields["description"]
    assert documented == action.ARGUMENTS


def test_every_state_can_be_asked_for_and_set() -> None:
    options = jit_requests_info.ActionModule.ARGUMENTS["argument_spec"]
    assert tuple(options["states"]["choices"]) == jit_states.STATES
    assert set(jit_request.ActionModule.ARGUMENTS["argument_spec"]["state"]["choices"]) == set(jit_states.STATES)


def test_both_document_the_same_request_and_the_table_has_all_of_it() -> None:
    described = yaml.safe_load(jit_request_doc.RETURN)["request"]["contains"]
    assert yaml.safe_load(jit_requests_info_doc.RETURN)["requests"]["contains"] == described
    assert set(table.COLUMNS) == set(described)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "missing required arguments: state"),
        (
            {"state": "requested", "ports": ["22"]},
            "state is requested but all of the following are missing: justification",
        ),
        ({"state": "approved"}, "state is approved but all of the following are missing: id"),
        ({"state": "open"}, "state is open but all of the following are missing: id"),
        (
            {"state": "requested", "id": "x", "ports": ["22"], "justification": "y"},
            "parameters are mutually exclusive: id|ports",
        ),
        (
            {"state": "reopened", "id": "x"},
            "value of state must be one of: requested, approved, denied, opening, open, unknown, cl",
        ),
    ],
)
def test_options_that_belong_together_are_asked_for(options: dict[str, t.Any], message: str) -> None:
    validator = ArgumentSpecValidator(**jit_request.ActionModule.ARGUMENTS)
    assert message in " ".join(validator.validate(options).error_messages)
