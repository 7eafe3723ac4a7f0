# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of the export have what their documentation says."""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.action import findings_export, findings_export_info
from ansible_collections.bulwark.servers.plugins.doc_fragments import store
from ansible_collections.bulwark.servers.plugins.modules import findings_export as findings_export_doc
from ansible_collections.bulwark.servers.plugins.modules import findings_export_info as findings_export_info_doc
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import StoreActionBase

# What a documentation says of no option.
_ONLY_IN_SPECS = ("no_log", "mutually_exclusive", "required_one_of", "required_together", "required_if", "required_by")


def documented(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return documented options as an argument spec has them."""
    found = {}
    for name, fields in options.items():
        assert fields["description"]
        spec = {key: value for key, value in fields.items() if key not in ("description", "suboptions")}
        if "suboptions" in fields:
            spec["options"] = documented(fields["suboptions"])
        found[name] = spec
    return found


def specified(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return an argument spec as far as a documentation can say it."""
    found = {}
    for name, fields in options.items():
        spec = {key: value for key, value in fields.items() if key not in _ONLY_IN_SPECS}
        if "options" in spec:
            spec["options"] = specified(spec["options"])
        found[name] = spec
    return found


@pytest.mark.parametrize(
    ("action", "module"),
    [
        (findings_export.ActionModule, findings_export_doc),
        (findings_export_info.ActionModule, findings_export_info_doc),
    ],
)
def test_the_options_are_the_documented_ones(action: type[StoreActionBase], module: t.Any) -> None:
    options = dict(yaml.safe_load(module.DOCUMENTATION)["options"])
    options.update(yaml.safe_load(store.ModuleDocFragment.DOCUMENTATION)["options"])
    assert specified(action.ARGUMENTS["argument_spec"]) == documented(options)


def numbers(options: t.Mapping[str, t.Any], path: str = "") -> t.Iterator[tuple[str, str]]:
    """Return each documented option that is a number, with all that is written about it."""
    for name, fields in options.items():
        if "int" in (fields["type"], fields.get("elements")) or fields["type"] == "float":
            yield (
                f"{path}{name}",
                " ".join([fields["description"]] if isinstance(fields["description"], str) else fields["description"]),
            )
        yield from numbers(fields.get("suboptions", {}), f"{path}{name}.")


def test_each_number_says_its_limits() -> None:
    documented_numbers = [
        number
        for module in (findings_export_doc, findings_export_info_doc)
        for number in numbers(yaml.safe_load(module.DOCUMENTATION)["options"])
    ]
    assert len(documented_numbers) > 25
    without = [name for name, text in documented_numbers if not re.search(r"from \d|above 0|\d or more", text)]
    assert without == []


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        ("time_limit", 0, "1 to 604800"),
        ("time_limit", 99_999_999_999, "1 to 604800"),
        ("preview", -1, "0 to 10000"),
        ("preview", 10**30, "0 to 10000"),
    ],
)
def test_a_number_that_is_out_of_bounds_is_named(option: str, value: int, wanted: str) -> None:
    options = {
        "state": "exported", "names": [], "destinations": [{}], "time_limit": 300, "preview": 10, "behind_after": "1d",
    }  # fmt: skip
    action = t.cast("t.Any", findings_export.ActionModule)
    assert action.check(None, options) is options
    with pytest.raises(AnsibleActionFail, match=f"'{option}' is {value}: write {wanted}"):
        action.check(None, {**options, option: value})
