# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide on memory scans names every subtype and variable that there is, and its signature can be used."""

from __future__ import annotations

import collections
import pathlib
import re
import textwrap

import docutils.core
import docutils.nodes
import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import signatures, subtypes

from tests.support import paths

_GUIDE = paths.ROOT / "docs" / "docsite" / "rst" / "memory_scan.rst"
_ROLE = paths.ROOT / "roles" / "memory_scan" / "meta" / "argument_specs.yml"
_OWN_SYNTAX = re.compile(r":(?:ref|ansplugin):`|(?<=`)_(?=\W)")


def section(title: str) -> str:
    """Return the text below a title, up to the next one."""
    text = _GUIDE.read_text(encoding="utf-8")
    found = re.search(rf"^{title}\n([-~])\1+\n(.*?)(?=^[^\n]+\n[-~=]{{4,}}\n|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[2]


def rows(title: str) -> list[list[docutils.nodes.entry]]:
    """Return the rows of the first table below a title, without its head."""
    text = _OWN_SYNTAX.sub(lambda found: "`" if found[0].startswith(":") else "", section(title))
    settings = {"halt_level": 5, "report_level": 5, "warning_stream": False}
    table = next(docutils.core.publish_doctree(text, settings_overrides=settings).findall(docutils.nodes.tbody))
    return [list(row.findall(docutils.nodes.entry)) for row in table.findall(docutils.nodes.row)]


def literals(entry: docutils.nodes.entry) -> list[str]:
    return [node.astext() for node in entry.findall(docutils.nodes.literal)]


def example() -> str:
    """Return the signature that the guide has as an example."""
    found = re.search(r"code-block:: yaml\n\n(.*?)\n(?=\S)", section("Signatures"), re.DOTALL)
    assert found is not None
    return textwrap.dedent(found[1])


def test_it_lists_each_subtype_once_by_class_and_severity() -> None:
    told = {(kind.astext(), severity.astext()): literals(names) for kind, severity, names in rows("Subtypes")}
    known = collections.defaultdict(list)
    for one in sorted(subtypes.load().values(), key=lambda one: one.id):
        known[one.kind, one.severity].append(one.id)
    assert told == known


def test_it_has_each_variable_of_the_role_with_its_default() -> None:
    told = {literals(name)[0]: default.astext() for name, default, _meaning in rows("Scan")}
    options = yaml.safe_load(_ROLE.read_text())["argument_specs"]["main"]["options"]
    known = {name: fields["default"] for name, fields in options.items() if name.startswith("memory_scan_")}
    # Where that is depends on the account, and on whether it is root.
    known["memory_scan_state_dir"] = "/var/lib/bulwark"
    assert {name: yaml.safe_load(default) for name, default in told.items()} == known


def test_its_signature_can_be_used(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "own.yml"
    file.write_text(example(), encoding="utf-8")
    loaded = signatures.read([str(file)], own=False)
    assert loaded.problems == []
    assert [signature["id"] for signature in loaded.signatures] == ["acme_loader"]


def test_its_warning_of_a_broken_signature_is_what_is_said(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "acme.yml"
    file.write_text(example().replace("[2-6] 4?", "zz"), encoding="utf-8")
    (problem,) = signatures.read([str(file)], own=False).problems
    assert problem.removeprefix(f"{tmp_path}/") in " ".join(section("Signatures").split())
