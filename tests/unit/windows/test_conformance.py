# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The conformance kit checks each edge, refuses records that do not count, and the page says what the rest say."""

from __future__ import annotations

import copy
import datetime as dt
import json
import pathlib
import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import windows

from tests.support import paths
from tests.support.windows import ansible_basic, compiler, literal_module, toolchain, utilities
from tests.support.windows.compiler import Target
from tests.windows.conformance import __main__ as kit
from tests.windows.conformance import catalogue, page, record

_NAMESPACE = "ansible_collections.bulwark.conformance.plugins.module_utils"
_TIME = dt.datetime(2026, 12, 1, 8, 30, tzinfo=dt.UTC)


def _results(**changed: t.Any) -> dict[str, t.Any]:
    """Return what the tasks of a run without a failure registered."""
    edges = [check for check in catalogue.checks() if check not in catalogue.MODULE_CHECKS]
    evidence = [{"name": "size", "edge": "1", "second": "1", "equal": True}]
    entries = [
        {"id": check.id, "edge": check.edge, "outcome": "passed", "reason": "", "evidence": evidence} for check in edges
    ]
    known = {
        "build": "26100",
        "update_revision": 1742,
        "edition": "ServerStandard",
        "product_type": "server",
        "architecture": "64-bit",
        "powershell_edition": "Desktop",
        "powershell_version": "5.1.26100.1742",
        "language_mode": "FullLanguage",
        "is_32bit_process": False,
        "is_administrator": True,
    }
    names = ("deleted ends in a dot.", "modified changed.txt", "modified changed", "renamed renamed.txt")
    changes = [{"kind": name.split()[0], "path": f"C:\\x\\{name.partition(' ')[2]}"} for name in names]
    scopes = [{"scope": "conformance", "status": "checked", "examined": 5}]
    watched = ("C:\\x\\watched", "HKLM\\x\\watched")
    results = {
        "host": "win1",
        "id": "0123456789ab",
        "controller": {"core": "2.21.5", "connection": "ansible.builtin.psrp"},
        "platform": {"windows": known},
        "prepared": {"build": "26100", "is_wine": False, "directory": "C:\\x", "key": "HKLM\\x"},
        "taken": {"created": True, "changed": True},
        "same": {"changes": [], "baseline": {"exists": True}},
        "different": {"changes": changes, "baseline": {"exists": True}},
        "accept": {"changed": True},
        "accepted": {"changes": [], "baseline": {"exists": True}, "coverage": scopes},
        "large": {"changes": [{}] * 900, "changes_count": 1000},
        "first": {"findings": [], "coverage": scopes},
        "again": {"findings": [], "coverage": scopes},
        "scanned": {"findings": [], "coverage": scopes},
        "preview": {
            "changed": True,
            "settings_count": 90,
            "coverage": [{"scope": "audit_policy", "status": "checked", "examined": 80}],
        },
        "deployed": {"changed": True, "changes": [{}, {}]},
        "deployed_again": {"changed": False},
        "reported": {"recording": {"event_log_running": True, "paths": dict.fromkeys(watched, True)}},
        "taken_back": {"changed": True},
        "reported_again": {"recording": {"event_log_running": True, "paths": dict.fromkeys(watched, False)}},
        "events": {
            "findings": [{"metadata": {"event_code": "audit_sigma_match"}}] * 2,
            "audit_events": {"channels": {"Security": 7, "System": 3}},
        },
        "signed_in": {"sign_ins": {"successes": 3}, "coverage": [{"scope": "sign_ins", "status": "partial"}]},
        "recorded": {"changed": True},
        "simulated": {"simulations": [{"alert": f"a{n}", "status": "done", "left": []} for n in range(70)]},
        "simulated_events": {"findings": []},
        "simulation_outcome": {"bad": []},
        "removed": {"changed": True},
        "looked": {"baseline_exists": False},
        "checked": {"checks": entries},
        "cleaned": {"left": []},
    }
    return {**results, **changed}


def _assembled(**changed: t.Any) -> dict[str, t.Any]:
    return copy.deepcopy(record.assemble(_results(**changed), "0.2.0", _TIME))


def _written(directory: pathlib.Path, content: t.Any, *, sealed: bool = True) -> pathlib.Path:
    if sealed:
        content["digest"] = record.digest(content)
    file = directory / "win1.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_every_edge_has_a_check_and_every_check_an_edge() -> None:
    assert len(catalogue.edges()) == len(set(catalogue.edges()))
    assert {check.edge for check in catalogue.checks()} == set(catalogue.edges())
    identifiers = [check.id for check in catalogue.checks()]
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.parametrize(
    "edge",
    [
        "Files.Open",
        "Files.Handle",
        "Hashing.Sha256",
        "Registry.IsEmulated",
        "StateFiles.UserSid",
        "StateFiles.Descriptor",
    ],
)
def test_members_of_interfaces_and_classes_are_edges(edge: str) -> None:
    assert edge in catalogue.edges()


def test_no_check_in_csharp_is_overlooked() -> None:
    texts = [file.read_text(encoding="utf-8") for file in catalogue.CSHARP.glob("*.cs")]
    written = sum(text.count("new Check(") for text in texts)
    assert written == len(catalogue.checks()) - len(catalogue.MODULE_CHECKS)
    assert written > len(catalogue.edges())


def test_the_module_is_literal_and_has_only_utilities_of_its_collection() -> None:
    module = literal_module.parse(kit.module_text(), "win_conformance.ps1")
    assert module.call == f"{_NAMESPACE}.Conformance.Conformance"
    for file in catalogue.CSHARP.glob("*.cs"):
        namespaces = re.findall(r"^namespace (\S+)", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert namespaces == [f"{_NAMESPACE}.{file.stem}"]


@pytest.mark.requires(*toolchain.MONO)
@pytest.mark.parametrize(
    "target", [Target.MONO, pytest.param(Target.WINDOWS, marks=pytest.mark.requires(*toolchain.WINE))]
)
def test_the_checks_compile_as_csharp_5_without_a_warning(target: Target) -> None:
    own = sorted(catalogue.CSHARP.glob("*.cs"))
    used = {name for file in own for name in utilities.used_by(file.read_text(encoding="utf-8"))}
    sources = [*utilities.sources(*sorted(used)), *own]
    # All of it travels in one task, before ansible-core 2.22 uncompressed. A module has 200 KB, because every scan
    # sends it. The kit is no module: a person sends it once. It has every edge and as much code again that checks them,
    # so it grows with the edges. More than that does not belong in it, such as the logic between the edges.
    assert sum(file.stat().st_size for file in sources) < 325_000
    reference = str(ansible_basic.library(target))
    assert compiler.compile_program(sources, target, references=[reference], library=True).file.exists()


def test_no_utilities_use_each_other_in_a_circle() -> None:
    """ansible-core 2.19 to 2.22 then fail in one run of several: "Set changed size during iteration"."""
    using = re.compile(r"^using (ansible_collections\.[\w.]+);$", re.MULTILINE)
    names = {f"{_NAMESPACE}.{file.stem}": file for file in catalogue.CSHARP.glob("*.cs")}
    for file in utilities.every_source():
        parts = file.relative_to(utilities.DIRECTORY).with_suffix("").parts
        names[".".join((utilities.NAMESPACE, *parts))] = file
    used = {name: set(using.findall(file.read_text(encoding="utf-8"))) for name, file in names.items()}
    while leaves := {name for name, others in used.items() if not others & used.keys()}:
        used = {name: others for name, others in used.items() if name not in leaves}
    assert sorted(used) == []


def test_a_record_is_read_as_it_was_written(tmp_path: pathlib.Path) -> None:
    read = record.read(_written(tmp_path, _assembled()))
    assert read.build == "26100.1742"
    assert read.name == "26100.1742-ServerStandard-desktop-5.1.26100.1742-psrp-core2.21.json"
    assert {read.outcome(edge) for edge in catalogue.edges()} == {"passed"}


def _without_evidence(content: dict[str, t.Any]) -> None:
    content["checks"][0]["evidence"] = []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(schema=0), "has schema 0 of an older conformance kit: run the kit"),
        (lambda content: content.update(schema=2), "has schema 2 of a newer conformance kit"),
        (lambda content: content.clear(), "is no record of the conformance kit"),
        (lambda content: content.pop("time"), "is no whole record: time is missing"),
        (lambda content: content.update(host="win1"), "is no whole record: host is unknown"),
        (lambda content: content["platform"].update(build="new"), "platform.build has a wrong value"),
        (lambda content: content["platform"].update(is_wine=True), "is of Wine, which shows nothing about Windows"),
        (lambda content: content["checks"].append(content["checks"][0]), "a check is there twice"),
        (lambda content: content["checks"][0].update(outcome="fine"), "checks[0].outcome has a wrong value"),
        (_without_evidence, "checks[0] passed without evidence"),
    ],
)
def test_what_is_no_record_is_refused_in_one_sentence(
    change: t.Callable[[dict[str, t.Any]], None], message: str, tmp_path: pathlib.Path
) -> None:
    content = _assembled()
    change(content)
    with pytest.raises(record.RecordError) as raised:
        record.read(_written(tmp_path, content))
    assert message in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path))
    assert str(raised.value).count(". ") == 0


def test_an_edit_by_hand_is_refused(tmp_path: pathlib.Path) -> None:
    content = _assembled()
    content["checks"][0].update(reason="it works")
    with pytest.raises(record.RecordError, match="was changed after it was written"):
        record.read(_written(tmp_path, content, sealed=False))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", '"schema"', "\0"])
def test_what_is_no_json_is_refused(text: str, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "win1.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(record.RecordError, match=r"win1\.json"):
        record.read(file)


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({"same": {"changes": [{"kind": "modified", "path": "C:\\x\\same.txt"}]}}, {"baseline_same"}),
        ({"same": {"changes": [], "baseline": {"exists": False}}}, {"baseline_same"}),
        ({"different": {"changes": []}}, {"baseline_changes"}),
        ({"accept": {"failed": True, "msg": "Access denied"}}, {"baseline_accepted"}),
        ({"looked": {"baseline_exists": True}}, {"baseline_removed"}),
        ({"large": {"changes": [{}], "changes_count": 1}}, {"baseline_large"}),
        ({"first": {"findings": [{"metadata": {"event_code": "fim_x"}}]}}, {"first_look"}),
        ({"first": {"findings": [], "coverage": [{"scope": "x", "status": "not_checked"}]}}, {"first_look"}),
        ({"again": {"failed": True, "msg": "no"}}, {"first_look_same"}),
        ({"preview": {"failed": True, "msg": "no"}}, {"policy_preview"}),
        ({"preview": {"settings_count": 90, "coverage": []}}, {"policy_preview"}),
        ({"deployed": {"changed": True, "changes": [{}]}}, {"policy_deployed"}),
        ({"deployed_again": {"changed": True}}, {"policy_deployed"}),
        ({"reported": {"recording": {"event_log_running": True, "paths": {}}}}, {"policy_reported"}),
        ({"reported_again": {"failed": True, "msg": "no"}}, {"policy_removed"}),
        ({"events": {"findings": [], "audit_events": {"channels": {"Security": 1, "System": 1}}}}, {"events_read"}),
        ({"events": {"failed": True, "msg": "no"}}, {"events_read"}),
        ({"signed_in": {"sign_ins": {"successes": 0}}}, {"sign_ins_read"}),
        ({"signed_in": {"failed": True, "msg": "no"}}, {"sign_ins_read"}),
        ({"simulated": {"simulations": [{"alert": "a", "status": "failed", "left": ["x"]}]}}, {"simulated"}),
        ({"simulation_outcome": {"bad": ["backups_deleted"]}}, {"simulated_alerts"}),
        ({"recorded": {"failed": True, "msg": "no"}}, {"simulated_alerts"}),
        ({"scanned": {"findings": []}}, {"scan"}),
        ({"taken": {"failed": True, "msg": "no"}}, {"baseline_taken"}),
        (
            {"prepared": {"build": "1", "is_wine": False, "directory": "C:\\x", "key": "HKLM\\x"}},
            {"facts_build"},
        ),
    ],
)
def test_a_module_that_does_something_else_fails_its_check(changed: dict[str, t.Any], failed: set[str]) -> None:
    checks = _assembled(**changed)["checks"]
    assert {check["id"] for check in checks if check["outcome"] == "failed"} == failed


def test_checks_that_did_not_run_failed() -> None:
    checks = _assembled(checked={"failed": True, "msg": "Failed to compile C# code"})["checks"]
    assert len(checks) == len(catalogue.checks())
    failed = [check for check in checks if check["outcome"] == "failed"]
    assert len(failed) == len(checks) - len(catalogue.MODULE_CHECKS)
    assert all(check["reason"].endswith("Failed to compile C# code") for check in failed)


def test_a_host_that_was_not_seen_has_no_record() -> None:
    with pytest.raises(
        record.RecordError, match=r"win1 gives no record: PowerShell runs in constrained language mode\."
    ):
        record.assemble(
            _results(platform={"failed": True, "msg": "PowerShell runs in constrained language mode"}), "0.2.0", _TIME
        )


def test_the_page_says_what_the_records_say() -> None:
    assert page.FILE.read_text(encoding="utf-8") == page.text(page.records()), (
        "run 'python -m tests.windows.conformance page'"
    )


def test_records_in_git_have_the_names_of_what_they_are() -> None:
    names = sorted(file.name for file in page.RECORDS.glob("*.json"))
    assert names == sorted(each.name for each in page.records())


def _cell(known: t.Sequence[record.Record], edge: str) -> str:
    match = re.search(rf"\* - ``{re.escape(edge)}``\n     - .*\n     - (.*)\n", page.text(known))
    assert match is not None
    return match[1]


def test_an_edge_is_seen_on_the_builds_where_all_its_checks_passed() -> None:
    known = [record.Record(_assembled()), record.Record(_assembled())]
    other = dict(known[1].content)
    other["platform"] = {**other["platform"], "build": "17763"}
    known[1] = record.Record(other)
    assert _cell([], "Files.Open") == page.NOT_SEEN
    assert _cell(known, "Files.Open") == "seen on 26100.1742, 17763.1742"
    check = next(check for check in other["checks"] if check["edge"] == "Files.Open")
    check["outcome"] = "not_possible"
    assert _cell(known, "Files.Open") == "seen on 26100.1742"
    check["outcome"] = "failed"
    assert _cell(known, "Files.Open") == "fails on 17763.1742; seen on 26100.1742"
    other["checks"] = []
    assert _cell([known[1]], "Files.Open") == page.NOT_SEEN


def test_a_record_of_other_code_is_no_proof_of_this() -> None:
    content = _assembled()
    content["sources"]["Files"] = "0" * 64
    known = [record.Record(content)]
    assert _cell(known, "Files.Open") == f"before its last change seen on 26100.1742; {page.NOT_SEEN}"
    assert _cell(known, "Streams.Open") == "seen on 26100.1742"


def test_a_record_is_added_by_its_name(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(page, "FILE", tmp_path / "page.rst")
    page.RECORDS.mkdir()
    file = _written(tmp_path, _assembled())
    assert kit.main(["add", str(file)]) == 0
    assert [path.name for path in page.RECORDS.iterdir()] == [record.read(file).name]
    assert "seen on 26100.1742" in page.FILE.read_text(encoding="utf-8")


def test_what_does_not_count_is_not_added(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = _assembled(prepared={"build": "19043", "is_wine": True})
    before = sorted(page.RECORDS.iterdir())
    assert kit.main(["add", str(_written(tmp_path, content))]) == 1
    assert "is of Wine" in capsys.readouterr().out
    assert sorted(page.RECORDS.iterdir()) == before


def test_the_pester_file_expects_the_errors_that_the_controller_knows() -> None:
    text = (catalogue.KIT / "Modules.Tests.ps1").read_text(encoding="utf-8")
    identifiers = re.findall(r"@\{ Id = '(\w+)'", text)
    assert len(identifiers) == 2
    for identifier in identifiers:
        output = {"failed": True, "module_stderr": f"    + FullyQualifiedErrorId : {identifier}"}
        assert windows.is_constrained(output)


@pytest.mark.parametrize("inventory", ["", "no/hosts.yml"])
def test_a_run_without_an_inventory_says_what_is_missing(
    inventory: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INVENTORY", inventory)
    assert kit.main(["run", "--build", str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith(f"make windows-conformance: INVENTORY={inventory} does not exist")


def test_the_make_target_runs_the_kit() -> None:
    assert "-m tests.windows.conformance run" in (paths.ROOT / "Makefile").read_text(encoding="utf-8")
