# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every PowerShell module has the literal form, and its documentation says what its specification does."""

from __future__ import annotations

import importlib
import pathlib
import typing as t

import pytest
import yaml

from tests.support import paths
from tests.support.windows import literal_module

_DIRECTORY = paths.ROOT / "plugins" / "modules"
_MODULES = sorted(_DIRECTORY.glob("*.ps1"))
_FRAGMENTS = "ansible_collections.bulwark.servers.plugins.doc_fragments"
# What documentation and specification both say of an option, with what holds where nothing is said.
_DEFAULTS: t.Final[t.Mapping[str, t.Any]] = {
    "type": "str",
    "required": False,
    "default": None,
    "choices": None,
    "elements": None,
    "aliases": [],
}
# Everything else that Ansible.Basic knows of an option, which documentation doesn't say.
_UNDOCUMENTED = {"no_log", "options", "mutually_exclusive", "required_together", "required_one_of", "required_if"}
# no_log: Ansible.Basic then writes no arguments, 30 KB of ours, to the host's Application log.
_TOP_LEVEL = {"options", "supports_check_mode", *_UNDOCUMENTED, "required_by"}
_SECRET = ("password", "secret", "token", "passphrase", "key_material")


def _documentation(module: pathlib.Path) -> dict[str, t.Any]:
    """Return a module's documentation with the options of the fragments that it extends."""
    documentation: dict[str, t.Any] = yaml.safe_load(module.with_suffix(".yml").read_text(encoding="utf-8"))[
        "DOCUMENTATION"
    ]
    fragments = documentation.get("extends_documentation_fragment", [])
    for fragment in [fragments] if isinstance(fragments, str) else fragments:
        parts = fragment.removeprefix("bulwark.servers.").split(".")
        holder = importlib.import_module(f"{_FRAGMENTS}.{parts[0]}").ModuleDocFragment
        text = getattr(holder, parts[1].upper() if len(parts) > 1 else "DOCUMENTATION")
        extended = yaml.safe_load(text)
        for key in ("options", "attributes"):
            documentation[key] = _merge(extended.get(key) or {}, documentation.get(key) or {})
    return documentation


def _merge(base: t.Mapping[str, t.Any], over: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    both = {name: {**base[name], **over[name]} for name in base.keys() & over.keys()}
    return {**base, **over, **both}


def _compared(options: t.Mapping[str, t.Any], nested: str) -> dict[str, t.Any]:
    """Return what is compared of options, with ``nested`` as the key of the options within an option."""
    return {
        name: {
            **{key: option.get(key, default) for key, default in _DEFAULTS.items()},
            "options": _compared(option[nested], nested) if option.get(nested) else None,
        }
        for name, option in options.items()
    }


@pytest.mark.parametrize("module", _MODULES, ids=lambda file: file.stem)
def test_the_documentation_says_what_the_specification_does(module: pathlib.Path) -> None:
    spec = literal_module.read(module).spec
    documentation = _documentation(module)
    assert documentation["module"] == module.stem
    assert _compared(documentation.get("options") or {}, "suboptions") == _compared(spec["options"], "options")
    documented = documentation["attributes"]["check_mode"]["support"]
    assert (documented == "full") is bool(spec.get("supports_check_mode"))


@pytest.mark.parametrize("module", _MODULES, ids=lambda file: file.stem)
def test_the_specification_has_only_words_of_ansible_basic(module: pathlib.Path) -> None:
    spec = literal_module.read(module).spec
    assert spec.keys() <= _TOP_LEVEL
    for name, option in _every_option(spec["options"]):
        assert option.keys() <= _DEFAULTS.keys() | _UNDOCUMENTED, name
        # A default that is said to be none is not the same to Ansible.Basic as a required option without one.
        assert not (option.get("required") and "default" in option), name
        assert "no_log" in option or not any(word in name for word in _SECRET), name
    assert spec.get("no_log", True) is True
    # 31,839 characters fit into an event, and the log is where the traces of attackers are.
    assert bool(spec["options"]) is ("no_log" in spec)


def _every_option(options: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, t.Mapping[str, t.Any]]]:
    for name, option in options.items():
        yield name, option
        yield from _every_option(option.get("options") or {})


def test_every_module_is_documented_beside_it() -> None:
    assert [module.name for module in _MODULES if not module.with_suffix(".yml").is_file()] == []
    assert [file.name for file in _DIRECTORY.glob("win_*.yml") if not file.with_suffix(".ps1").is_file()] == []
