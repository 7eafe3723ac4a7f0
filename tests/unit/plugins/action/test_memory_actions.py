# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of memory scans are those that are documented, and are checked before any host is asked."""

from __future__ import annotations

import pathlib
import types
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.action import memory_response, memory_scan_info
from ansible_collections.bulwark.servers.plugins.modules import memory_response as response_doc
from ansible_collections.bulwark.servers.plugins.modules import memory_scan_info as info_doc
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

from tests.support import paths


def _plain(fields: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    plain = {key: value for key, value in fields.items() if key not in ("description", "suboptions")}
    if "suboptions" in fields:
        plain["options"] = {name: _plain(inner) for name, inner in fields["suboptions"].items()}
    return plain


@pytest.mark.parametrize(
    ("action", "module"), [(memory_scan_info.ActionModule, info_doc), (memory_response.ActionModule, response_doc)]
)
def test_the_options_are_the_documented_ones(action: t.Any, module: t.Any) -> None:
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert action.ARGUMENTS["argument_spec"] == {name: _plain(fields) for name, fields in documented.items()}


def test_the_role_has_each_option_with_its_default() -> None:
    role = paths.ROOT / "roles" / "memory_scan"
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text())
    options = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert {name: fields["default"] for name, fields in options.items() if "default" in fields} == defaults
    spec = memory_scan_info.ActionModule.ARGUMENTS["argument_spec"]
    for name, fields in spec.items():
        if not name.startswith("_"):
            assert defaults[f"memory_scan_{name}"] == fields.get("default", ""), name
    (look,) = capabilities.load()["memory_scan"].looks
    assert set(look.options) == {name for name in spec if not name.startswith("_")}


def arguments(plugin: t.Any, **given: t.Any) -> dict[str, t.Any]:
    made = plugin.ActionModule.__new__(plugin.ActionModule)
    made._task = types.SimpleNamespace(args=given, action="bulwark.servers.x")
    return t.cast("dict[str, t.Any]", made.module_arguments(dict(given), {}))


def test_the_host_gets_content_and_no_paths_of_the_controller() -> None:
    given = arguments(memory_scan_info, pids=[5], own_signatures=False, signature_paths=[])
    assert set(given) == {"pids", "_content"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pids": [0]}, "pids: 0 is not a process id"),
        (
            {"allowlist": [{"package": "x", "reason": "x", "until": "2027-01-31", "subtypes": ["x"]}]},
            "allowlist: entry 1: there is no subtype 'x'; the guide on memory scans lists them",
        ),
    ],
)
def test_wrong_options_are_named_before_a_host_is_asked(given: dict[str, t.Any], words: str) -> None:
    with pytest.raises(ContentError, match=words):
        arguments(memory_scan_info, **given)


@pytest.mark.parametrize(("given", "meant"), [("memfd_exe", "memfd_executable"), ("known_minr", "known_miner")])
def test_a_misspelt_subtype_is_told_what_is_probably_meant(given: str, meant: str) -> None:
    entry = {"package": "x", "reason": "x", "until": "2027-01-31", "subtypes": [given]}
    words = f"entry 1: there is no subtype '{given}'; did you mean {meant}?"
    with pytest.raises(ContentError, match=words):
        arguments(memory_scan_info, allowlist=[entry])


def test_wrong_actions_are_named_before_a_host_is_asked() -> None:
    with pytest.raises(ContentError, match="dump: only action=capture keeps memory, not action=kill"):
        arguments(memory_response, pid=5, started=5, action="kill", dump=True)


def test_signatures_that_are_not_there_are_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ContentError, match=r"signature_paths: .*nothing"):
        arguments(memory_scan_info, signature_paths=[str(tmp_path / "nothing")])


def test_signatures_that_cannot_be_used_are_noted_where_processes_are(tmp_path: pathlib.Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("id: tool_one\n", encoding="utf-8")
    coverage = [{"scope": "processes", "note": "Said by the host."}, {"scope": "host", "note": None}]
    answer = {"coverage": coverage, "signature_problems": ["of the host"]}
    given = {"signature_paths": [str(wrong)], "own_signatures": False}

    def completed() -> dict[str, t.Any]:
        made = memory_scan_info.ActionModule.__new__(memory_scan_info.ActionModule)
        made._task = types.SimpleNamespace(args=given, action="bulwark.servers.memory_scan_info")
        made.module_arguments(dict(given), {})
        return t.cast("dict[str, t.Any]", made.complete(dict(answer)))

    result = completed()
    (problem,) = result["signature_problems"]
    assert problem.startswith(f"{wrong}, line 1: signature tool_one")
    note = f"1 signature of yours can't be used: {problem.rstrip('.')}. Said by the host."
    assert [entry["note"] for entry in result["coverage"]] == [note, None]
    assert coverage[0]["note"] == "Said by the host."
    given["signature_paths"] = []
    result = completed()
    assert (result["signature_problems"], result["coverage"]) == ([], coverage)
    answer.pop("coverage")
    assert "signature_problems" not in completed()
