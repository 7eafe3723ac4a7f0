# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections of the guide to Windows hosts send our modules and their C# unchanged, with every kind of sign-in.

Only the transport is replaced: what is real is in ``tests.support.windows.remoting``.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import windows_policy

from tests.integration.windows import _example
from tests.support import paths
from tests.support.controllers import PYTHONS, Controller
from tests.support.windows import guide, literal_module, remoting, utilities

# The sign-ins that an inventory of the guide has to show.
_SHOWN = {
    ("psrp", "certificate"),
    ("psrp", "kerberos"),
    ("psrp", "ntlm"),
    ("winrm", "kerberos"),
    ("winrm", "ntlm"),
}


def _guide_hosts() -> dict[str, dict[str, t.Any]]:
    """Return the hosts of the guide's inventories that need no ssh."""
    hosts = guide.hosts()
    # What --ask-pass asks for.
    hosts["server1"]["ansible_password"] = "secret"
    return {name: variables for name, variables in hosts.items() if "ssh" not in variables["ansible_connection"]}


def _sign_in(variables: t.Mapping[str, t.Any]) -> tuple[str, str]:
    connection = variables["ansible_connection"].rpartition(".")[2]
    return connection, variables.get("ansible_psrp_auth") or variables["ansible_winrm_transport"]


def _modules(collections: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the modules that no action runs, by their full names, and the example."""
    routing = yaml.safe_load((paths.ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["plugin_routing"]
    files = sorted((paths.ROOT / "plugins" / "modules").glob("*.ps1"))
    ours = {f"bulwark.servers.{file.stem}": file for file in files if file.stem not in routing["modules"]}
    example = collections / "ansible_collections" / "example" / "windows" / "plugins" / "modules" / "win_example.ps1"
    return {**ours, _example.MODULE: example}


def test_the_guide_shows_every_sign_in() -> None:
    assert {_sign_in(variables) for variables in _guide_hosts().values()} == _SHOWN


@pytest.mark.parametrize("version", PYTHONS)
def test_modules_arrive_whole_by_every_connection(
    version: str, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    core = controller(version)
    example = _example.create(tmp_path / "collections")
    modules = _modules(example)
    hosts = _guide_hosts()
    inventory = {"windows": {"hosts": hosts, "vars": {"vault_scanner_password": "secret"}}}
    (tmp_path / "hosts.json").write_text(json.dumps(inventory), encoding="utf-8")
    tasks = [{name: {"name": "x"} if name == _example.MODULE else {}} for name in modules]
    play = {"hosts": "windows", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    log = tmp_path / "requests.jsonl"
    core.run_playbook(
        tmp_path / "play.yml",
        inventory=tmp_path / "hosts.json",
        collections=pathlib.Path(f"{paths.COLLECTIONS}:{example}"),
        environment=remoting.environment(core, log),
    )
    requests = remoting.requests(log)
    sent = {(request.endpoint, request.authentication, request.module) for request in requests}
    assert len(sent) == len(requests) == len(hosts) * len(modules)
    texts = {file.read_text(encoding="utf-8"): name for name, file in modules.items()}
    assert {request.module for request in requests} == texts.keys()
    assert sorted({request.authentication for request in requests}) == sorted({sign_in for _name, sign_in in _SHOWN})
    # Its action asks for what all groups of settings are about.
    asked = windows_policy.with_defaults({})
    assert asked.keys() == {"channels", "paths"}
    expected = {_example.MODULE: {"name": "x"}, "bulwark.servers.win_audit_policy_info": asked}
    for request in requests:
        assert _ours(request.utilities) == _needed(request.module)
        assert "Ansible.Basic.cs" in request.utilities
        assert request.arguments == expected.get(texts[request.module], {})


def _ours(sent: t.Mapping[str, str]) -> dict[str, str]:
    """Return the C# of this collection, by its name below the directory of utilities."""
    prefix = f"{utilities.NAMESPACE}."
    return {name.removeprefix(prefix): text for name, text in sent.items() if name.startswith(prefix)}


def _needed(module: str) -> dict[str, str]:
    names = literal_module.parse(module, "module").utilities
    prefix = f"{utilities.NAMESPACE}."
    files = utilities.sources(*(name.removeprefix(prefix) for name in names if name.startswith(prefix)))
    return {
        ".".join(file.relative_to(utilities.DIRECTORY).with_suffix("").parts) + ".cs": file.read_text(encoding="utf-8")
        for file in files
    }
