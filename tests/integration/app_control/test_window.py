# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance windows by the playbook that people run: everything runs until they end, which they do by themselves."""

from __future__ import annotations

import contextlib
import json
import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import AppWindow, Store

from tests.integration.app_control._enforced_host import EnforcedHost
from tests.support import enforcing_host, waiting
from tests.support.controllers import Controller, controller

pytestmark = [pytest.mark.requires(*enforcing_host.NEEDS), pytest.mark.xdist_group("enforced_upgrades")]

STRANGE = "/usr/bin/strange"
TRUST = "/etc/fapolicyd/trust.d/bulwark.trust"


class Desk(EnforcedHost):
    """A host that enforces, with a controller and its store."""

    def __init__(self, host: enforcing_host.Host, ansible: Controller, directory: pathlib.Path) -> None:
        super().__init__(host)
        self._ansible = ansible
        self._inventory = directory / "inventory.json"
        self._inventory.write_text(json.dumps({"all": {"hosts": {"web": host.variables()}}}))
        self._url = f"sqlite:///{directory}/store.db"
        host.run(f"cp /usr/bin/true {STRANGE}")

    def window(self, *, works: bool = True, **variables: t.Any) -> str:
        """Run the playbook and return what it showed, on one line."""
        result = self._ansible.run_playbook(
            "bulwark.servers.app_window",
            inventory=self._inventory,
            extra_vars={"bulwark_store": self._url, "app_window_host": "web", **variables},
            environment={"ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1"},
            check=False,
        )
        output = result.stdout + result.stderr
        assert (result.returncode == 0) is works, output
        return " ".join(output.replace("\\n", " ").split())

    def open(self, minutes: int = 60, **more: t.Any) -> str:
        return self.window(app_window_minutes=minutes, app_window_reason="CHG-1", **more)

    def stored(self) -> list[AppWindow]:
        with contextlib.closing(Store.open(self._url, mode="read")) as store:
            return store.app_windows(["web"], now=time.time())


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Desk]:
    directory = tmp_path_factory.mktemp("window")
    with enforcing_host.booted(directory / "host") as host:
        yield Desk(host, controller("2.21"), directory)


def test_window_that_a_person_closes(desk: Desk) -> None:
    before = time.time()
    assert "The window ends by itself." in desk.open()
    assert desk.runs(STRANGE)
    (window,) = desk.stored()
    assert (window.state, window.reason) == ("open", "CHG-1")
    assert before + 3600 <= window.until <= time.time() + 3600
    assert "a maintenance window is open already" in desk.open(works=False)
    assert [each.state for each in desk.stored()] == ["refused", "open"]
    # Its end writes the policy anew: with this trust, nothing would run.
    desk.host.path(TRUST).write_text("")
    assert "The maintenance window of web was closed." in desk.window(app_window_state="closed")
    waiting.until(desk.is_enforcing, "the canary runs")
    assert not desk.runs(STRANGE)
    assert desk.host.path(TRUST).stat().st_size > 0
    _refused, window = desk.stored()
    assert (window.state, window.ended_by != "") == ("closed", True)
    assert "No maintenance window was open on web." in desk.window(app_window_state="closed")


def test_window_that_a_boot_ends(desk: Desk) -> None:
    desk.open()
    (window, *_others) = desk.stored()
    desk.host.reboot()
    waiting.until(desk.is_enforcing, "the canary runs")
    assert not desk.runs(STRANGE)
    assert "No maintenance window was open on web." in desk.window(app_window_state="closed")
    (ended, *_others) = desk.stored()
    assert (ended.id, ended.state, ended.ended_by, ended.end_reason) == (window.id, "closed", "", "the host was booted")


def test_daemon_that_does_not_start_again(desk: Desk) -> None:
    desk.host.run("echo nonsense >> /etc/fapolicyd/fapolicyd.conf")
    before = time.monotonic()
    output = desk.open(works=False)
    # The way back needs the lock that whoever opens a window has.
    assert time.monotonic() - before < 100
    assert "No maintenance window was opened: 'systemctl restart fapolicyd.service' failed" in output
    desk.host.run("sed -i /nonsense/d /etc/fapolicyd/fapolicyd.conf; systemctl restart fapolicyd")
    waiting.until(desk.is_enforcing, "the canary runs")
    assert desk.stored()[0].state == "refused"


def test_sshd_that_is_not_as_its_package_says_locks_nobody_out(desk: Desk) -> None:
    desk.open()
    desk.host.run("cp -p /usr/sbin/sshd /root/sshd; printf x >> /root/sshd; mv /root/sshd /usr/sbin/sshd")
    output = desk.window(app_window_state="closed", works=False)
    assert "everything still runs" in output
    assert desk.host.ssh("id -u").stdout == "0\n"
    assert desk.runs(STRANGE)
