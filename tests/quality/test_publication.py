# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of inclusion and certification for files that no linter reads; CONTRIBUTING.md lists them."""

from __future__ import annotations

import re

import yaml

from tests.support import paths

_README = (paths.ROOT / "README.md").read_text(encoding="utf-8")
_VERSION = str(yaml.safe_load((paths.ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"])
# The sections of the template for certified collections, in its order.
_SECTIONS = [
    "Description",
    "Requirements",
    "Installation",
    "Use cases",
    "Testing",
    "Contributing",
    "Support",
    "Release notes and roadmap",
    "Related information",
    "License information",
]


def test_the_readme_has_the_sections_of_the_template() -> None:
    assert re.findall(r"^## (.+)$", _README, re.MULTILINE) == _SECTIONS


def test_the_readme_links_whole_addresses_to_files_that_are_there() -> None:
    links = re.findall(r"\]\(([^)]+)\)", _README)
    assert [link for link in links if not link.startswith("https://")] == []
    base = r"https://github\.com/bulwark-servers/bulwark\.servers/(?:blob|tree)/main/(.+)"
    files = [match[1] for link in links if (match := re.fullmatch(base, link))]
    # A release writes the changelog.
    assert [name for name in files if name != "CHANGELOG.md" and not (paths.ROOT / name).exists()] == []
    assert len(files) > 5


def test_the_readme_says_what_inclusion_asks_for() -> None:
    for text in (
        "community/code_of_conduct.html",
        "forum.ansible.com/c/help/6",
        "forum.ansible.com/tag/",
        "semver.org",
    ):
        assert text in _README
    assert not re.search(r"pip install [^\n]*ansible(-core)?\b(?!_)", _README.replace(".ansible/", ""))


def test_the_readme_names_every_playbook() -> None:
    names = {path.stem for path in (paths.ROOT / "playbooks").glob("*.yml")}
    table = _README[_README.index("| playbook |") :]
    assert names == set(re.findall(r"`(?:bulwark\.servers\.)?(\w+)`", table[: table.index("\n\n")]))


def test_requirements_have_lower_bounds_only_and_leave_ansible_out() -> None:
    text = (paths.ROOT / "requirements.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+(\[\w+\])? >=[0-9.]+", line)] == []
    assert [line for line in lines if line.startswith("ansible")] == []


def test_versions_in_the_documentation_are_the_one_that_is_next() -> None:
    pages = [paths.ROOT / "README.md", *sorted((paths.ROOT / "docs" / "docsite" / "rst").glob("*.rst"))]
    version = re.compile(r"(?:bulwark[-.]servers(?::==|-)|bulwark-ee:)(\d+\.\d+\.\d+)")
    shown = {(page.name, text) for page in pages for text in version.findall(page.read_text(encoding="utf-8"))}
    assert {text for _page, text in shown} == {_VERSION}, shown


def test_everything_was_added_in_a_version_that_is_or_will_be_published() -> None:
    # antsibull-changelog lists as new what was added in the version that it releases.
    released = yaml.safe_load((paths.ROOT / "changelogs" / "changelog.yaml").read_text(encoding="utf-8"))["releases"]
    pattern = re.compile(r"version_added: *[\"']?([0-9.]+)")
    files = [*(paths.ROOT / "plugins").rglob("*.py"), *(paths.ROOT / "roles").rglob("argument_specs.yml")]
    added = {(file.name, text) for file in files for text in pattern.findall(file.read_text(encoding="utf-8"))}
    assert [entry for entry in sorted(added) if entry[1] not in {*released, _VERSION}] == []
    assert len(added) > 50
