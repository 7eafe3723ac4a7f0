# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan sees what is done in paths that were missing when the rules were deployed; real kernel, real auditd."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events import collect as events
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events import options as event_options
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import apply
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import options as rule_options
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections, rule_groups

from tests.support import audit

pytestmark = [pytest.mark.requires("root", "command:auditd"), pytest.mark.xdist_group("audit")]

CONTENT = detections.load().payload
WEB_SERVER = 33


class Host:
    """A host with one account whose home is empty, where no web server and no boot loader is installed."""

    def __init__(self, directory: pathlib.Path, daemon: audit.Daemon, kernel: audit.Kernel) -> None:
        self.directory, self.daemon, self.kernel = directory, daemon, kernel
        self.home = directory / "home" / "bob"
        self.home.mkdir(parents=True)
        self.homes = [str(self.home)]
        self.web = directory / "www"
        self._token: str | None = None
        (directory / "etc" / "audit" / "rules.d").mkdir(parents=True)

    def _params(self) -> dict[str, t.Any]:
        params = {name: fields.get("default") for name, fields in rule_options.apply_spec().items()}
        web = {"name": "web_content", "rules": [f"-a always,exit -F dir={self.web} -F perm=wa"]}
        return {
            **params,
            "rules_file": str(self.directory / "etc" / "audit" / "rules.d" / "70-bulwark.rules"),
            "state_dir": str(self.directory / "state"),
            "_groups": [*rule_groups.chosen_groups(None, None, None), web],
        }

    def protect(self) -> dict[str, t.Any]:
        return apply.apply(self._params(), False)

    def compare(self) -> list[dict[str, t.Any]]:
        found: list[dict[str, t.Any]] = apply.apply(self._params(), True)["detections"]
        return found

    def accounts(self) -> list[pwd.struct_passwd]:
        return [
            pwd.struct_passwd((os.path.basename(home), "x", 1000 + number, 1000 + number, "", home, "/bin/bash"))
            for number, home in enumerate(self.homes)
        ]

    def run(self, script: str) -> None:
        subprocess.run(["sh", "-e", "-c", script], cwd=self.home, check=True)

    def scan(self) -> dict[str, t.Any]:
        """Look at the events since the scan before; return the module's result."""
        self.daemon.settle()
        params = {name: fields.get("default") for name, fields in event_options.collect_spec().items()}
        given = {"state_dir": str(self.directory / "state"), "paths": [str(self.daemon.log)], "_content": CONTENT}
        result = events.collect({**params, **given, "_token": self._token, "_advance": True}, False)
        self._token = result["checkpoint"]["token"]
        return result

    def alerts(self, result: t.Mapping[str, t.Any]) -> dict[tuple[str, str], dict[str, t.Any]]:
        """Return the detections of what was done here, by alert and subject."""
        found = {(one["alert"], one["subject"]): one for one in result["detections"]}
        ours = (str(self.directory), "/boot/grub")
        return {key: one for key, one in found.items() if key[1].startswith(ours)}


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Host]:
    with audit.locked() as kernel, audit.daemon(tmp_path, kernel) as daemon:
        made = Host(tmp_path, daemon, kernel)
        monkeypatch.setattr(pwd, "getpwall", made.accounts)
        yield made


@contextlib.contextmanager
def taken_back(path: str) -> t.Iterator[None]:
    """Remove a directory at the end that was not there before."""
    was_there = os.path.lexists(path)
    try:
        yield
    finally:
        if not was_there:
            shutil.rmtree(path, ignore_errors=True)


def test_what_is_made_first_in_paths_that_were_missing_is_seen(host: Host) -> None:
    host.protect()
    host.scan()
    unit = host.home / ".config/systemd/user/x.service"
    with taken_back("/boot/grub"):
        host.run("mkdir .ssh; echo key > .ssh/authorized_keys")
        host.run("mkdir -p .config/systemd/user; echo unit > .config/systemd/user/x.service")
        host.run(f"mkdir -p {host.web}/html/up; echo x > {host.web}/html/up/.htaccess")
        os.chown(host.web / "html/up/.htaccess", WEB_SERVER, WEB_SERVER)
        host.run("mkdir -p /boot/grub; echo x > /boot/grub/bulwark-test; rm /boot/grub/bulwark-test")
        result = host.scan()
    found = host.alerts(result)
    assert set(found) == {
        ("ssh_key_added", f"{host.home}/.ssh/authorized_keys"),
        ("user_unit_written", f"{host.home}/.config/systemd"),
        ("user_unit_written", str(unit)),
        ("web_htaccess_changed", f"{host.web}/html/up/.htaccess"),
        ("boot_files_deleted", "/boot/grub/bulwark-test"),
    }
    # The kernel recorded who made the key; of what lies deeper it is known what there is, and since when.
    (recorded,) = found["ssh_key_added", f"{host.home}/.ssh/authorized_keys"]["evidences"]
    assert recorded["process"]["name"] in ("sh", "dash")
    (judged,) = found["user_unit_written", str(unit)]["evidences"]
    assert (judged["data"]["owner"], judged["data"]["changed"]) == ("root", unit.stat().st_ctime)
    (entry,) = result["coverage"]
    assert entry["status"] == "partial"
    assert {skipped["subject"] for skipped in entry["skipped"]} >= {str(host.web), f"{host.home}/.config/systemd"}
    (rules,) = host.compare()
    assert (rules["alert"], rules["severity"]) == ("audit_rules_not_deployed", "low")
    assert f"{host.home}/.ssh" in rules["evidences"][0]["data"]["paths"]

    # What is known is told once, and what came before the next deployment is not forgotten by it.
    assert host.alerts(host.scan()) == {}
    time.sleep(2.1)
    host.run("echo unit > .config/systemd/user/y.service")
    host.protect()
    assert host.compare() == []
    result = host.scan()
    assert set(host.alerts(result)) == {("user_unit_written", str(unit.with_name("y.service")))}
    assert str(host.web) not in {skipped["subject"] for skipped in result["coverage"][0]["skipped"]}
    host.run("echo unit >> .config/systemd/user/y.service")
    (written,) = host.alerts(host.scan()).values()
    assert written["evidences"][0]["process"]["name"] in ("sh", "dash")


def test_what_is_removed_again_before_the_scan_is_seen(host: Host) -> None:
    (host.home / ".local/share/systemd/user").mkdir(parents=True)
    (host.home / ".config/systemd/user").mkdir(parents=True)
    host.protect()
    host.scan()
    host.run("mkdir .ssh; echo key > .ssh/authorized_keys; rm -r .ssh")
    host.run("mkdir x; echo key > x/authorized_keys; mv x .ssh; rm -r .ssh")
    # Who moves away what is above takes the rules for what is below along.
    host.run("mv .config old; mkdir -p .config/systemd/user; echo unit > .config/systemd/user/x.service; rm -r .config")
    host.run("mkdir .ssh; ln -s .ssh other; echo key > other/authorized_keys; rm -r .ssh")
    # The rule for a tree goes with its directory, that for its name doesn't.
    host.run("rm -r .local/share/systemd; mkdir -p .local/share/systemd/user; rm -r .local/share/systemd")
    shell = os.path.realpath("/bin/sh")
    assert set(host.alerts(host.scan())) == {
        ("ssh_key_added", f"{host.home}/.ssh/authorized_keys"),
        ("ssh_key_added", f"{host.home}/.ssh"),
        ("watched_place_changed_indirectly", f"{host.home}/other/authorized_keys {shell}"),
        ("user_unit_written", f"{host.home}/.config/systemd"),
        ("user_unit_written", f"{host.home}/.local/share/systemd"),
        ("user_unit_written", f"{host.home}/.local/share/systemd/user"),
    }
    (missing,) = host.compare()
    assert (missing["alert"], missing["severity"]) == ("audit_rules_missing", "low")


def test_a_directory_in_the_place_of_a_watched_one_is_watched_again(host: Host) -> None:
    (host.home / ".ssh/keys").mkdir(parents=True)
    host.web.mkdir()
    host.protect()
    assert host.compare() == []
    host.run("mv .ssh old; mkdir -p .ssh/keys; echo key > .ssh/authorized_keys")
    # Something is mounted over it.
    with mounted(host.web):
        (found,) = host.compare()
        # The kernel drops the rules for names in the directory that was moved, and keeps the rule for its tree.
        assert (found["alert"], found["severity"]) == ("audit_rules_missing", "low")
        assert found["evidences"][0]["data"]["replaced"] == [f"{host.home}/.ssh", str(host.web)]
        assert set(host.alerts(host.scan())) == {
            ("ssh_key_added", f"{host.home}/.ssh/authorized_keys"),
            ("watched_place_changed_indirectly", f"{host.home}/old /usr/bin/mv"),
        }
        assert host.protect()["changed"]
        assert host.compare() == []
        assert not host.protect()["changed"]
        host.run(f"echo x > {host.web}/index.html; echo x > .ssh/keys/more")
        host.daemon.settle()
        assert f'name="{host.web}/index.html"' in host.daemon.text()
        assert 'name=".ssh/keys/more"' in host.daemon.text()


@contextlib.contextmanager
def mounted(path: pathlib.Path) -> t.Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "bulwark-test", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_the_home_of_a_new_account_is_said_and_its_key_is_seen(host: Host) -> None:
    host.protect()
    host.scan()
    eve = host.home.parent / "eve"
    host.run(f"mkdir {eve}; cp /etc/skel/.[a-z]* {eve}")
    host.homes.append(str(eve))
    result = host.scan()
    assert host.alerts(result) == {}
    assert str(eve) in {skipped["subject"] for skipped in result["coverage"][0]["skipped"]}
    assert f'name="{eve}" ' in host.daemon.text()
    (found,) = host.compare()
    assert (found["alert"], found["severity"]) == ("audit_rules_not_deployed", "informational")
    host.run(f"mkdir {eve}/.ssh; echo key > {eve}/.ssh/authorized_keys")
    assert set(host.alerts(host.scan())) == {("ssh_key_added", f"{eve}/.ssh/authorized_keys")}
    host.protect()
    assert host.compare() == []


def test_who_deletes_one_rule_for_a_directory_is_an_alert(host: Host) -> None:
    host.protect()
    (line,) = (line for line in host.kernel.rules() if "dir=/usr/lib/systemd " in line and "arch=b64" in line)
    host.kernel.control("-d", *line.split()[1:])
    (found,) = host.compare()
    assert (found["alert"], found["severity"]) == ("audit_rules_missing", None)
