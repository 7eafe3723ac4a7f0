# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a capability describes itself, how it is chosen, and what a wrong entry is told."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.capabilities import Capability
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.looks import Look

KNOWN = (
    "title, defender, platforms, playbooks, state, looks, checked_by_module, has_fleet_findings, has_requirements,"
    " has_protection, on_request"
)
LOOK = {
    "module": "locks_info",
    "scope": "locks",
    "subject": "The locks",
    "options": {"doors": "locks_doors", "most": 5},
    "unless_empty": ["doors"],
}
GOOD = {
    "title": "Locks",
    "defender": "Doors",
    "platforms": ["linux"],
    "playbooks": ["protect"],
    "state": ["locks"],
    "looks": [LOOK],
}


@pytest.fixture
def content(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[pathlib.Path]:
    """Return a directory of content that has nothing yet."""
    monkeypatch.setattr(catalogue, "CONTENT", tmp_path)
    capabilities.load.cache_clear()
    yield tmp_path
    capabilities.load.cache_clear()


def describe(content: pathlib.Path, name: str, platform: str, *playbooks: str) -> None:
    (content / name).mkdir()
    text = (
        f"title: x\ndefender: x\nplatforms: [{platform}]\nplaybooks: [{', '.join(playbooks)}]\nstate: []\nlooks: []\n"
    )
    (content / name / "capability.yml").write_text(text)


def test_an_entry_is_read_as_it_is() -> None:
    assert capabilities.parse(GOOD, "locks") == Capability(
        "locks",
        "Locks",
        "Doors",
        ("linux",),
        ("protect",),
        ("locks",),
        (Look("locks_info", "locks", "The locks", {"doors": "locks_doors", "most": 5}, ("doors",)),),
        (),
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"role": "x"},
            f"unknown entry 'role'; known are {KNOWN}",
        ),
        ({"has_fleet_findings": "yes"}, "has_fleet_findings is true or false"),
        ({"on_request": "yes"}, "on_request is true or false"),
        ({"title": ""}, "title is missing or no text; give it one"),
        ({"defender": None}, "defender is missing or no text; give it one"),
        ({"platforms": "linux"}, "platforms is missing or no list of names; [] says that there are none"),
        ({"platforms": ["Linux"]}, "platforms has 'Linux', which is not one of linux, windows"),
        (
            {"playbooks": ["scan"]},
            f"playbooks has 'scan', which is not one of {', '.join(capabilities.PLAYBOOKS)}",
        ),
        ({"looks": None}, "looks is missing or no list; [] says that a scan asks nothing"),
        ({"looks": [5]}, "look 1: a mapping is needed, not int"),
        ({"looks": [{"module": "x", "scope": "x", "subject": "x"}]}, "look 1: options is missing"),
        (
            {"looks": [{"modul": "x"}]},
            (
                "look 1: unknown entry 'modul'; known are module, scope, subject, options, "
                "unless_empty, check_mode, when, otherwise, answers, is_recorded, platforms"
            ),
        ),
        ({"looks": [{**LOOK, "check_mode": "yes"}]}, "look 1: check_mode is str; true or false is needed"),
        ({"looks": [{**LOOK, "platforms": "linux"}]}, "look 1: platforms is str; a list is needed"),
        (
            {"looks": [{**LOOK, "platforms": ["Windows"]}]},
            "look 1: platforms has 'Windows', which is not one of linux, windows",
        ),
        (
            {"platforms": ["linux", "windows"]},
            "platforms is linux, windows, and looks are at linux; name the same platforms",
        ),
        ({"looks": [{**LOOK, "answers": {"a": "b.c"}}]}, "locks_info: answers.a names 'b.c', of no look before it"),
        ({"state": [1]}, "state is missing or no list of names; [] says that there are none"),
    ],
)
def test_a_wrong_entry_is_named_with_its_file(change: dict[str, t.Any], words: str) -> None:
    with pytest.raises(ContentError) as caught:
        capabilities.parse({**GOOD, **change}, "locks")
    assert str(caught.value) == f"locks/capability.yml: {words}"


def test_a_file_that_is_no_mapping_or_missing_is_named(content: pathlib.Path) -> None:
    with pytest.raises(ContentError, match=r"^locks/capability\.yml: a mapping is needed, not list$"):
        capabilities.parse([], "locks")
    (content / "locks").mkdir()
    (content / "locks" / "alerts.yml").write_text("{}")
    with pytest.raises(ContentError, match=r"/locks/capability\.yml cannot be read: .*No such file"):
        capabilities.load()


def test_they_are_chosen_by_playbook_and_platform_and_sorted(content: pathlib.Path) -> None:
    describe(content, "locks", "windows", "protect", "simulate")
    describe(content, "doors", "linux", "protect")
    describe(content, "attics", "linux")
    assert capabilities.chosen() == ["attics", "doors", "locks"]
    assert capabilities.chosen("protect") == ["doors", "locks"]
    assert capabilities.chosen("protect", "Linux") == ["doors"]
    assert capabilities.chosen("learn") == []
    assert capabilities.chosen(platform="") == []


@pytest.mark.parametrize(
    ("system", "modules"),
    [("Win32NT", ["locks_info", "win_doors_info"]), ("Linux", ["locks_info"]), (None, ["locks_info"]), ("SunOS", [])],
)
def test_a_look_is_at_hosts_of_its_platforms(system: str | None, modules: list[str]) -> None:
    both = {**LOOK, "platforms": ["linux", "windows"]}
    windows = {**LOOK, "module": "win_doors_info", "platforms": ["windows"]}
    capability = capabilities.parse({**GOOD, "platforms": ["linux", "windows"], "looks": [both, windows]}, "locks")
    assert [look.module for look in capability.looks_at(system)] == modules


def test_the_system_of_windows_hosts_is_found_under_its_name_in_facts(content: pathlib.Path) -> None:
    describe(content, "doors", "linux", "remove")
    describe(content, "locks", "windows", "remove")
    assert capabilities.chosen("remove", "Win32NT") == ["locks"]
