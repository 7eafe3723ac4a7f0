# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a whole host on which fapolicyd enforces: what was blocked, and what is wrong with the enforcement."""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import content
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload

from tests.support import audit, enforcing_host, paths, waiting

pytestmark = [
    pytest.mark.requires(*enforcing_host.NEEDS, "command:auditd"),
    pytest.mark.xdist_group("audit"),
]

_RULES = """%shells=/usr/bin/dash,/usr/bin/bash
allow perm=any all : trust=1
deny_audit perm=execute all : all
deny_audit perm=open exe=%shells : ftype=text/x-shellscript
"""
_TRUST = """
import hashlib, os, stat
with open("/etc/fapolicyd/trust.d/bulwark.trust", "w") as trust:
    for top, _directories, names in os.walk("/usr"):
        for path in (os.path.join(top, name) for name in names):
            status = os.lstat(path)
            wanted = status.st_mode & 0o111 or ".so" in path
            if stat.S_ISREG(status.st_mode) and wanted and " " not in path:
                digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
                trust.write(f"{path} {status.st_size} {digest}\\n")
"""
# The host has no Ansible: this is what the module does there.
_LOOK = """
import json, sys
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import look, options
given = {name: fields.get("default") for name, fields in options.look_spec().items()}
print(json.dumps(look.look({**given, "_advance": True, "mode": "enforce", **json.load(sys.stdin)}, False)))
"""
_DEPLOY = """
import hashlib, json, sys
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import state
names = ["fapolicyd.conf", "compiled.rules", "rules.d/00-bulwark.rules", "trust.d/bulwark.trust"]
digests = {name: hashlib.sha256(open("/etc/fapolicyd/" + name, "rb").read()).hexdigest() for name in names}
before = state.Before({}, {}, False, False, ())
with state.directory(None, create=True) as where:
    state.write(where, state.Deployed("enforce", digests, {}, before, json.load(sys.stdin), {}, 1.0, "x"))
"""
_PRETEND = """
import time
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import state
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import records
with state.directory(None, create=False) as where:
    records.write(where, "upgrade.json", {"since": time.time(), "digests": [], "problem": ""})
"""
_SIMULATE = """
import json, sys
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import perform, plan
path = json.load(sys.stdin).encode()
try:
    perform.perform(plan.Started(path, (path,), "/", None, 1))
except perform.RefusedError as error:
    print(error)
"""
_PLUGINS = "ansible_collections/bulwark/servers/plugins"
ALLOWED = content.as_data(
    [content.RuleList("web", "", (Rule("web", directory="/usr"), Rule("web", directory="/opt/allowed")))], ()
)


class Deployed:
    """A host with a policy, and looks at it."""

    def __init__(self, host: enforcing_host.Host) -> None:
        self.host = host
        self._token: str | None = None
        self.coverage: dict[str, dict[str, t.Any]] = {}

    def python(self, text: str, given: t.Any) -> str:
        """Run Python code of the collection there as root; return what it wrote."""
        self.host.path("/opt/look/given.json").write_text(json.dumps(given))
        self.host.path("/opt/look/code.py").write_text(text)
        # The audit log has what all tests of this machine do meanwhile.
        command = "PYTHONPATH=/opt/look python3 /opt/look/code.py </opt/look/given.json"
        return self.host.run(command, seconds=300).stdout

    def look(self) -> list[tuple[str, str, str]]:
        """Return alert, subject and message of what a recorded look finds."""
        given = {"_token": self._token, "_content": payload.packed(ALLOWED)}
        result = json.loads(self.python(_LOOK, given))
        self._token = result["checkpoint"]["token"]
        self.coverage = {entry["scope"]: entry for entry in result["coverage"]}
        return [
            (each["alert"], each["subject"], each["message"])
            for each in result["detections"]
            # The kernel's log has what runs on the whole machine.
            if each["subject"].startswith(("/root/tool", "/root/script", "/opt/allowed", "fapolicyd", "trust.d"))
            or ("canary" in each["subject"].rpartition("/")[2] and not each["subject"].startswith("/proc/"))
        ]


@pytest.fixture
def deployed(tmp_path: pathlib.Path) -> t.Iterator[tuple[Deployed, audit.Daemon]]:
    with contextlib.ExitStack() as stack:
        kernel, daemon = stack.enter_context(audit.locked()), stack.enter_context(audit.daemon(tmp_path))
        host = stack.enter_context(enforcing_host.booted(tmp_path / "host", audit_log=daemon.log.parent))
        collection = host.path(f"/opt/look/{_PLUGINS}/module_utils")
        shutil.copytree(paths.ROOT / "plugins/module_utils", collection, ignore=shutil.ignore_patterns("__pycache__"))
        host.run(["python3", "-c", _TRUST])
        host.path("/etc/fapolicyd/rules.d/00-bulwark.rules").write_text(_RULES)
        host.run("mkdir -p /opt/allowed && cp /usr/bin/true /opt/allowed/job && cp /usr/bin/true /root/tool")
        host.run("cp /usr/bin/true /root/probe")
        host.run("printf '#!/bin/sh\\ntrue\\n' >/root/script && chmod 755 /root/script")
        kernel.add("-a always,exit -F arch=b64 -S execve,execveat -F key=bulwark-exec")
        looks = Deployed(host)
        host.run("systemctl enable --now fapolicyd")
        waiting.until(lambda: not runs(host), "nothing is enforced")
        looks.python(_DEPLOY, payload.packed(ALLOWED))
        yield looks, daemon


def runs(host: enforcing_host.Host) -> bool:
    return host.run("/root/probe", check=False).returncode == 0


def test_what_was_blocked_and_what_is_wrong_with_the_enforcement(deployed: tuple[Deployed, audit.Daemon]) -> None:
    looks, daemon = deployed
    host = looks.host
    # bash reads a program that it could not execute, to say why.
    host.run("/opt/allowed/job; cd /root; ./tool; bash -c './tool; true'; ./script; sh ./script", check=False)
    daemon.settle()
    findings = {(alert, subject): message for alert, subject, message in looks.look()}
    tool, script = findings["app_unapproved_program", "/root/tool"], findings["app_unapproved_script", "/root/script"]
    assert tool.startswith("fapolicyd blocked it ")
    assert script.startswith("fapolicyd blocked it 2 times since the last scan, tried by root in /root")
    stopped = findings["app_allowed_program_stopped", "/opt/allowed/job"]
    assert "(rule 2 of compiled.rules)" in stopped
    assert stopped.endswith("though it should run: directory /opt/allowed of web.")
    assert len(findings) == 3
    assert looks.coverage["enforcement"]["status"] == "checked"

    # What a simulation runs is refused, too, and that it tried is what a look has to see.
    refused = looks.python(_SIMULATE, "/root/tool")
    assert refused == "/root/tool was refused: fapolicyd, or another control of the host, stops untrusted programs\n"
    daemon.settle()
    assert {(alert, subject) for alert, subject, _message in looks.look()} == {("app_unapproved_program", "/root/tool")}

    # The look tried its canary, and read the script: nothing of that is a finding of the next one.
    daemon.settle()
    assert looks.look() == []

    # Whoever stops it for a moment is seen, and so is whoever changes something.
    host.run("systemctl restart fapolicyd")
    host.run("printf '/root/tool 1 %064d\\n' 1 >/etc/fapolicyd/trust.d/mine.trust")
    host.run("cd /etc/fapolicyd/trust.d; mkdir below; printf '/root/tool 1 %064d\\nno line\\n' 2 >below/more.trust")
    host.run("systemctl disable fapolicyd")
    assert {(alert, subject) for alert, subject, _message in looks.look()} == {
        ("app_enforcement_interrupted", "fapolicyd"),
        ("app_enforcement_not_at_boot", "fapolicyd"),
        ("app_foreign_trust", "trust.d/below/more.trust"),
        ("app_foreign_trust", "trust.d/mine.trust"),
    }
    host.run(
        "cd /etc/fapolicyd; rm -r trust.d/mine.trust trust.d/below;"
        "printf 'allow perm=any all : all\\n' >rules.d/00-a.rules"
    )
    host.run("systemctl enable fapolicyd; systemctl restart fapolicyd")
    waiting.until(lambda: runs(host), "the rule of others does not count")
    host.run("/root/tool")
    # Root can write that packages are being installed, by which nobody is told less.
    looks.python(_PRETEND, None)
    daemon.settle()
    findings = {(alert, subject): message for alert, subject, message in looks.look()}
    assert findings["app_enforcement_off", "fapolicyd"].startswith(
        "fapolicyd does not refuse a harmless untrusted file"
    )
    assert findings["app_enforcement_changed", "fapolicyd"] == (
        "Other than deployed: compiled.rules. For now, packages are being installed, and their files are trusted."
    )
    assert findings["app_unapproved_program", "/root/tool"].startswith("It ran ")
    host.run("rm /var/lib/bulwark/app_enforcement/upgrade.json; systemctl stop fapolicyd")
    findings = {(alert, subject): message for alert, subject, message in looks.look()}
    assert findings["app_enforcement_off", "fapolicyd"] == "fapolicyd does not run, so every program runs."
