# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every linter the project uses, each as one test that shows the tool's own output when it fails."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from tests.support import collection, paths, require


def _tool(name: str, *arguments: str, cwd: pathlib.Path = paths.ROOT, **environment: str) -> None:
    """Run one of the tools installed beside this Python and fail with what it said."""
    programs = pathlib.Path(sys.executable).parent
    search = os.pathsep.join([str(programs), os.environ["PATH"]])
    answer = subprocess.run(
        [str(programs / name), *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": search, "NO_COLOR": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if answer.returncode == 0:
        return
    # antsibull-docs writes the random name of its directory into what it checks. One that ends in "_" is a reference
    # there, whatever the documentation says: one run in 37.
    if name == "antsibull-docs" and 'Unknown target name: "antsibull-docs-' in answer.stdout:
        _tool(name, *arguments, cwd=cwd, **environment)
        return
    pytest.fail(answer.stdout, pytrace=False)


def test_ruff_finds_nothing() -> None:
    _tool("ruff", "check", "--quiet", ".")


def test_the_source_is_formatted() -> None:
    _tool("ruff", "format", "--diff", "--quiet", ".")


def test_the_types_are_right() -> None:
    packages = ("ansible_collections.bulwark.servers.plugins", "tests.support", "tests.fleet", "tests.windows")
    _tool("mypy", *(word for package in packages for word in ("-p", package)))


def test_the_types_of_the_set_up_are_right() -> None:
    _tool("mypy", *(str(file) for file in sorted((paths.ROOT / "tools").glob("*.py"))), MYPYPATH="tools")


def test_ansible_lint_finds_nothing_at_its_strictest(checkout: pathlib.Path) -> None:
    _tool("ansible-lint", "-q", cwd=checkout)


def test_every_file_names_its_licence(checkout: pathlib.Path) -> None:
    _tool("reuse", "lint", cwd=checkout)


def test_the_changelog_fragments_are_valid(checkout: pathlib.Path) -> None:
    _tool("antsibull-changelog", "lint", cwd=checkout)


@pytest.mark.requires("command:git")
def test_the_documentation_renders_with_its_generated_pages(tmp_path: pathlib.Path) -> None:
    copy = collection.copy(tmp_path)
    # Each again, over its own page.
    for tool in 2 * ("alert_reference.py", "control_reference.py", "export_reference.py"):
        subprocess.run([sys.executable, paths.ROOT / "tools" / tool, copy], check=True)
    docsite = copy / "docs" / "docsite"
    listed = (docsite / "extra-docs.yml").read_text()
    pages = ("alert_reference", "alert_reference_windows", "docker_controls", "export_fields")
    assert [listed.count(f"ref: {page}\n") for page in pages] == [1] * len(pages)
    page = (docsite / "rst" / "alert_reference.rst").read_text()
    assert page.count(":Simulated: yes\n") > 150
    assert ":Simulated: no. " in page
    references = ["--validate-collection-refs", "all", "--disallow-unknown-collection-refs", "--check-extra-docs-refs"]
    _tool("antsibull-docs", "lint-collection-docs", "--plugin-docs", *references, ".", cwd=copy)


def test_the_sessions_of_the_version_matrix_are_valid() -> None:
    _tool("antsibull-nox", "lint-config")
    _tool("nox", "--list")


def test_the_report_s_script_is_valid() -> None:
    require("command:node", "command:git")
    scripts = [str(name) for name in collection.files() if name.suffix in (".js", ".mjs")]
    assert scripts, "the report has a script of its own"
    for script in scripts:
        subprocess.run(["node", "--check", script], cwd=paths.ROOT, check=True)


def test_the_shell_scripts_are_sound() -> None:
    require("command:shellcheck")
    scripts = [paths.ROOT / ".ci" / "run", *sorted((paths.ROOT / "tools").glob("*.sh"))]
    subprocess.run(["shellcheck", *map(str, scripts)], check=True)


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "XX" + "X"])
def test_nothing_is_left_for_later(word: str) -> None:
    require("command:git")
    found = [str(name) for name in collection.files() if name.suffix != ".txt" and word in _text(paths.ROOT / name)]
    assert found == []


def _text(path: pathlib.Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")
