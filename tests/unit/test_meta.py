# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statements of the collection about itself that nothing else would notice when they go stale."""

from __future__ import annotations

import ast
import functools
import pathlib
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleParserError
from ansible.parsing.dataloader import DataLoader

from tests.support import paths

_PLUGINS = paths.ROOT / "plugins"


def test_every_module_that_takes_a_store_is_in_one_action_group() -> None:
    groups = yaml.safe_load((paths.ROOT / "meta" / "runtime.yml").read_text())["action_groups"]
    # A module for Windows has its documentation in a file beside it.
    documented = [path for suffix in ("py", "yml") for path in (_PLUGINS / "modules").glob(f"*.{suffix}")]
    takes_store = sorted(path.stem for path in documented if "store" in _options(path))

    assert sorted(name for group in groups.values() for name in group) == takes_store


@pytest.mark.parametrize("directory", ["playbooks", "roles"])
def test_no_mapping_repeats_a_key(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_DUPLICATE_YAML_DICT_KEY", "error")
    files = sorted((paths.ROOT / directory).rglob("*.yml"))

    assert files
    for file in files:
        DataLoader().load_from_file(str(file))


def test_a_key_that_a_merged_mapping_has_too_is_a_repeated_key(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_DUPLICATE_YAML_DICT_KEY", "error")
    file = tmp_path / "tasks.yml"
    file.write_text("a: &a {check: true}\nb: {<<: *a, check: false}\n")

    with pytest.raises(AnsibleParserError, match="duplicate"):
        DataLoader().load_from_file(str(file))


def _options(path: pathlib.Path) -> set[str]:
    """Return the options of a module, with those of the fragments that its documentation extends."""
    text = path.read_text()
    documentation = (
        yaml.safe_load(text)["DOCUMENTATION"] if path.suffix == ".yml" else yaml.safe_load(_text(text, "DOCUMENTATION"))
    )
    options = set(documentation.get("options") or {})
    for fragment in documentation.get("extends_documentation_fragment") or ():
        _namespace, _collection, name, *part = fragment.split(".")
        options |= _fragment_options(name, (part or ["DOCUMENTATION"])[0].upper())
    return options


@functools.cache
def _fragment_options(name: str, part: str) -> frozenset[str]:
    text = _text((_PLUGINS / "doc_fragments" / f"{name}.py").read_text(), part)
    return frozenset(yaml.safe_load(text).get("options") or ())


def _text(source: str, name: str) -> str:
    """Return the text that a module or a class assigns to a name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return t.cast("str", ast.literal_eval(node.value))
    raise AssertionError(f"{name} is assigned nowhere")
