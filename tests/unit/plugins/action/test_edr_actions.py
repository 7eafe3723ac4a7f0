# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of endpoint protection are those that are documented, and what is expected is checked before any host."""

from __future__ import annotations

import types
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.action import edr_info
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import reading_spec
from ansible_collections.bulwark.servers.plugins.modules import edr_info as documentation
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import products

from tests.support import paths

ROLE = paths.ROOT / "roles" / "edr"
OPTIONS = {
    name: fields
    for name, fields in edr_info.ActionModule.ARGUMENTS["argument_spec"].items()
    if name not in reading_spec()
}
# Without those that the action plugin sets.
SPEC = {name: fields for name, fields in OPTIONS.items() if not name.startswith("_")}


def test_the_options_are_the_documented_ones() -> None:
    documented = yaml.safe_load(documentation.DOCUMENTATION)["options"]
    assert {
        name: {key: value for key, value in fields.items() if key != "description"}
        for name, fields in documented.items()
    } == OPTIONS


def test_the_role_has_each_option_with_its_default() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    options = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    documented = {name: fields["default"] for name, fields in options.items() if "default" in fields}
    assert {name: defaults[name] for name in documented} == documented
    assert {f"edr_{name}": fields["default"] for name, fields in SPEC.items()}.items() <= defaults.items()
    assert defaults["edr_state_dir"] == ""
    look = next(each for each in capabilities.load()["edr"].looks if each.module == "edr_info")
    assert look.options == {name: f"edr_{name}" for name in (*SPEC, "state_dir")}


def arguments(**given: t.Any) -> dict[str, t.Any]:
    made = edr_info.ActionModule.__new__(edr_info.ActionModule)
    made._task = types.SimpleNamespace(args=given, action="bulwark.servers.edr_info")
    return made.module_arguments(dict(given), {})


def test_the_host_gets_the_products() -> None:
    assert arguments(expected=["falco"]) == {"expected": ["falco"], "_content": products.packed()}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"expected": ["defender"]}, "expected: there is no product 'defender'"),
        ({"expected": [" "]}, "expected: an entry is empty"),
        ({"content_age": -1}, "content_age is -1; use 0 or more"),
        ({"command_timeout": 0}, "command_timeout is 0; use 1 or more"),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, t.Any], message: str) -> None:
    with pytest.raises(ContentError) as error:
        arguments(**given)
    assert message in str(error.value)
