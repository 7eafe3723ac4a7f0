# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may import what. Every import of every file counts, also one in a function or for types only.

``docs/architecture.md`` explains the floors. A new capability needs no change here; a new shared package gets a place.
"""

from __future__ import annotations

import ast
import functools
import pathlib
import sys
import typing as t

import pytest

from tests.support import paths

PLUGINS = paths.ROOT / "plugins"
COLLECTION = "ansible_collections.bulwark.servers"
MOST_LINES = 400

# A role's name is its capability's, and that of its directories below module_utils and plugin_utils.
CAPABILITIES = frozenset(path.name for path in (paths.ROOT / "roles").iterdir())

# The floors from the ground up. What stands on a line sees the lines above it, and nothing else on its own line.
CAPABILITY, PLUGIN = "<capability>", "<plugin>"
FLOORS = (
    ("module_utils", "_*"),
    (
        "module_utils",
        "audit_rule_files containers fapolicyd firewall host_state host_trial packages scan sigma sign_ins simulation",
    ),
    ("module_utils", "audit_records"),
    ("module_utils", "automation"),
    ("module_utils", CAPABILITY),
    (
        "plugin_utils",
        (
            "benchmark_score cache catalogue change_ids collection_version host_facts payload prefix_sets"
            " role_variables spelling"
        ),
    ),
    ("plugin_utils", "benchmarks failure_reasons looks misspelt ocsf sigma transport watched_paths"),
    ("plugin_utils", "capabilities"),
    ("plugin_utils", "finding_commands rule_facts simulation store threat_lists"),
    ("plugin_utils", "controls report"),
    ("plugin_utils", "actions progress windows_platform"),
    ("plugin_utils", "export scan"),
    ("plugin_utils", "protection"),
    ("plugin_utils", CAPABILITY),
    ("action callback doc_fragments filter lookup modules", PLUGIN),
)

# Third parties that a floor may import; the controller has what `requirements` and ansible-core bring.
ON_HOSTS = sys.stdlib_module_names - {"graphlib", "tomllib", "zoneinfo"} | {"ansible.module_utils"}


class Place(t.NamedTuple):
    """A file's or an imported name's place: its floor, and the package or flat module on it."""

    floor: str
    package: str

    @property
    def height(self) -> int:
        """Return the place's line in FLOORS; AssertionError for a package that has none."""
        lines = [number for number, line in enumerate(FLOORS) if self._is_on(*line)]
        assert len(lines) == 1, f"{self.floor}.{self.package} has {len(lines)} places in FLOORS"
        return lines[0]

    def _is_on(self, floors: str, packages: str) -> bool:
        if self.floor not in floors.split():
            return False
        if self.package in CAPABILITIES or packages in (CAPABILITY, PLUGIN):
            return packages == PLUGIN or (packages == CAPABILITY and self.package in CAPABILITIES)
        return self.package in packages.split()


def _place(floor: str, package: str) -> Place:
    """Return a place; the private modules that hosts share are one package."""
    is_private = floor == "module_utils" and package.startswith("_")
    return Place(floor, "_*" if is_private else package)


class Import(t.NamedTuple):
    source: pathlib.Path
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.source.relative_to(paths.ROOT)}:{self.line} imports {self.target.removeprefix(COLLECTION + '.')}"


@functools.cache
def _tree(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _files(floor: str = "") -> list[pathlib.Path]:
    return sorted((PLUGINS / floor).rglob("*.py"))


def _imports(path: pathlib.Path) -> t.Iterator[Import]:
    """Yield each name that a file imports, in full."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (Import(path, node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} imports relatively; write the whole name"
            yield from (Import(path, node.lineno, f"{node.module}.{name.name}") for name in node.names)


def _place_of_file(path: pathlib.Path) -> Place:
    floor, package = path.relative_to(PLUGINS).with_suffix("").parts[:2]
    return _place(floor, package)


def _place_of_name(name: str) -> Place | None:
    """Return the place of an imported name, None when it is none of the collection's."""
    if not name.startswith(COLLECTION + "."):
        return None
    _plugins, floor, package = name.removeprefix(COLLECTION + ".").split(".")[:3]
    return _place(floor, package)


def _problem(source: Place, target: Place) -> str | None:
    """Return why one place must not import the other, None when it may."""
    if source == target:
        return None
    if target.height >= source.height:
        return "is not below it"
    if source.floor == "modules" and target.floor != "module_utils":
        return "stays on the controller"
    if "_utils" in source.floor and target.package in CAPABILITIES - {source.package}:
        return "is a capability, which nothing shared and no other capability knows"
    return None


def test_every_import_leads_to_a_lower_floor() -> None:
    problems = []
    for path in _files():
        for found in _imports(path):
            target = _place_of_name(found.target)
            problem = _problem(_place_of_file(path), target) if target else None
            if problem:
                problems.append(f"{found}, which {problem}")

    assert not problems, "\n".join(problems)


def test_the_table_names_each_shared_package_once_and_no_other() -> None:
    shared = {_place_of_file(path) for path in _files("module_utils") + _files("plugin_utils")}
    named = [Place(floor, name) for floor, packages in FLOORS for name in packages.split() if "<" not in name]

    assert sorted(named) == sorted(place for place in shared if place.package not in CAPABILITIES)


@pytest.mark.parametrize("floor", ["modules", "module_utils"])
def test_hosts_need_the_standard_library_only(floor: str) -> None:
    imports = [found for path in _files(floor) for found in _imports(path) if not _place_of_name(found.target)]

    assert [
        str(found)
        for found in imports
        if found.target.split(".")[0] not in ON_HOSTS and ".".join(found.target.split(".")[:2]) not in ON_HOSTS
    ] == []


@pytest.mark.parametrize("floor", ["modules", "module_utils"])
def test_hosts_need_the_syntax_of_python_3_8_only(floor: str) -> None:
    for path in _files(floor):
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 8))


def test_no_file_is_longer_than_people_read() -> None:
    lengths = {str(path.relative_to(paths.ROOT)): _lines(path) for path in _files()}

    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def _lines(path: pathlib.Path) -> int:
    """Return a file's number of lines, without the documentation blocks that Ansible reads."""
    blocks = [
        node
        for node in _tree(path).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("DOCUMENTATION", "EXAMPLES", "RETURN")
    ]
    total = len(path.read_text(encoding="utf-8").splitlines())
    return total - sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in blocks)


@pytest.mark.parametrize(
    ("source", "target", "is_allowed"),
    [
        (Place("modules", "audit_rules"), Place("module_utils", "audit"), True),
        (Place("modules", "audit_rules"), Place("plugin_utils", "audit"), False),
        (Place("module_utils", "audit"), Place("module_utils", "sigma"), True),
        (Place("module_utils", "audit"), Place("module_utils", "jit_access"), False),
        (Place("module_utils", "audit"), Place("plugin_utils", "catalogue"), False),
        (Place("module_utils", "sigma"), Place("module_utils", "audit"), False),
        (Place("module_utils", "_*"), Place("module_utils", "sigma"), False),
        (Place("plugin_utils", "audit"), Place("module_utils", "audit"), True),
        (Place("plugin_utils", "audit"), Place("module_utils", "jit_access"), False),
        (Place("plugin_utils", "store"), Place("module_utils", "_*"), True),
        (Place("plugin_utils", "store"), Place("module_utils", "jit_access"), False),
        (Place("plugin_utils", "store"), Place("plugin_utils", "report"), False),
        (Place("plugin_utils", "jit_access"), Place("plugin_utils", "store"), True),
        (Place("plugin_utils", "jit_access"), Place("plugin_utils", "network_hardening"), False),
        (Place("plugin_utils", "actions"), Place("action", "findings"), False),
        (Place("action", "findings"), Place("plugin_utils", "audit"), True),
    ],
)
def test_the_table_allows_what_it_is_to_allow(source: Place, target: Place, is_allowed: bool) -> None:
    assert (_problem(source, target) is None) == is_allowed
