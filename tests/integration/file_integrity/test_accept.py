# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person reviews what a scan found and accepts it, as the guide says: exactly that, and never what came later."""

from __future__ import annotations

import getpass
import pathlib
import typing as t

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.hosts import Host
from tests.integration import _scans
from tests.support.controllers import Controller

_CONFIGURATION = ("sshd_configuration_changed", "/etc/ssh/sshd_config")
_CRON = ("persistence_cron", "/etc/cron.d/backup")
_BACK_DOOR = ("fim_setuid_added", "/usr/local/bin/.d")
_ALL: _scans.Open = {_CONFIGURATION: "high", _CRON: "high", _BACK_DOOR: "high"}


class Desk:
    """A host on which three things changed since its baseline, and what a person does about them."""

    def __init__(self, scanner: _scans.Scanner, host: Host) -> None:
        self.scanner = scanner
        self.host = host
        scanner.scan()
        host.shell("echo 'MaxAuthTries 3' >> /etc/ssh/sshd_config; echo '# nightly' > /etc/cron.d/backup")
        host.shell("cp /usr/bin/dash /usr/local/bin/.d; chmod 4755 /usr/local/bin/.d")
        scanner.scan()
        assert scanner.open() == _ALL

    def review(self, **accepted: t.Any) -> tuple[dict[str, t.Any], dict[str, str]]:
        """Accept something, and return what becomes of that, and then the id of each change by its path."""
        looks: tuple[_scans.Look, ...] = (("file_integrity", accepted), ("file_integrity_info", {}))
        answer, looked = self.scanner.modules(self.host.name, *looks)
        return answer, {change["path"]: change["id"] for change in looked["changes"]}

    def accept(self, *changes: str, arguments: t.Sequence[str] = (), **options: t.Any) -> dict[str, t.Any]:
        reason = options.pop("reason", "CHG-2231, new bastion")
        return self.scanner.module(
            "file_integrity", self.host.name, *arguments, check=False, accept=list(changes), reason=reason, **options
        )

    def sealed(self) -> list[tuple[str, str | None, str | None]]:
        """Return what happened to the seal, the newest first."""
        with self.scanner.store() as store:
            history = store.seal_history(self.host.name, "default")
        return [(entry.action, entry.actor, entry.reason) for entry in history]


@pytest.fixture
def desk(fleet: Fleet, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path) -> Desk:
    (host,) = fleet.start("trixie")
    return Desk(_scans.Scanner(controller("2.21"), fleet.inventory, tmp_path), host)


def test_what_is_accepted_is_resolved_and_what_changed_after_the_review_is_not(desk: Desk) -> None:
    unexplained, ids = desk.review(accept=["all"])
    assert unexplained["failed"]
    assert "reason" in unexplained["msg"]
    _accept_a_part(desk, _refuse_what_changed_again(desk, ids))
    _accept_the_rest(desk)


def _refuse_what_changed_again(desk: Desk, ids: t.Mapping[str, str]) -> dict[str, str]:
    """Return what another review shows."""
    digest = desk.host.run("sha256sum", _scans.BASELINE)
    desk.host.shell("echo 'PermitRootLogin yes' >> /etc/ssh/sshd_config")
    reviewed = [ids[_CRON[1]], ids[_CONFIGURATION[1]]]
    refused, seen_now = desk.review(accept=reviewed, accepted_by="alice", reason="CHG-2231")
    assert refused["failed"]
    assert ids[_CONFIGURATION[1]] in refused["msg"]
    assert ids[_CRON[1]] not in refused["msg"]

    # Nothing was applied: not the other change either.
    assert desk.host.run("sha256sum", _scans.BASELINE) == digest
    assert len(desk.sealed()) == 2
    desk.scanner.scan()
    assert desk.scanner.open() == _ALL
    return seen_now


def _accept_a_part(desk: Desk, ids: t.Mapping[str, str]) -> None:
    tried = desk.accept(ids[_CONFIGURATION[1]], _CRON[1], arguments=["--check"])
    assert (tried["changed"], tried["accepted_count"], len(desk.sealed())) == (True, 2, 2)

    accepted = desk.accept(ids[_CONFIGURATION[1]], _CRON[1])
    assert {item["path"] for item in accepted["accepted"]} == {_CONFIGURATION[1], _CRON[1]}
    desk.scanner.scan()
    assert desk.scanner.open() == {_BACK_DOOR: "high"}
    statuses = {(found.alert, found.subject): found.status for found in desk.scanner.findings()}
    assert statuses == {_CONFIGURATION: "resolved", _CRON: "resolved", _BACK_DOOR: "open"}

    who = getpass.getuser()
    why = "CHG-2231, new bastion"
    resolved = {found.subject: (found.status_by, found.status_reason) for found in desk.scanner.findings()}
    assert resolved[_CRON[1]] == resolved[_CONFIGURATION[1]] == (who, f"accepted into the baseline: {why}")
    with desk.scanner.store() as store:
        told = store.seal_history(desk.host.name, "default")[0].accepted
    assert told is not None
    assert {(change["id"], change["subject"]) for change in told.changes} == {
        (ids[path], path) for path in (_CRON[1], _CONFIGURATION[1])
    }
    assert desk.sealed() == [
        ("confirmed", who, why),
        ("proposed", who, why),
        ("confirmed", who, "First baseline."),
        ("proposed", who, "First baseline."),
    ]
    # Accepting what is accepted changes nothing, and says so.
    looked, again = desk.scanner.modules(
        desk.host.name,
        ("file_integrity_info", {}),
        ("file_integrity", {"accept": [_CRON[1]], "reason": why}),
    )
    assert (looked["baseline"]["updated_by"], looked["baseline"]["reason"]) == (who, why)
    assert again["failed"]
    assert "'/etc/cron.d/backup' is not a current change" in again["msg"]


def _accept_the_rest(desk: Desk) -> None:
    accepted, left = desk.review(accept=["all"], reason="Looked at it again.", accepted_by="alice")
    assert not accepted.get("failed")
    assert left == {}
    assert desk.sealed()[0] == ("confirmed", "alice", "Looked at it again.")
