# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an attacker does on real hosts, found by the real playbook over real SSH: all of it, and nothing else.

Four hosts are scanned six times. Before each scan something is done to them, and what the store says after each scan is
kept, so that every attack is a test of its own without a scan of its own.
"""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from tests.fleet.engine import Engine
from tests.fleet.fleet import Fleet
from tests.fleet.hosts import Host
from tests.integration import _scans
from tests.integration.file_integrity import _attacks
from tests.integration.file_integrity._attacks import ATTACKS, Attack
from tests.support import require
from tests.support.controllers import Controller

# What is made once for all of them is made in one worker.
pytestmark = pytest.mark.xdist_group("attacks")

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Coverage, Finding

_TAMPERED = ("fim_baseline_tampered", _scans.BASELINE)
_REMOVED = ("fim_baseline_removed", _scans.BASELINE)
_TROJAN = "/usr/bin/ls"
_BACK_DOOR = ("fim_setuid_added", "/usr/local/bin/.d")
_EDITED = ("firewall_configuration_changed", "/etc/hosts.allow")
_HIDDEN = ("persistence_cron", "/etc/cron.d/evil")
_PATCH = "printf '\\220\\220' | dd of=/usr/bin/ls bs=1 seek=4096 conv=notrunc status=none"

# A container may neither mount nor label files for SELinux; the engine's tests raise the other one with a small watch.
_RAISED_ELSEWHERE = {
    "fim_selinux_label_changed",
    "fim_mass_change",
    "fim_mounted_over",
    "fim_unmounted",
    "scan_code_changed",
}


@dataclasses.dataclass(frozen=True)
class Stage:
    """What the store says after one scan: all findings by host, alert and subject, and the coverage by host."""

    findings: dict[tuple[str, str, str], Finding]
    coverage: dict[str, Coverage]

    def open(self, host: str) -> _scans.Open:
        """Return the severity of what is new or open on a host, by alert and subject."""
        return {
            (alert, subject): found.severity
            for (name, alert, subject), found in self.findings.items()
            if name == host and found.status in ("new", "open")
        }

    def status(self, host: str, alert: str, subject: str) -> str:
        return self.findings[(host, alert, subject)].status


class Campaign:
    """Hosts, and what was found on them at each stage.

    attacked: all of ``ATTACKS``. tampered: its baseline is edited, then deleted. replayed: an older baseline is put
    back, then one that another controller made. trojaned: a packaged program was replaced before the first scan.
    """

    def __init__(self, scanner: _scans.Scanner, hosts: t.Sequence[Host]) -> None:
        self.scanner = scanner
        self.attacked, self.tampered, self.replayed, self.trojaned = hosts
        self.stages: dict[str, Stage] = {}
        self.digests: dict[str, str] = {}

    def run(self) -> None:
        self.attacked.shell(_attacks.PREPARED)
        self.trojaned.shell(f"cp -a {_TROJAN} /var/tmp/kept; {_PATCH}; touch -r /var/tmp/kept {_TROJAN}")
        self._scan("first")
        self.replayed.shell(
            f"cp -a {_scans.BASELINE} /root/old; echo '# wanted' > /etc/cron.d/wanted; echo '# no' > {_HIDDEN[1]}"
        )
        self._scan("untouched", self.attacked, self.tampered, self.replayed)
        self.scanner.module("file_integrity", self.replayed.name, accept=["/etc/cron.d/wanted"], reason="CHG-7")

        self.attacked.shell("\n".join(attack.do for attack in ATTACKS))
        self.digests = _sha256_of_files(self.attacked)
        self.tampered.shell(
            f"cp /usr/bin/dash {_BACK_DOOR[1]}; chmod 4755 {_BACK_DOOR[1]}; cp -a {_scans.BASELINE} /root/genuine;"
            f"{_edit_with_baseline(_EDITED[1])}"
        )
        self.replayed.shell(f"cp -a {_scans.BASELINE} /root/genuine; cp -a /root/old {_scans.BASELINE}")
        self._scan("attacked")
        self._scan("attacked still", self.attacked)

        self.attacked.shell("\n".join(attack.undo for attack in reversed(ATTACKS)))
        for host in (self.tampered, self.replayed):
            host.shell(f"cp -a /root/genuine {_scans.BASELINE}")
        self.trojaned.shell(f"cp -a /var/tmp/kept {_TROJAN}")
        self._scan("undone")

        self.attacked.shell("\n".join(attack.do for attack in ATTACKS))
        self.tampered.shell(f"rm {_scans.BASELINE}")
        self._take_as_another_controller()
        self.trojaned.shell(f"{_PATCH}; touch -r /var/tmp/kept {_TROJAN}")
        self._scan("again")

    def _scan(self, stage: str, *hosts: Host) -> None:
        """hosts: those that are scanned; all when left out."""
        limit = {"bulwark_hosts": ",".join(host.name for host in hosts)} if hosts else {}
        self.scanner.scan(**limit)
        found = {(found.host, found.alert, found.subject): found for found in self.scanner.findings()}
        self.stages[stage] = Stage(found, self.scanner.coverage())

    def _take_as_another_controller(self) -> None:
        """Take a baseline as an attacker who has this very collection can: it is perfect, but for its seal."""
        directory = self.scanner.directory / "attacker"
        directory.mkdir()
        theirs = _scans.Scanner(self.scanner.controller, self.scanner.inventory, directory)
        taken = theirs.modules(self.replayed.name, ("file_integrity", {"state": "absent"}), ("file_integrity", {}))
        assert not any(answer.get("failed") for answer in taken), taken


@pytest.fixture(scope="module")
def campaign(
    docker_engine: Engine, controller: t.Callable[[str], Controller], tmp_path_factory: pytest.TempPathFactory
) -> t.Iterator[Campaign]:
    require("fleet")
    directory = tmp_path_factory.mktemp("campaign")
    fleet = Fleet(docker_engine, tmp_path_factory.mktemp("campaign-fleet"))
    try:
        found = Campaign(_scans.Scanner(controller("2.21"), fleet.inventory, directory), fleet.start(*["trixie"] * 4))
        # The fleet wrote its inventory when it started.
        found.run()
        yield found
    finally:
        fleet.remove()


def test_an_untouched_host_has_no_finding(campaign: Campaign) -> None:
    for host in (campaign.attacked, campaign.tampered):
        assert campaign.stages["first"].open(host.name) == {}
        assert campaign.stages["untouched"].open(host.name) == {}
    assert campaign.stages["first"].open(campaign.replayed.name) == {}


def test_everything_is_covered(campaign: Campaign) -> None:
    for stage in ("first", "untouched", "attacked", "undone", "again"):
        assert campaign.stages[stage].coverage[campaign.attacked.name].status == "checked", stage


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_found(campaign: Campaign, attack: Attack) -> None:
    stage, host = campaign.stages["attacked"], campaign.attacked.name
    for path, (alert, severity) in attack.raises.items():
        found = stage.findings[(host, alert, path)]
        assert (found.status, found.severity, found.count) == ("new", severity, 1)
        assert campaign.stages["attacked still"].status(host, alert, path) == "open"
        if alert != "fim_package_database_edited" or path.startswith("/"):
            _check_evidence(found, campaign.digests)
    path, (alert, _severity) = next(iter(attack.raises.items()))
    assert attack.says in stage.findings[(host, alert, path)].event["message"]


def test_nothing_but_the_attacks_is_found(campaign: Campaign) -> None:
    expected = _expected([attack.raises for attack in ATTACKS])
    for stage in ("attacked", "attacked still"):
        assert campaign.stages[stage].open(campaign.attacked.name) == expected


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_is_undone_is_resolved_and_what_returns_is_reopened(campaign: Campaign, attack: Attack) -> None:
    host = campaign.attacked.name
    for path, (alert, severity) in attack.raises.items():
        assert campaign.stages["undone"].status(host, alert, path) == "resolved"
        again = campaign.stages["again"].findings[(host, alert, path)]
        assert (again.status, again.severity, again.reopened, again.count) == ("open", severity, 1, 3)


def test_nothing_else_is_left(campaign: Campaign) -> None:
    expected = _expected([attack.left for attack in ATTACKS])
    left = dict(campaign.stages["undone"].open(campaign.attacked.name))
    # No signed index is on these hosts: that their files are again what packages ship is what the hosts say.
    claims = {subject: left.pop((alert, subject)) for alert, subject in [*left] if alert == "fim_changes_claimed"}
    assert {subject.split()[0] for subject in claims} == {
        "base-files",
        "coreutils",
        "findutils",
        "libaudit-common",
        "libmnl0",
        "nftables",
        "perl-base",
        "procps",
    }
    assert set(claims.values()) == {"informational"}
    assert left == expected


def test_every_alert_is_raised(campaign: Campaign) -> None:
    from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue

    known = {
        alert.id for alert in catalogue.load() if alert.capability == "file_integrity" and "linux" in alert.platforms
    }
    raised = {alert for stage in campaign.stages.values() for _host, alert, _subject in stage.findings}
    assert known - raised == _RAISED_ELSEWHERE


def test_a_program_replaced_before_the_first_scan_is_found(campaign: Campaign) -> None:
    host, alert = campaign.trojaned.name, ("fim_package_mismatch", _TROJAN)
    for stage in ("first", "attacked", "again"):
        assert campaign.stages[stage].open(host) == {alert: "critical"}
    assert campaign.stages["undone"].status(host, *alert) == "resolved"
    assert campaign.stages["again"].findings[(host, *alert)].reopened == 1


def test_an_edited_baseline_is_found(campaign: Campaign) -> None:
    stage, host = campaign.stages["attacked"], campaign.tampered.name
    # What the seal does not cover any more is not believed; the rest is.
    assert stage.open(host) == {_TAMPERED: "high", _BACK_DOOR: "high"}
    assert "firewall" not in _believed_scopes(stage.coverage[host])
    assert "local_programs" in _believed_scopes(stage.coverage[host])
    assert campaign.stages["undone"].open(host) == {_BACK_DOOR: "high", _EDITED: "medium"}
    assert campaign.stages["undone"].status(host, *_TAMPERED) == "resolved"


def test_a_deleted_baseline_is_found(campaign: Campaign) -> None:
    stage, host = campaign.stages["again"], campaign.tampered.name
    # What was found before stays as it was: nobody looked.
    assert stage.open(host) == {_REMOVED: "high", _BACK_DOOR: "high", _EDITED: "medium"}
    assert _believed_scopes(stage.coverage[host]) == []


def test_an_older_baseline_put_back_is_found(campaign: Campaign) -> None:
    host = campaign.replayed.name
    assert campaign.stages["untouched"].open(host) == {
        _HIDDEN: "high",
        ("persistence_cron", "/etc/cron.d/wanted"): "high",
    }
    stage = campaign.stages["attacked"]
    assert stage.open(host) == {
        _TAMPERED: "high",
        _HIDDEN: "high",
        ("persistence_cron", "/etc/cron.d/wanted"): "high",
    }
    assert _believed_scopes(stage.coverage[host]) == []
    assert campaign.stages["undone"].open(host) == {_HIDDEN: "high"}


def test_a_baseline_that_another_controller_made_is_found(campaign: Campaign) -> None:
    stage, host = campaign.stages["again"], campaign.replayed.name
    assert stage.open(host) == {_TAMPERED: "high", _HIDDEN: "high"}
    assert _believed_scopes(stage.coverage[host]) == []


def _expected(parts: t.Iterable[_attacks.Expected]) -> _scans.Open:
    return {(alert, path): severity for part in parts for path, (alert, severity) in part.items()}


def _believed_scopes(coverage: Coverage) -> list[str]:
    """Return the scopes that count as looked at in full; the seal itself was, and is wrong."""
    checked = [entry["scope"] for entry in coverage.entries if entry["status"] == "checked"]
    return [scope for scope in checked if scope != "baseline_seal"]


def _check_evidence(found: Finding, digests: t.Mapping[str, str]) -> None:
    """Hold a finding's evidence against the host: the path, and the digest of what is there."""
    (evidence,) = found.event["evidences"]
    assert evidence["file"]["path"] == found.subject
    data = evidence["data"]
    if data["kind"] == "deleted":
        assert "after" not in data
        return
    hashes = {item["algorithm"]: item["value"] for item in evidence["file"].get("hashes", ())}
    assert hashes.get("SHA-256") == digests.get(found.subject)
    assert data["kind"] in ("created", "package_mismatch") or data["changed"]


def _sha256_of_files(host: Host) -> dict[str, str]:
    """Return what sha256sum on the host says of the files that attacks are about."""
    paths = [path for attack in ATTACKS for path in attack.raises if path.startswith("/")]
    script = 'for file; do [ -L "$file" ] || [ ! -f "$file" ] || sha256sum "$file"; done'
    lines = host.run("/bin/sh", "-euc", script, "sh", *paths).splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def _edit_with_baseline(path: str) -> str:
    """Return a script that edits a file and puts its new digest into the baseline."""
    digest = f"$(sha256sum {path} | cut -c1-64)"
    return f'old={digest}; echo "ALL: ALL" >> {path}; sed -i "s/$old/{digest}/" {_scans.BASELINE}'
