# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that do not keep to the protocol of a scan: each loses what cannot be understood, and nothing of another's.

The hosts are this machine, with interpreters that print an answer whatever they are asked to run.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport import encoding

from tests.integration import _keep, _scans
from tests.integration.scan._forgery import answer, baseline, detection, packed
from tests.support.controllers import Controller

# Before and after values knew where they came from, which ansible-core 2.19 brought.
_CORES = ["2.18", "2.21"]
_MARKER = "BULWARK_TEST_MARKER"
_TEMPLATE = "{{ lookup('pipe','touch $%s') }}" % _MARKER
_ESCAPES = "\x1b[31mred\x1b]0;title\x07\u202e"
_SHOWN = "\\x1b[31mred\\x1b]0;title\\x07\\u202e"
_LOOK = "file_integrity"
_KEPT = "scan_code_changed"
_OWN = {_LOOK: baseline(detections=[detection()])}
_OWN_FINDING = ("fim_file_created", "/x")
_DONE = {"done": True}
_NONSENSE = "the host returned an invalid result: "


@dataclasses.dataclass(frozen=True)
class Forgery:
    """What a host prints, why it is not checked then, or what it has findings of if it is.

    note: a part of what the coverage notes.
    """

    text: str
    reason: str | None = None
    found: t.Collection[tuple[str, str]] = ()
    note: str = ""


def _checked(text: str, *more: tuple[str, str], note: str = "") -> Forgery:
    return Forgery(text, found={_OWN_FINDING, *more}, note=note)


def _deep(text: str) -> str:
    return text.replace('"DEEP"', "[" * 50_000 + "]" * 50_000)


def _forgeries() -> dict[str, Forgery]:
    lost = {"more": []}
    orders = {
        "ansible_facts": {"ansible_connection": "local", "bulwark_run": _TEMPLATE, "inventory_hostname": "other"},
        "add_host": {"host_name": "added", "groups": ["all"]},
        "_ansible_no_log": True,
        "results": [1],
        "skipped": True,
        "failed": True,
        "unreachable": True,
        "msg": _TEMPLATE,
    }
    texts = {
        "warnings": [_ESCAPES, {"a": 1}],
        "deprecations": [{"msg": _ESCAPES}],
        "exception": _ESCAPES,
        "diff": {"before": _ESCAPES, "after": [1]},
    }
    tampered = [
        [_ESCAPES, _ESCAPES],
        [_TEMPLATE, "a\0b"],
        ["", ""],
        [{"a": _ESCAPES}, ["b"]],
        [1, 2, 3],
        "text",
        None,
    ]
    return {
        "a_wrong_digit": Forgery(answer({}, lines="!" + packed("{}\n")), _NONSENSE + "it can't be read: "),
        "no_text": Forgery(answer({}, lines=[1]), _NONSENSE),
        "not_packed": Forgery(answer({}, lines="aGVsbG8="), _NONSENSE + "it can't be read: "),
        "no_json": Forgery(answer({}, lines=packed("<script>\n")), _NONSENSE + "it can't be read: "),
        "no_utf8": Forgery(answer({}, lines=packed(b'"\xff"\n')), _NONSENSE + "it can't be read: "),
        "no_objects": Forgery(answer(_OWN, more=[[1], _DONE]), _NONSENSE + "it holds something else than objects"),
        "huge": Forgery(answer({}, lines=packed(bytes(encoding.LARGEST + 1))), "the host's result is too large"),
        "deep_lines": Forgery(
            answer({}, lines=packed(_deep('{"look": "DEEP"}\n'))), _NONSENSE + "it can't be read: maximum recursion"
        ),
        "deep": Forgery(_deep(answer(_OWN, x="DEEP")), "maximum recursion depth"),
        "a_long_number": Forgery(
            answer({}, lines=packed('{"x": %s}\n' % ("9" * 5000))), _NONSENSE + "it can't be read: Exceeds the limit"
        ),
        "nothing": Forgery("", "No start of json char found"),
        "missing_for_ever": Forgery(json.dumps({"changed": False, "missing": ["code"]}), "the host returned no result"),
        "missing_and_there": _checked(answer(_OWN, missing=["code", {"a": 1}, _ESCAPES])),
        "other_kinds": _checked(
            answer(_OWN, missing={"a": 1}, tampered={"a": 1}, refused=7, account=[1], pin={"a": 1}, problem=[_ESCAPES])
        ),
        "other_lines": _checked(
            answer(
                _OWN,
                more=[
                    {"look": "memory_scan", "result": baseline(detections=[detection(subject="/other")])},
                    {"look": [_LOOK], "result": {"failed": True}},
                    {"look": _LOOK, "result": [1]},
                    {"look": f"../{_ESCAPES}", "result": {}},
                    {"result": {"failed": True}},
                    {"kept": {"code": "0" * 64, "texts": ["1" * 64, _ESCAPES, 7] * 999}},
                    {"kept": [1]},
                    {"error": [_ESCAPES]},
                    _DONE,
                ],
            )
        ),
        "twice": Forgery(
            answer(
                _OWN,
                more=[{"look": _LOOK, "result": baseline(detections=[detection(subject="/y")])}, _DONE],
            ),
            found={("fim_file_created", "/y")},
        ),
        "no_look": Forgery(answer({}), "the host returned no result for this look"),
        "cut_off": Forgery(answer({}, **lost, problem=_ESCAPES), f"the scan ended early on the host: {_SHOWN}"),
        "an_error": Forgery(
            answer({}, more=[{"error": f"Traceback\n{_ESCAPES}"}], problem="status 1"),
            f"the scan ended early on the host: status 1, {_SHOWN}",
        ),
        # Whatever came before is kept.
        "cut_off_later": _checked(answer(_OWN, **lost, problem="signal 9")),
        "notes": _checked(
            answer(_OWN, more=[*[{"look": _LOOK, "note": _ESCAPES}] * 5_000, {"not_kept": _ESCAPES}, _DONE]),
            note=f"{_LOOK}: {_SHOWN}",
        ),
        "nothing_kept": _checked(
            answer(_OWN, more=[{"not_kept": _TEMPLATE + _ESCAPES}, _DONE]), note=_TEMPLATE + _SHOWN
        ),
        "facts": _checked(
            answer(
                _OWN,
                platform={
                    "ansible_system": [1],
                    "ansible_distribution": {"a": 1},
                    "ansible_kernel": _ESCAPES,
                    "ansible_domain": _TEMPLATE,
                    "ansible_default_ipv4": _ESCAPES,
                    "ansible_connection": "ssh",
                    "bulwark_store": "sqlite:////proc/theirs",
                },
            )
        ),
        "no_facts": _checked(answer(_OWN, platform=[1])),
        "another_system": Forgery(
            answer(_OWN, platform={"ansible_system": _ESCAPES}), f"Not available on the platform {_SHOWN}"
        ),
        "tampered": _checked(
            answer(_OWN, tampered=tampered),
            (_KEPT, _SHOWN),
            (_KEPT, _TEMPLATE),
            (_KEPT, "a kept file without a name"),
            (_KEPT, "{'a': '%s'}" % _SHOWN),
        ),
        "much_tampered": _checked(
            answer(_OWN, tampered=[[str(number), "x" * 99_999] for number in range(999)]),
            *[(_KEPT, str(number)) for number in range(20)],
        ),
        "orders": _checked(answer(_OWN, **orders)),
        "orders_alone": Forgery(json.dumps({"changed": _ESCAPES, **orders}), _TEMPLATE),
        "texts": _checked(answer(_OWN, **texts)),
        "a_failure": Forgery(json.dumps({"failed": [1], "msg": _ESCAPES, **texts}), _SHOWN),
        "a_failure_without_words": Forgery(json.dumps({"failed": True, "msg": {"a": _ESCAPES}}), ""),
    }


def _play(scanner: _scans.Scanner) -> pathlib.Path:
    """Return a playbook that scans, and keeps what Ansible knows of the hosts then."""
    playbook = scanner.directory / "play.yml"
    keep = _keep.task("dict(groups.all | zip(groups.all | map('extract', hostvars)))", scanner.directory / "known.json")
    after = {"name": "After", "hosts": "all", "gather_facts": False, "tasks": [{**keep, "run_once": True}]}
    playbook.write_text(
        json.dumps([{"ansible.builtin.import_playbook": "bulwark.servers.scan"}, after]), encoding="utf-8"
    )
    return playbook


def _differences(scanner: _scans.Scanner, name: str, forgery: Forgery) -> list[t.Any]:
    """Return what the store has of a host and should not have."""
    coverage = scanner.coverage()[name]
    reasons = scanner.reasons(name)
    notes = [str(entry["note"]) for entry in coverage.entries if entry["note"]]
    found = set(scanner.open(name))
    differences: list[t.Any] = []
    if coverage.status != ("checked" if forgery.reason is None else "not_checked"):
        differences.append((coverage.status, reasons))
    if forgery.reason is not None and forgery.reason not in reasons:
        differences.append(reasons)
    if found != set(forgery.found):
        differences.append(found)
    if forgery.note not in " ".join(notes) or not all(note.isprintable() and len(note) < 3_000 for note in notes):
        differences.append([note[:3_000] for note in notes])
    return differences


@pytest.mark.parametrize("core", _CORES)
def test_a_host_loses_only_what_it_says_wrongly(
    core: str, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    forgeries = _forgeries()
    hosts = {}
    for name, forgery in forgeries.items():
        (tmp_path / f"{name}.json").write_text(forgery.text, encoding="utf-8")
        (tmp_path / name).write_text(f"#!/bin/sh\nexec cat {tmp_path / name}.json\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
        hosts[name] = {"ansible_connection": "local", "ansible_python_interpreter": str(tmp_path / name)}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    scanner = _scans.Scanner(controller(core), inventory, tmp_path)
    marker = tmp_path / "marker"

    done = scanner.play(
        _play(scanner),
        *("--forks", "4", "--diff", "-v"),
        environment={**_keep.ENVIRONMENT, "ANSIBLE_STDOUT_CALLBACK": "bulwark.servers.progress", _MARKER: str(marker)},
        bulwark_become=False,
    )

    assert not marker.exists()
    coverage = scanner.coverage()
    assert set(coverage) == set(forgeries)
    wrong = {name: found for name, forgery in forgeries.items() if (found := _differences(scanner, name, forgery))}
    assert wrong == {}
    known = json.loads((tmp_path / "known.json").read_text(encoding="utf-8"))
    assert set(known) == set(forgeries)
    for name, variables in known.items():
        assert set(variables["ansible_facts"]) <= {"system", "distribution", "kernel", "domain"}, name
        assert (variables["inventory_hostname"], variables["ansible_connection"]) == (name, "local")
        assert variables["bulwark_store"] == scanner.store_url
    shown = done.stdout + done.stderr
    assert [char for char in set(shown) if not char.isprintable() and char != "\n"] == []
    assert "Traceback" not in shown
