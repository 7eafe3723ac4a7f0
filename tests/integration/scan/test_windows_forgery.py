# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows hosts that lie: what their modules return stays their own, whatever its type, size and depth."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.support.controllers import controller
from tests.support.recorded_powershell import VARIABLES, Recorded

pytestmark = pytest.mark.xdist_group("windows_hosts")

_WATCH = "programs"
_CONTROLS = "\x1b[31m\x07\u009b\u202e"
_COVERED: dict[str, t.Any] = {
    "scope": _WATCH,
    "status": "checked",
    "reason": None,
    "examined": 7,
    "skipped": [],
    "skipped_count": 0,
}
_DETECTION = {
    "alert": "fim_file_created",
    "subject": f"C:\\{_CONTROLS}evil {{{{ lookup('pipe', 'id') }}}}",
    "scope": _WATCH,
    "severity": "high",
    "evidences": [{"data": {_CONTROLS: _CONTROLS}, "device": {"hostname": "good"}}],
    # Only the controller says whose it is.
    "device": {"hostname": "good"},
    "host": "good",
    "capability": "memory_scan",
}
_OBEYED: dict[str, t.Any] = {
    "ansible_facts": {"inventory_hostname": "good", "bulwark_store": "sqlite:////nowhere/theirs.db"},
    "_ansible_no_log": True,
    "_ansible_delegated_vars": {"ansible_host": "good"},
    "_ansible_notify": ["all"],
    "add_host": {"host_name": "added", "groups": ["all"]},
    "unreachable": True,
    "skipped": True,
    "results": [{"failed": True}],
    "findings": [{"finding_info": {"uid": "x"}}],
    "warnings": [_CONTROLS],
    "deprecations": [{"msg": _CONTROLS}],
    "exception": _CONTROLS,
    "diff": [{"before": _CONTROLS}],
}


def _nested(depth: int) -> str:
    return '{"changed": false, "detections": ' + "[" * depth + "]" * depth + ', "coverage": []}'


# Standard output of win_file_integrity: of one host each.
_FORGED = [
    json.dumps({**_OBEYED, "changed": _CONTROLS, "detections": [_DETECTION], "coverage": [_COVERED]}),
    json.dumps({"detections": [{**_DETECTION, "alert": "memory_injected_code"}], "coverage": [_COVERED]}),
    json.dumps({"detections": {"x": 1}, "coverage": "checked", "baseline": [1], "staged_digest": ["x"]}),
    json.dumps({"created": True, "staged_digest": "../../etc", "comparison": [], "detections": [], "coverage": []}),
    json.dumps({"comparison": {"detections": [7], "coverage": [[_COVERED]]}, "explained_count": {"x": 1}}),
    '{"changed": NaN, "detections": [], "coverage": [{"scope": 1e999, "status": "checked"}], "a": 1' + "0" * 5000 + "}",
    _nested(900),
    _nested(200_000),
    json.dumps({"failed": True, "msg": _CONTROLS * 9, "rc": 137, "module_stdout": _CONTROLS}),
    json.dumps(
        {**_OBEYED, "detections": [], "coverage": [_COVERED], "baseline": {"digest": "f" * 64}, "x": "y" * 5**10}
    ),
    "null",
    "[]",
    _CONTROLS,
]
_PLATFORM = [
    {"ansible_facts": {"ansible_system": "Win32NT", **_OBEYED["ansible_facts"]}, "windows": {"edition": _CONTROLS}},
    {**_OBEYED, "ansible_facts": {"ansible_system": "Win32NT", "ansible_distribution": [_CONTROLS]}, "windows": [1]},
]


@pytest.mark.parametrize("version", ["2.18", "2.22"])
def test_what_a_host_returns_stays_its_own(version: str, tmp_path: pathlib.Path) -> None:
    recorded = Recorded(tmp_path / "recorded")
    recorded.outputs("win_platform_facts", [(json.dumps(_PLATFORM[n % 2]), "", 0) for n in range(len(_FORGED))])
    recorded.outputs("win_file_integrity", [(text, _CONTROLS, 0) for text in _FORGED])
    (tmp_path / "own").mkdir()
    watch = [{"name": _WATCH, "paths": ["C:\\Program Files"]}]
    evil = {f"evil{number}": {**VARIABLES, "file_integrity_watches": watch} for number in range(len(_FORGED))}
    good = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "file_integrity_watches": [{"name": "own", "paths": [str(tmp_path / "own")]}],
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {**evil, "good": good}}}), encoding="utf-8")
    url = f"sqlite:///{tmp_path / 'findings.db'}"
    done = controller(version).run_playbook(
        "bulwark.servers.scan",
        "--diff",
        inventory=inventory,
        extra_vars={
            "bulwark_store": url,
            "bulwark_report_path": str(tmp_path / "report.html"),
            "bulwark_capabilities": "file_integrity",
            "bulwark_become": False,
            "file_integrity_state_dir": str(tmp_path / "host"),
            "file_integrity_default_watches": False,
        },
        environment={"PATH": f"{recorded.path}:{os.environ['PATH']}", "ANSIBLE_FORKS": "1"},
        state=tmp_path / "state",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for text in (done.stdout, done.stderr, page):
        assert not set("\x1b\x07\u009b\u202e") & set(text)
    with contextlib.closing(Store.open(url)) as store:
        findings = store.query()
        assert {(finding.host, finding.capability) for finding in findings} == {("evil0", "file_integrity")}
        assert findings[0].subject.startswith("C:\\")
        covered = {entry.host: entry for entry in store.coverage()}
        own = {entry["scope"]: entry["status"] for entry in covered.pop("good").entries}
        assert own["own"] == "checked"
        assert {host for host, entry in covered.items() if entry.status == "checked"} == {"evil0", "evil9"}
        assert all(entry.recorded is not None for entry in covered.values())
        assert set(covered) == set(evil)
