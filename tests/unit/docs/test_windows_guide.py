# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of the guide on Windows means what it says, and every connection in it sends our modules alike."""

from __future__ import annotations

import functools
import json
import re
import typing as t

import pytest
import yaml
from ansible import constants
from ansible.executor import module_common
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader, get_shell_plugin
from ansible.template import Templar
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import windows

from tests.support import paths

_GUIDE = paths.ROOT / "docs" / "docsite" / "rst" / "windows.rst"
_MODULES = paths.ROOT / "plugins" / "modules"
_OPTIONS = {
    "win1": {"protocol": "https", "auth": "certificate", "certificate_pem": "/etc/ansible/win1.pem"},
    "win2.example.com": {"auth": "kerberos", "remote_user": "scanner@EXAMPLE.COM"},
    "win3.example.com": {"transport": ["kerberos"], "remote_user": "scanner@EXAMPLE.COM"},
    "win4": {"transport": ["ntlm"], "scheme": "https", "port": 5986},
    "win5": {"remote_user": "scanner"},
}


@functools.cache
def _hosts() -> dict[str, dict[str, t.Any]]:
    block = re.search(r"\.\. code-block:: yaml\n\n((?: {3}.*\n|\n)+)", _GUIDE.read_text(encoding="utf-8"))
    assert block is not None
    hosts: dict[str, dict[str, t.Any]] = yaml.safe_load(block[1])["windows"]["hosts"]
    return hosts


def _connection(variables: t.Mapping[str, t.Any]) -> t.Any:
    """Return the connection as Ansible makes it for a task, without connecting."""
    play_context = PlayContext()
    play_context.shell = variables.get("ansible_shell_type")
    connection = connection_loader.get(variables["ansible_connection"], play_context, None)
    connection.set_options(var_options=dict(variables))
    return connection


@pytest.mark.parametrize("host", sorted(_OPTIONS))
def test_each_host_of_the_inventory_leads_to_windows_with_the_options_it_shows(host: str) -> None:
    connection = _connection(_hosts()[host])
    assert windows.is_windows(connection._shell)
    assert {name: connection.get_option(name) for name in _OPTIONS[host]} == _OPTIONS[host]


def test_no_variable_of_the_inventory_is_misspelt() -> None:
    assert sorted(_hosts()) == sorted(_OPTIONS)
    for variables in _hosts().values():
        connection = _connection(variables)
        known = constants.config.get_plugin_vars("connection", connection._load_name)
        assert set(variables) - {"ansible_connection", "ansible_shell_type"} <= set(known)


@pytest.mark.parametrize("module", sorted(file.stem for file in _MODULES.glob("win_*.ps1")))
@pytest.mark.parametrize("shell", ["powershell", "cmd"])
def test_every_connection_sends_the_same_payload(module: str, shell: str) -> None:
    """Its shell is cmd for winrm since ansible-core 2.21, and PowerShell for the others."""
    built = module_common.modify_module(
        module_name=f"ansible_collections.bulwark.servers.plugins.modules.{module}",
        module_path=str(_MODULES / f"{module}.ps1"),
        module_args={"_ansible_remote_tmp": "%TEMP%"},
        templar=Templar(loader=DataLoader()),
        shell_plugin=get_shell_plugin(shell_type=shell),
    )
    wrapper = json.loads(built.b_module_data.split(b"\n\0\0\0\0\n")[1])["actions"][0]
    utilities = {name.rpartition(".windows.")[2] for name in wrapper["params"]["CSharpModules"]}
    assert wrapper["name"] == "module_wrapper.ps1"
    assert wrapper["params"]["Script"].endswith(f".{module}.ps1")
    first = "platform.Platform.cs" if module == "win_platform_facts" else "file_integrity."
    assert any(name.startswith(first) for name in utilities)
