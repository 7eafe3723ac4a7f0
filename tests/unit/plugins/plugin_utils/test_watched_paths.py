# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one list of watched paths, and what audit and file integrity make of it."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, watched_paths
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import rule_groups
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import content as file_integrity

from tests.support import paths

ENTRIES = watched_paths.load()
GROUPS = rule_groups.load()
WATCHES = {watch["name"]: watch for watch in file_integrity.load_watches()}
_RULE = re.compile(r"-a always,exit -F (?:path|dir)=(\S+) -F perm=(\w+)(?: .+)?")
# Which of the guides' sections name paths that are watched.
_SECTIONS = [("file_integrity.rst", "What is watched"), ("audit.rst", "Paths that come later")]


def recorded(groups: t.Iterable[str]) -> list[str]:
    """Return the paths of which the rules of groups record changes."""
    found = [_RULE.fullmatch(rule) for name in groups for rule in GROUPS[name].rules]
    return [match[1] for match in found if match is not None and set(match[2]) & set("wa")]


def is_in(path: str, others: t.Iterable[str]) -> bool:
    return any(watched_paths.is_covered(path, other) for other in others)


COMPARED = [path for watch in WATCHES.values() for path in watch["paths"]]
RECORDED = recorded(GROUPS)
RECORDED_BY_DEFAULT = recorded(name for name, group in GROUPS.items() if group.default)
NOT_COMPARED = [path for entry in ENTRIES if entry.not_compared for path in entry.paths]
NOT_RECORDED = [path for entry in ENTRIES if entry.not_recorded for path in entry.paths]


def test_what_audit_records_file_integrity_compares_unless_a_reason_is_given() -> None:
    assert len(RECORDED) > 150
    assert [path for path in RECORDED if not is_in(path, COMPARED) and not is_in(path, NOT_COMPARED)] == []


def test_what_file_integrity_compares_audit_records_unless_a_reason_is_given() -> None:
    assert len(COMPARED) > 250
    assert [path for path in COMPARED if not is_in(path, RECORDED) and path not in NOT_RECORDED] == []


def test_each_path_is_watched_by_what_its_entry_names() -> None:
    for entry in ENTRIES:
        for path in entry.paths:
            if entry.group is not None:
                assert is_in(path, recorded([entry.group])), path
            if entry.watch is not None:
                assert is_in(path.rstrip("/"), WATCHES[entry.watch]["paths"]), path
                excluded = [glob for glob in WATCHES[entry.watch].get("exclude", ()) if glob.startswith("/")]
                assert not is_in(path, excluded), path


def test_no_reason_is_given_for_what_is_watched_after_all() -> None:
    assert [path for path in NOT_RECORDED if is_in(path, RECORDED_BY_DEFAULT)] == []
    kept_out = [glob for watch in WATCHES.values() for glob in watch.get("exclude", ())]
    assert [path for path in NOT_COMPARED if is_in(path, COMPARED) and not is_in(path, kept_out)] == []


def test_there_is_no_second_list() -> None:
    for file in rule_groups.DIRECTORY.glob("*.yml"):
        for name, group in yaml.safe_load(file.read_text(encoding="utf-8")).items():
            for rule in group.get("rules", []):
                match = _RULE.fullmatch(rule) if isinstance(rule, str) else None
                assert match is None or match[2] == "r", f"{name}: {rule} belongs into {watched_paths.FILE.name}"
    watches = yaml.safe_load((catalogue.CONTENT / "file_integrity" / "watches.yml").read_text(encoding="utf-8"))
    assert [name for name, watch in watches.items() if "paths" in watch] == []


def test_techniques_are_known() -> None:
    known = yaml.safe_load((catalogue.CONTENT / "attack.yml").read_text(encoding="utf-8"))["techniques"]
    assert {technique for entry in ENTRIES for technique in entry.techniques} <= set(known)


@pytest.mark.parametrize(("guide", "section"), _SECTIONS)
def test_paths_that_the_guides_name_are_watched(guide: str, section: str) -> None:
    text = (paths.ROOT / "docs" / "docsite" / "rst" / guide).read_text(encoding="utf-8")
    assert "plugins/plugin_utils/content/watched_paths.yml" in text
    body = re.split(r"\n[-~=^]{4,}\n", text.partition(f"\n{section}\n")[2])[0]
    named = {path.replace("/home/bob", "~") for path in re.findall(r"``((?:/|~/)[^`]+)``", body)}
    # The project's own state is named there, too.
    named.discard("/var/lib/bulwark")
    assert named
    watched = [*COMPARED, *RECORDED]
    above = [path for path in named if any(one.startswith(path + "/") for one in watched)]
    assert [path for path in named if not is_in(path, watched) and path not in above] == []


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("[]\n- {}", "cannot be read"),
        ("a: 1", "a list of entries is needed"),
        ("- {purpose: x, techniques: [T1546], paths: [/a]}", "either file_integrity or not_compared is needed"),
        (
            "- {purpose: x, techniques: [T1546], paths: [/a], file_integrity: b, audit: c, not_recorded: d}",
            "either audit or not_recorded is needed",
        ),
        ("- {purpose: x, techniques: [], paths: [/a], file_integrity: b, audit: c}", "techniques is a list"),
        ("- {purpose: x, techniques: [T1], paths: [/a], file_integrity: b, audit: c, access: z}", "access 'z'"),
        ("- {purpose: x}", "entry 1 needs"),
    ],
)
def test_a_wrong_entry_is_refused(
    fields: str, problem: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "watched_paths.yml"
    file.write_text(fields, encoding="utf-8")
    monkeypatch.setattr(watched_paths, "FILE", file)
    with pytest.raises(catalogue.ContentError, match=problem):
        watched_paths.load.__wrapped__()
