# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of the guide on Windows means what it says, and every connection in it sends our modules alike."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import windows_policy

from tests.support import paths
from tests.support.windows import guide, literal_module

_GUIDE = paths.ROOT / "docs" / "docsite" / "rst" / "windows.rst"
_MODULES = paths.ROOT / "plugins" / "modules"
_OPTIONS = {
    "server1": {"protocol": "http", "auth": "ntlm", "message_encryption": "auto", "remote_user": "Administrator"},
    "win1": {"protocol": "https", "auth": "certificate", "certificate_pem": "/etc/ansible/win1.pem"},
    "win2.example.com": {"auth": "kerberos", "remote_user": "scanner@EXAMPLE.COM"},
    "win3.example.com": {"transport": ["kerberos"], "remote_user": "scanner@EXAMPLE.COM"},
    "win4": {"transport": ["ntlm"], "scheme": "https", "port": 5986},
    "win5": {"remote_user": "scanner"},
}


# Ansible's loader of collections would stay in the process of the tests, so that it is another one. For the hosts on
# standard input, it makes each connection as for a task, without connecting. Then it builds what each module sends.
_SHOW = """
import json, pathlib, sys
from ansible import constants
from ansible.executor import module_common
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader, get_shell_plugin, init_plugin_loader
from ansible.template import Templar
init_plugin_loader()
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import windows

connections = {}
for name, (variables, options) in json.load(sys.stdin).items():
    play_context = PlayContext()
    play_context.shell = variables.get("ansible_shell_type")
    connection = connection_loader.get(variables["ansible_connection"], play_context, None)
    connection.set_options(var_options=variables)
    connections[name] = {
        "windows": windows.is_windows(connection._shell),
        "options": {option: connection.get_option(option) for option in options},
        "variables": sorted(constants.config.get_plugin_vars("connection", connection._load_name)),
    }
payloads = {}
for file in pathlib.Path(sys.argv[1]).glob("win_*.ps1"):
    for shell in ("powershell", "cmd"):
        built = module_common.modify_module(
            module_name=f"ansible_collections.bulwark.servers.plugins.modules.{file.stem}",
            module_path=str(file),
            module_args={"_ansible_remote_tmp": "%TEMP%"},
            templar=Templar(loader=DataLoader()),
            shell_plugin=get_shell_plugin(shell_type=shell),
        )
        payloads[f"{file.stem} {shell}"] = json.loads(built.b_module_data.split(b"\\n\\0\\0\\0\\0\\n")[1])
print(json.dumps([connections, payloads]))
"""


@functools.cache
def _shown() -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Return what Ansible knows of each host's connection, and the payloads by module and shell."""
    hosts = {name: (variables, list(_OPTIONS.get(name, ()))) for name, variables in guide.hosts().items()}
    ended = subprocess.run(
        [sys.executable, "-c", _SHOW, str(_MODULES)],
        input=json.dumps(hosts),
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(paths.COLLECTIONS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    connections, payloads = json.loads(ended.stdout)
    return connections, payloads


@pytest.mark.parametrize("host", sorted(_OPTIONS))
def test_each_host_of_the_inventory_leads_to_windows_with_the_options_it_shows(host: str) -> None:
    connection = _shown()[0][host]
    assert connection["windows"]
    assert connection["options"] == _OPTIONS[host]


def test_no_variable_of_the_inventory_is_misspelt() -> None:
    assert sorted(guide.hosts()) == sorted(_OPTIONS)
    for name, variables in guide.hosts().items():
        known = _shown()[0][name]["variables"]
        assert set(variables) - {"ansible_connection", "ansible_shell_type"} <= set(known)


@pytest.mark.parametrize("module", sorted(file.stem for file in _MODULES.glob("win_*.ps1")))
def test_every_connection_sends_the_same_payload(module: str) -> None:
    """Its shell is cmd for winrm since ansible-core 2.21, and PowerShell for the others."""
    payloads = [_shown()[1][f"{module} {shell}"] for shell in ("powershell", "cmd")]
    assert payloads[0] == payloads[1]
    wrapper = payloads[0]["actions"][0]
    sent = {name.removesuffix(".cs") for name in wrapper["params"]["CSharpModules"]}
    assert wrapper["name"] == "module_wrapper.ps1"
    assert wrapper["params"]["Script"].endswith(f".{module}.ps1")
    assert set(literal_module.read(_MODULES / f"{module}.ps1").utilities) <= sent


def test_the_guide_has_every_group_of_the_audit_policy() -> None:
    rows = re.findall(
        r"^   \* - ``(\w+)``\n     - (yes|no|domain controllers)$", _GUIDE.read_text("utf-8"), re.MULTILINE
    )
    expected = []
    for group in windows_policy.load().values():
        controllers = group.settings["domain_controllers"]
        default = "no" if not group.default else "domain controllers" if controllers else "yes"
        expected.append((group.name, default))
    assert rows == expected


def test_the_guide_says_what_a_windows_host_can_score() -> None:
    # A capability that needs something of the user, such as a database, counts only with it.
    scored = [each for each in capabilities.load().values() if not (each.has_requirements or each.on_request)]
    known = [each for each in scored if "windows" in each.platforms]
    text = " ".join(_GUIDE.read_text("utf-8").split())
    numbers = {2: "Two", 3: "Three", 8: "eight", 9: "nine"}
    assert f"{numbers[len(known)]} of {numbers[len(scored)]} capabilities know Windows" in text
    assert f"a secure score of at most {100 * len(known) / len(scored):.0f}." in text
    assert all(f"{each.title[0].lower()}{each.title[1:]}" in text for each in known)
