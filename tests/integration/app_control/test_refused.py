# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real host refuses before it changes anything, in check mode as far as that can tell."""

from __future__ import annotations

import json
import shutil
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Rule
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.content import RuleList, as_data
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload

from tests.support import enforcing_host, paths

pytestmark = [pytest.mark.requires(*enforcing_host.NEEDS), pytest.mark.xdist_group("enforce")]

_COLLECTION = "/root/collection/ansible_collections/bulwark/servers"
_APPLY = """
import json, sys
sys.path.insert(0, "/root/collection")
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.apply import apply
with open("/root/params") as stream:
    params = json.load(stream)
try:
    print(json.dumps(apply(params, params.pop("check_mode"))))
except HostError as error:
    print(json.dumps({"msg": str(error)}))
"""
_PARAMS = {
    "state": "present",
    "mode": "enforce",
    "confirm_within": 60,
    "restart_services": [],
    "blocked": [],
    "file_systems": ["ext3"],
    "watcher": False,
    "minimum_days": 0,
    "state_dir": None,
    "lock_timeout": 0,
    "check_mode": False,
    **dict.fromkeys(("_token", "_confirm", "_withdraw", "_connection")),
}
# A directory that is prepared, and whatever else would be left.
_LEFT = "find /etc /run/systemd/system /var/lib/bulwark -name '*bulwark*' ! -path /var/lib/bulwark; findmnt -no SOURCE"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[enforcing_host.Host]:
    with enforcing_host.booted(tmp_path_factory.mktemp("host")) as host:
        shutil.copytree(paths.ROOT / "plugins/module_utils", host.path(f"{_COLLECTION}/plugins/module_utils"))
        yield host


@pytest.fixture
def content(host: enforcing_host.Host) -> str:
    names = host.run("dpkg-query --show --showformat='${Package}\\n'").stdout.split()
    rules = tuple(Rule("web", package=name, manager="dpkg") for name in names)
    return payload.packed(as_data([RuleList("web", "", rules)], ()))


def apply(host: enforcing_host.Host, content: str, **given: t.Any) -> dict[str, t.Any]:
    before = host.run(_LEFT).stdout
    host.path("/root/params").write_text(json.dumps({**_PARAMS, "_content": content, **given}))
    result = t.cast("dict[str, t.Any]", json.loads(host.run(["python3", "-c", _APPLY], seconds=120).stdout))
    assert host.run(_LEFT).stdout == before
    assert host.run("systemctl is-active fapolicyd", check=False).stdout == "inactive\n"
    return result


def test_units_that_systemd_can_not_start_are_named_before_a_trial(host: enforcing_host.Host, content: str) -> None:
    host.run("systemctl mask --runtime rsyslog.service")
    units = ["ssh.service", "sshd-no-such.service", "cron", "rsyslog.service"]
    result = apply(host, content, restart_services=units)
    assert result["failed"]
    assert result["refused"] == [
        (
            "systemd can't start sshd-no-such.service, rsyslog.service, so nothing is put on trial; correct"
            " restart_services (app_control_restart_services of the role)."
        )
    ]


def test_check_mode_finds_what_is_mounted_there(host: enforcing_host.Host, content: str) -> None:
    host.run("mount --bind /etc/fapolicyd /etc/fapolicyd")
    try:
        message = apply(host, content, check_mode=True)["msg"]
    finally:
        host.run("umount /etc/fapolicyd")
    assert message == "something is mounted at /etc/fapolicyd, so no policy can be on trial there: unmount it"
    assert apply(host, content, check_mode=True)["changed"]


def test_the_file_and_the_line_of_a_wrong_rule_of_others_are_named(host: enforcing_host.Host, content: str) -> None:
    wrong = host.path("/etc/fapolicyd/rules.d/50-others.rules")
    wrong.write_text("# theirs\n\nallow perm=opn all : all\n")
    try:
        message = apply(host, content)["msg"]
    finally:
        wrong.unlink()
    assert message.startswith("Nothing was changed: fapolicyd does not start with the policy: ")
    assert "(opn) is unknown in line 3 of /etc/fapolicyd/rules.d/50-others.rules" in message
    assert message.endswith(" Correct that line, or remove the file.")
