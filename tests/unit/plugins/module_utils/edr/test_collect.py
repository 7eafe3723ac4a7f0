# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole look, with a product whose programs, command and daemon are real files and processes of the test."""

from __future__ import annotations

import json
import pathlib
import shutil
import socket
import time
import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.module_utils.edr import (
    discovery,
    entry,
    health_sources,
    installed,
    processes,
)
from ansible_collections.bulwark.servers.plugins.module_utils.edr.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.edr.options import collect_spec
from ansible_collections.bulwark.servers.plugins.module_utils.edr.system_state import Pretender
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload

from tests.unit.plugins.module_utils.edr import outputs, products

pytestmark = pytest.mark.requires("root")

DEFENDER = "microsoft_defender"


class Host:
    """One product with a daemon and a command, below a directory of root's."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.daemon = directory / products.DAEMON
        self.command = directory / "mdatp"

    def says(self, health: str, exclusions: str = "No exclusions") -> None:
        """Let the command write this."""
        (self.directory / "health").write_text(health)
        (self.directory / "exclusion").write_text(exclusions)
        products.script(self.command, f'cat "{self.directory}/$1"')

    def look(self, **given: t.Any) -> dict[str, t.Any]:
        sources = {
            "health": {"programs": [str(self.command)], "arguments": ["health", "--output", "json"]},
            "exclusions": {"programs": [str(self.command)], "arguments": ["exclusion", "list"]},
        }
        fields = {"title": "Defender", "kind": "protection", "commands": sources}
        content = payload.packed({"products": {DEFENDER: products.payload(self.directory, **fields)}})
        options = {"priority": "normal", "_content": content, "content_age": 0, **given}
        params = ArgumentSpecValidator(collect_spec()).validate(options).validated_parameters
        return collect(params, False)


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def alerts(result: dict[str, t.Any]) -> list[str]:
    return sorted(each["alert"] for each in result["detections"])


def reasons(result: dict[str, t.Any]) -> list[str]:
    return [skipped["reason"] for entry in result["coverage"] for skipped in entry["skipped"]]


def test_a_product_that_protects(host: Host) -> None:
    host.says(outputs.mdatp())
    with products.running(host.daemon):
        result = host.look(expected=[DEFENDER, "any"])
    assert (alerts(result), result["missing"], reasons(result)) == ([], [], [])
    (shown,) = result["products"]
    assert (shown["product"], shown["running"], shown["real_time"]) == (DEFENDER, True, True)
    assert [(entry["scope"], entry["status"]) for entry in result["coverage"]] == [
        ("protection", "checked"),
        ("health", "checked"),
    ]


def test_a_product_that_only_calls_itself_healthy(host: Host) -> None:
    host.says(outputs.mdatp(realTimeProtectionEnabled=False, passiveModeEnabled=True), outputs.MDATP_EXCLUSIONS)
    with products.running(host.daemon):
        result = host.look()
    assert alerts(result) == ["edr_broad_exclusion", "edr_protection_off"]


def test_a_product_that_does_not_say_whether_it_protects_is_a_gap(host: Host) -> None:
    """A new version may call a setting otherwise; that nothing is known of it is no protection."""
    health = json.loads(outputs.mdatp())
    del health["realTimeProtectionEnabled"], health["passiveModeEnabled"]
    host.says(json.dumps(health))
    with products.running(host.daemon):
        result = host.look()
    assert (alerts(result), reasons(result)) == (
        [],
        ["Defender: it does not report whether real-time protection is on"],
    )


def test_a_daemon_that_others_can_change_is_a_finding(host: Host) -> None:
    host.says(outputs.mdatp())
    host.directory.chmod(0o777)
    with products.running(host.daemon):
        result = host.look()
    assert "edr_program_changed" in alerts(result)


def test_a_stopped_product_is_not_asked(host: Host) -> None:
    products.script(host.command, f"touch {host.directory}/was_run")
    shutil.copy("/bin/true", host.daemon)
    result = host.look(expected=[DEFENDER])
    assert alerts(result) == ["edr_stopped"]
    assert not (host.directory / "was_run").exists()
    assert result["missing"] == []


def test_new_output_is_a_gap_and_no_finding(host: Host) -> None:
    host.says('{"schema": 2}')
    with products.running(host.daemon):
        result = host.look()
    assert alerts(result) == []
    assert reasons(result) == ["Defender: mdatp health has neither appVersion nor healthy"]
    (shown,) = result["products"]
    assert (shown["running"], shown["real_time"], shown["mode"]) == (True, None, None)
    assert result["coverage"][1]["status"] == "partial"


def test_a_hanging_command_is_a_gap(host: Host) -> None:
    products.script(host.command, "sleep 100")
    with products.running(host.daemon):
        result = host.look(command_timeout=1)
    assert alerts(result) == []
    assert reasons(result) == [f"Defender: its command failed: {host.command} did not end in time"] * 2


def test_a_command_that_anybody_can_replace_is_not_believed(host: Host) -> None:
    host.says(outputs.mdatp())
    host.command.chmod(0o777)
    with products.running(host.daemon):
        result = host.look()
    assert alerts(result) == ["edr_command_untrusted"]
    assert result["products"][0]["real_time"] is None


def test_what_is_expected_and_missing(host: Host) -> None:
    result = host.look(expected=[DEFENDER, "any"])
    assert alerts(result) == ["edr_missing", "edr_missing"]
    assert result["missing"] == [DEFENDER, "any"]
    assert host.look(expected=[])["detections"] == []


def test_nothing_is_missing_while_packages_cannot_be_read(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "versions", lambda _names: ({}, ["the dpkg database can't be read: I/O error"]))
    result = host.look(expected=[DEFENDER])
    assert (alerts(result), result["missing"]) == ([], [DEFENDER])
    assert [skipped["subject"] for skipped in result["coverage"][0]["skipped"]] == [discovery.PACKAGES, DEFENDER]


def test_a_daemon_whose_program_cannot_be_read_is_neither_running_nor_stopped(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.says(outputs.mdatp())
    shutil.copy("/bin/true", host.daemon)
    hidden = processes.Found({}, [], {products.DAEMON.encode()})
    monkeypatch.setattr(processes, "find", lambda _entries: hidden)
    result = host.look()
    assert alerts(result) == []
    assert result["products"][0]["running"] is None
    assert reasons(result) == ["whether it runs is not known, as programs of processes can't be read without root"]


def test_an_account_without_rights_is_shown_what_it_cannot_ask(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.says(outputs.mdatp())
    monkeypatch.setattr("os.geteuid", lambda: 65534)
    monkeypatch.setattr(health_sources, "ask", None)
    with products.running(host.daemon):
        result = host.look()
    assert reasons(result) == ["Defender can be queried by root only"]
    assert alerts(result) == []


def test_values_in_an_unknown_form_are_in_the_coverage_and_neither_on_nor_off(host: Host) -> None:
    with products.running(host.daemon):
        host.says(outputs.mdatp(realTimeProtectionEnabled="later"), "/tmp/ is left out")
        result = host.look()
    (product,) = result["products"]
    assert (product["real_time"], product["exclusions"]) == (None, None)
    assert {"edr_protection_off", "edr_broad_exclusion"}.isdisjoint(alerts(result))
    assert any("realTimeProtectionEnabled that is not known" in reason for reason in reasons(result))
    assert any("exclusion list are in an unknown form" in reason for reason in reasons(result))


def test_a_product_that_somebody_removed_is_an_alert_once(host: Host, tmp_path: pathlib.Path) -> None:
    """Removing it ends the finding that it was stopped, as nothing of it is there any more."""
    state = tmp_path / "state"
    given: dict[str, t.Any] = {"state_dir": str(state), "_advance": True, "expected": []}
    host.says(outputs.mdatp())
    with products.running(host.daemon):
        there = host.look(**given)
    assert "edr_removed" not in alerts(there)
    for path in (host.command, host.daemon):
        path.unlink()
    token = there["checkpoint"]["token"]
    removed = host.look(**given, _token=token)
    (found,) = removed["detections"]
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert (found["alert"], found["subject"]) == ("edr_removed", DEFENDER)
    assert found["message"] == f"Defender was on the host on {today}, and no part of it is there any more."
    # A controller that was killed before it recorded that says it again.
    assert alerts(host.look(**given, _token=token)) == ["edr_removed"]
    assert alerts(host.look(**given, _token=removed["checkpoint"]["token"])) == []
    # What is expected has a finding of its own.
    assert alerts(host.look(**{**given, "expected": [DEFENDER]}, _token=token)) == ["edr_missing"]
    # Without a run, nothing is remembered.
    assert "checkpoint" not in host.look(expected=[], state_dir=str(state))
    shutil.rmtree(state)
    assert alerts(host.look(**given, _token=token)) == ["edr_alert_state_tampered"]


def test_nothing_is_gone_while_the_packages_cannot_be_read(
    host: Host, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, t.Any] = {"state_dir": str(tmp_path / "state"), "_advance": True, "expected": []}
    host.says(outputs.mdatp())
    there = host.look(**given)
    host.command.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(discovery.installed, "versions", lambda _names: ({}, ["the dpkg database can't be read"]))
        unknown = host.look(**given, _token=there["checkpoint"]["token"])
    assert "edr_removed" not in alerts(unknown)
    assert alerts(host.look(**given, _token=unknown["checkpoint"]["token"])) == ["edr_removed"]


def test_a_socket_without_anything_else_of_its_product_is_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "clamd.ctl"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        fields = {"title": "ClamAV", "kind": "scanner", "programs": ["/nowhere/clamd"], "sockets": [str(path)]}
        found = discovery.discover(entry.parse({"products": {"clamav": fields}}))
    assert found.seen == {}
    assert ("clamav", f"its socket {path} is there, but nothing else of it is") in found.problems


def test_a_flood_of_pretenders_hides_not_the_worst(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can start a hundred programs of their own with the name of a daemon."""
    pretenders = [Pretender(number, "falco", f"/home/x/{number}", 1000, trusted=False) for number in range(150)]
    worst = Pretender(999, "falco", "/dev/shm/x", 1000, trusted=False, hides=True)
    monkeypatch.setattr(discovery, "discover", lambda _entries: discovery.Discovery({}, [*pretenders, worst], []))
    result = host.look(expected=[])
    assert "/dev/shm/x" in [each["subject"] for each in result["detections"]]
    assert "they have names of products, too, and only 100 are reported" in reasons(result)
