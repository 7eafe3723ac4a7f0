# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan asks what the modules do: their functions, with their options."""

from __future__ import annotations

import importlib
import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import options as file_options
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Entry

from tests.support import paths

_PLUGINS = "ansible_collections.bulwark.servers.plugins"


def _action(name: str) -> t.Any:
    return importlib.import_module(f"{_PLUGINS}.action.{name}").ActionModule


def _actions() -> list[str]:
    names = sorted(path.stem for path in (paths.ROOT / "plugins" / "action").glob("*.py"))
    return [name for name in names if getattr(_action(name), "ENTRY", None) is not None]


def test_each_look_of_a_scan_has_one() -> None:
    looks = (look for capability in capabilities.load().values() for look in capability.looks)
    asked = {look.module for look in looks if "linux" in look.platforms}
    assert asked <= set(_actions())


def _called(module: str, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, t.Any], t.Any]:
    """Return the argument spec that a module passes to AnsibleModule, and the function that it runs."""
    loaded = importlib.import_module(f"{_PLUGINS}.modules.{module}")
    ran = []
    monkeypatch.setattr(loaded, "AnsibleModule", types.SimpleNamespace)
    monkeypatch.setattr(loaded, "run_module", lambda made, function: ran.append((made.argument_spec, function)))
    loaded.main()
    ((spec, function),) = ran
    return spec, function


@pytest.mark.parametrize("name", _actions())
def test_the_entry_is_what_the_module_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry: Entry = _action(name).ENTRY
    module, _colon, function = entry.function.partition(":")
    found = getattr(importlib.import_module(f"{_PLUGINS}.module_utils.{module}"), function)
    assert callable(found)
    spec, ran = _called(name, monkeypatch)
    if name == "file_integrity":
        # It makes sure of the baseline and compares, in one go.
        more = {"_compare": {"type": "bool", "default": False}, "rehash": file_options.collect_spec()["rehash"]}
        assert entry.spec() == {**spec, **more}
        return
    assert entry.spec() == spec
    assert found is ran
