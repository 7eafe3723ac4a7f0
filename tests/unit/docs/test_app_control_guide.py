# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide on application control has every variable, field and alert, and its examples can be used."""

from __future__ import annotations

import functools
import pathlib
import re
import textwrap
import typing as t

import docutils.core
import docutils.nodes
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files, entries

from tests.support import paths

_GUIDES = paths.ROOT / "docs" / "docsite" / "rst"
_TEXT = (_GUIDES / "app_control.rst").read_text(encoding="utf-8")
_ENFORCE = (_GUIDES / "app_control_enforce.rst").read_text(encoding="utf-8")
_ROLE = paths.ROOT / "roles" / "app_control"
_OWN_SYNTAX = re.compile(r":(?:ref|ansplugin):`|(?<=`)_(?=\W)")
# The defaults are the values of other variables.
_IN_WORDS = {"app_control_automation_users", "app_control_automation_addresses", "app_control_automation_units"}


def section(title: str, guide: str = _TEXT) -> str:
    """Return the text below a title, up to the next one."""
    found = re.search(rf"^{title}\n([-~])\1+\n(.*?)(?=^[^\n]+\n[-~=]{{4,}}\n|\Z)", guide, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[2]


def tables(title: str, guide: str = _TEXT) -> list[list[list[docutils.nodes.entry]]]:
    """Return the rows of the tables below a title, without their heads."""
    text = _OWN_SYNTAX.sub(lambda found: "`" if found[0].startswith(":") else "", section(title, guide))
    settings = {"halt_level": 5, "report_level": 5, "warning_stream": False}
    return [
        [list(row.findall(docutils.nodes.entry)) for row in table.findall(docutils.nodes.row)]
        for table in docutils.core.publish_doctree(text, settings_overrides=settings).findall(docutils.nodes.tbody)
    ]


def literals(rows: t.Iterable[t.Sequence[docutils.nodes.entry]]) -> list[str]:
    """Return what the first cells of rows name."""
    return [node.astext() for row in rows for node in row[0].findall(docutils.nodes.literal)]


def blocks() -> t.Iterator[str]:
    for found in re.findall(r"code-block:: yaml(?:\+jinja)?\n\n(.*?)\n(?=\S|\Z)", _TEXT, re.DOTALL):
        yield textwrap.dedent(found)


@functools.cache
def examples() -> dict[str, t.Any]:
    """Return the YAML of the examples by the names of their files, which their first lines have."""
    return {block.split("\n")[0].removeprefix("# ").split(",")[0]: yaml.safe_load(block) for block in blocks()}


@pytest.fixture
def lists(tmp_path: pathlib.Path) -> allowlist_files.Lists:
    """Return the directory of allowlists that the guide has as an example, as a scan reads it."""
    for block in blocks():
        named = re.match(r"# app_control/(\S+)", block)
        if named:
            (tmp_path / named[1]).write_text(block, encoding="utf-8")
    return allowlist_files.load(tmp_path)


def test_they_have_each_variable_of_the_role_with_its_default() -> None:
    (learning,), (enforcing,) = tables("Variables"), tables("Variables", _ENFORCE)
    rows = [*learning, *enforcing]
    options = yaml.safe_load((_ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    known = [name for name in options if name.startswith("app_control_")]
    assert literals(rows) == known
    defaults = yaml.safe_load((_ROLE / "defaults" / "main.yml").read_text())
    assert list(defaults) == known
    for name, (_name, default, _meaning) in zip(known, rows, strict=True):
        if name in _IN_WORDS:
            assert "audit_automation" in defaults[name]
        else:
            assert yaml.safe_load(default.astext()) == options[name]["default"] == defaults[name], name


def test_it_has_each_violation_with_its_severity() -> None:
    (rows,) = tables("Use")
    severities = {alert.id: alert.severity for alert in catalogue.load() if alert.capability == "app_control"}
    violations = {name: severity for name, severity in severities.items() if name.startswith(("app_un", "app_changed"))}
    assert {literals([row])[0]: row[1].astext() for row in rows} == violations
    (enforcement,) = tables("Look", _ENFORCE)
    in_force = {literals([row])[0]: row[1].astext() for row in enforcement}
    assert in_force == {name: severities[name] for name in in_force}
    for name in severities:
        assert f"``{name}``" in _TEXT or name in in_force


def test_it_names_no_alert_that_is_not_there() -> None:
    named = set(re.findall(r"``(app_(?!control|window)\w+)``", _TEXT + _ENFORCE))
    modules = {path.stem for path in (paths.ROOT / "plugins" / "modules").glob("app_*.py")}
    assert named <= {alert.id for alert in catalogue.load()} | modules


def test_its_allowlists_are_read_as_it_says(lists: allowlist_files.Lists) -> None:
    base, web = lists.roles
    assert (base.name, base.distribution, base.hosts) == ("base-debian-12", "debian 12", ())
    assert (web.name, web.distribution, web.hosts) == ("web", "", ("web1", "web2"))
    assert {bool(rule.package) + 2 * bool(rule.directory) + 4 * bool(rule.sha256) for rule in web.allow} == {1, 2, 4}
    assert [item.program for item in web.review] == ["/usr/bin/gdb"]
    assert len(lists.exemptions) == 2
    compiled = allowlist_files.compiled(lists, "web1", (), "debian 12")
    assert compiled is not None
    assert compiled.roles == ("base-debian-12", "web")
    assert allowlist_files.compiled(lists, "db1", (), "debian 12") is None


def known_fields(read: t.Callable[[dict[str, str]], t.Any]) -> set[str]:
    """Return the fields that a reader knows, which it names when it is given another one."""
    with pytest.raises(catalogue.ContentError) as refused:
        read({"QQQ": ""})
    return set(str(refused.value).rpartition("known are ")[2].split(", "))


def test_it_explains_each_field_and_its_examples_have_it(tmp_path: pathlib.Path) -> None:
    def read_list(data: dict[str, str]) -> None:
        (tmp_path / "web.yml").write_text(yaml.safe_dump(data))
        allowlist_files.load(tmp_path)

    fields, rules = tables("A role")
    assert set(literals(fields)) == known_fields(read_list)
    rule_fields = known_fields(lambda data: entries.rule(data, "web", "here"))
    assert set(literals(rules)) | {"manager", "origin", "path"} == rule_fields
    assert {name for each in examples()["app_control/web.yml"]["allow"] for name in each} == rule_fields
    (exceptions,) = tables("Exceptions")
    assert set(literals(exceptions)) == set(entries.EXEMPTION_FIELDS)
    given = examples()["app_control/exceptions.yml"]["exceptions"]
    assert {name for each in given for name in each} == set(entries.EXEMPTION_FIELDS)


@pytest.mark.parametrize(("play", "module"), [("approve.yml", "app_allowlist"), ("try.yml", "app_allowlist_info")])
def test_its_tasks_have_options_that_the_modules_take(play: str, module: str) -> None:
    source = (paths.ROOT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8")
    found = re.search(r'DOCUMENTATION = r"""(.*?)"""', source, re.DOTALL)
    assert found is not None
    taken = ("type", "elements", "required", "choices")
    documented = yaml.safe_load(found[1])["options"]
    spec = {name: {key: option[key] for key in taken if key in option} for name, option in documented.items()}
    checked = ArgumentSpecValidator(spec).validate(examples()[play][0]["tasks"][0][f"bulwark.servers.{module}"])
    assert checked.error_messages == []


def test_its_variables_are_those_of_the_role() -> None:
    options = yaml.safe_load((_ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    pattern = r"``(app_control_\w+)``|^\s+(app_control_(?!ways|enforce)\w+):"
    for name in re.findall(pattern, _TEXT + _ENFORCE, re.MULTILINE):
        assert "".join(name) in options


@pytest.mark.parametrize(
    "message",
    [
        "there is no audit log",
        "so only running processes are seen",
        "it is not known whether it is written now",
        "Executions are known since",
        "No allowlist is for this host",
        "Not learned from",
    ],
)
def test_what_it_quotes_from_the_coverage_is_said(message: str) -> None:
    folders = [paths.ROOT / "plugins" / "module_utils" / name for name in ("app_control", "audit_records")]
    sources = [path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("*.py")]
    assert message in " ".join(_TEXT.split())
    assert any(message in source for source in sources)
