# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where automation comes from, and which daemons open its sessions."""

from __future__ import annotations

import ipaddress
import os
import pathlib
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.automation import controller, listeners, make
from ansible_collections.bulwark.servers.plugins.module_utils.automation.listeners import Listener, Listeners
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import arrival

from tests.support.waiting import until

_HERE, _THERE = ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("192.0.2.10")


def own(
    monkeypatch: pytest.MonkeyPatch,
    connections: t.Sequence[arrival.Connection],
    account: str = "ansible",
    programs: t.Collection[int] = (5,),
) -> list[str]:
    monkeypatch.setattr(arrival, "connections", lambda: iter(connections))
    monkeypatch.setattr(controller, "_account", lambda: account)
    monkeypatch.setattr(controller, "_is_sshd", lambda pid: pid in programs)
    return [str(network) for network in controller.own(["ansible"])]


def test_the_controllers_address_is_the_other_end_of_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    real = arrival.Connection(5, 1.0, [(_HERE, _THERE)])
    assert own(monkeypatch, [real]) == ["192.0.2.10/32"]
    # sudo asks a directory service.
    assert own(monkeypatch, [arrival.Connection(4, 1.0, [(_HERE, _HERE)]), real]) == ["192.0.2.10/32"]
    assert own(monkeypatch, [real], account="carol") == []
    assert own(monkeypatch, [real], programs=()) == []
    assert own(monkeypatch, []) == []
    assert own(monkeypatch, [arrival.Connection(5, 1.0, [(_HERE, _HERE)])]) == []
    assert own(monkeypatch, [arrival.Connection(5, 1.0, [(_HERE, _THERE), (_HERE, _HERE + 5)])]) == []


def test_addresses_are_given_besides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "own", lambda _accounts: [])
    found = controller.networks(["192.0.2.0/28", "2001:db8::1", "192.0.2.77/24"], ["ansible"])
    assert [str(network) for network in found] == ["192.0.2.0/28", "2001:db8::1/128", "192.0.2.0/24"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"automation_users": [""]},
            "automation_users: '' is not an account; give the name that automation signs in with",
        ),
        (
            {"automation_users": ["ansible"], "automation_addresses": ["controller"]},
            "automation_addresses: 'controller' is not an address or network; write one as 192.0.2.10 or 192.0.2.0/24",
        ),
        # Whether or not there is an account that it would be used for.
        (
            {"automation_addresses": ["192.0.2.1", "192.0.2.300"]},
            "automation_addresses: '192.0.2.300' is not an address or network; write one as 192.0.2.10 or 192.0.2.0/24",
        ),
        (
            {"automation_units": ["puppet"]},
            "automation_units: 'puppet' is not a service; write its name as in systemctl, such as puppet.service",
        ),
        (
            {"automation_units": [f"a{number}.service" for number in range(51)]},
            "automation_units: these are 51 services; give at most 50",
        ),
    ],
)
def test_an_option_that_cannot_be_used_is_named_with_what_to_do(options: dict[str, list[str]], message: str) -> None:
    with pytest.raises(UsageError) as error:
        make.explainers_of(options)
    assert str(error.value) == message


def test_addresses_without_an_account_explain_nothing_and_the_coverage_says_so() -> None:
    (explainer,) = make.explainers_of({"automation_addresses": ["192.0.2.1"]})
    (note,) = explainer.notes()
    assert note.endswith("automation_addresses needs automation_users, which names no account.")


def test_without_an_address_the_coverage_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "own", lambda _accounts: [])
    daemons = Listeners([Listener(9, 200.0, None)], 0.0)
    monkeypatch.setattr(listeners, "running", lambda _root: daemons)
    (explainer,) = make.explainers_of({"automation_users": ["ansible"]})
    (note,) = explainer.notes()
    assert "automation_addresses names no address" in note
    (explainer,) = make.explainers_of({"automation_users": ["ansible"], "automation_addresses": ["::1"]})
    assert explainer.notes() == []
    monkeypatch.setattr(listeners, "running", lambda _root: Listeners([], 0.0))
    (explainer,) = make.explainers_of({"automation_users": ["ansible"], "automation_addresses": ["::1"]})
    (note,) = explainer.notes()
    assert "no daemon of this host's own sshd" in note


@pytest.mark.requires("root", "command:sshd")
def test_a_copy_with_the_name_of_sshd_is_no_daemon(tmp_path: pathlib.Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep is not None
    copy = tmp_path / "usr" / "sbin" / "sshd"
    copy.parent.mkdir(parents=True)
    shutil.copy(os.path.realpath(sleep), copy)
    # As init starts it, whoever runs the test.
    script = 'echo 4294967295 > /proc/self/loginuid; exec "$@"'
    process = subprocess.Popen(["/bin/sh", "-c", script, "sh", copy, "60"])
    try:
        until(lambda: os.readlink(f"/proc/{process.pid}/exe") == str(copy))
        assert not listeners.running().has(process.pid, 2e9)
        # It is the one of a host whose files are there.
        there = listeners.running(str(tmp_path))
        assert there.has(process.pid, 2e9)
        (known,) = [begun for pid, begun, _until in there.state(2e9) if pid == process.pid]
        assert not there.has(process.pid, known - 5)
        subprocess.run(["cp", "--remove-destination", sleep, copy], check=True)
        assert not listeners.running(str(tmp_path)).has(process.pid, 2e9)
    finally:
        process.kill()
        process.wait()


def test_a_daemon_that_is_gone_counts_until_the_next_one_began() -> None:
    later = Listeners([Listener(9, 200.0, None)], 0.0)
    later.load([[7, 100.0, None], [9, 200.5, None], [8, 250.0, None]])
    assert later.has(7, 150.0)
    assert not later.has(7, 90.0)
    assert not later.has(7, 201.0)
    assert later.has(9, 300.0)
    # Nobody knows until when.
    assert not later.has(8, 260.0)
    assert len(later.state(300.0)) == 2
    assert later.state(200.0 + 8 * 86_400) == [[9, 200.0, None]]
    booted = Listeners([], 150.0)
    booted.load([[7, 100.0, None]])
    assert booted.has(7, 120.0)
    assert not booted.has(7, 160.0)
