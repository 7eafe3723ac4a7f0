# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An investigation of real processes in a PID namespace: a web server started a shell, which started an implant."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t

import pytest

from tests.support import paths
from tests.unit.plugins.module_utils.investigation import _planted
from tests.unit.plugins.module_utils.investigation._planted import DIRECTORY

pytestmark = pytest.mark.requires("root", "command:unshare", "command:ip")


def _investigate(begin: str) -> dict[str, t.Any]:
    # By its name and not by its path: a script that names the implant's address and is running would belong to it.
    program = [sys.executable, "-m", _planted.__name__]
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", *program]
    done = subprocess.run(
        [*command, begin],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": f"{paths.COLLECTIONS}:{paths.ROOT}"},
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, t.Any] = json.loads(done.stdout)
    return result


def _nodes(result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the nodes by id, processes without their time."""
    return {node["id"].partition("@")[0]: node for node in result["investigation"]["nodes"]}


@pytest.mark.parametrize("begin", ["process", "path", "address", "deleted"])
def test_tree_files_and_connections_are_named_and_nothing_of_others(begin: str) -> None:
    result = _investigate(begin)
    nodes, names = _nodes(result), result["names"]
    implant = f"file:{DIRECTORY}/implant"
    expected = {f"process:{pid}" for pid in (*names["implants"], names["server"])}
    expected |= {implant, f"file:{DIRECTORY}/stolen.txt", "address:203.0.113.9", "listener:tcp/127.0.0.1:8080"}

    assert expected <= nodes.keys()
    assert not {f"process:{pid}" for pid in names["others"]} & nodes.keys()
    assert result["changed_anything"] is False
    if begin != "path":
        talks = nodes[f"process:{names['implants'][0]}"]["facts"]
        assert talks["deleted"] is (begin == "deleted")
        assert len(talks["sha256"]) == 64
        assert talks["verified"] == "unpackaged"
        assert "SECRET_KEY" in talks["environment"]
    assert "hunter2" not in json.dumps(result)


def test_a_shell_between_them_is_named_with_its_command() -> None:
    result = _investigate("process")
    commands = [node["facts"].get("command_line") or "" for node in _nodes(result).values()]

    assert len([command for command in commands if command.startswith("/bin/sh -c ")]) == 1


def test_a_pid_that_another_process_has_now_is_not_that_process() -> None:
    result = _investigate("killed")
    pid = result["names"]["implants"][0]

    (node,) = [node for node in result["investigation"]["nodes"] if node["id"].startswith(f"process:{pid}@")]

    assert node["gone"] is True
    (subject,) = [entry for entry in result["coverage"] if entry["scope"] == "subject"]
    assert subject["skipped"] == [
        {
            "subject": f"process {pid}",
            "reason": "it does not run, and no log on the host has it; its pid belongs to another process now",
        }
    ]


def test_coverage_names_what_is_missing() -> None:
    coverage = {entry["scope"]: entry for entry in _investigate("process")["coverage"]}

    assert coverage["audit_records"]["status"] == "not_checked"
    assert coverage["processes"]["status"] == "checked"
    assert coverage["processes"]["examined"] > 20
    assert coverage["connections"]["examined"] > 0


def test_processes_that_come_and_go_meanwhile_do_no_harm() -> None:
    result = _investigate("churn")

    assert f"process:{result['names']['implants'][0]}" in _nodes(result)
    assert not [entry for entry in result["coverage"] if "Report this" in json.dumps(entry)]


_AS_NOBODY = """
import json, os, sys
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import collect, options
os.setgroups([]); os.setgid(65534); os.setuid(65534)
params = {name: fields.get("default") for name, fields in options.collect_spec().items()}
found = collect.collect({**params, "pid": int(sys.argv[1]), "time_budget": 5, "priority": "normal"}, False)
sys.stdout.write(json.dumps(found))
"""


def test_without_root_it_runs_and_says_what_it_could_not_see() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            command = ["unshare", "--mount", sys.executable, "-c", _AS_NOBODY, str(process.pid)]
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{paths.COLLECTIONS}:{paths.ROOT}"},
            )
        finally:
            process.kill()
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    coverage = {entry["scope"]: entry for entry in result["coverage"]}

    assert f"process:{process.pid}" in _nodes(result)
    assert "run as root" in json.dumps(coverage["processes"]["skipped"])
    assert "run as root" in json.dumps(coverage["connections"]["skipped"])
