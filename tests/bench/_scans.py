# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of scans as hosts send them, the same for the same host and round.

A host has five capabilities, of which audit analytics looks three times, and 20 packages that explain changes. Most of
its findings are states; three in ten are events. In each later round a tenth of its findings is gone and as many are
new; one host in twenty cannot be looked at by one capability, and one in fifty does not answer.
"""

from __future__ import annotations

import hashlib
import random
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import CapabilityResult

# The scopes of each look, and the share of the host's findings that it has.
_LOOKS: t.Sequence[tuple[str, tuple[str, ...], int]] = (
    ("file_integrity", ("system_binaries", "boot", "ssh", "accounts", "cron", "services", "libraries", "web"), 50),
    ("audit", ("audit.log",), 15),
    ("audit", ("sign_ins",), 10),
    ("audit", ("audit_rules",), 5),
    ("memory_scan", ("processes",), 5),
    ("network_hardening", ("ports", "rules"), 10),
    ("jit_access", ("openings",), 5),
)
CAPABILITIES = tuple(dict.fromkeys(capability for capability, _scopes, _share in _LOOKS))
_PACKAGES = 20
_FOLDERS = ("/usr/bin/", "/etc/ssh/sshd_config.d/", "/etc/cron.d/", "/usr/lib/x86_64-linux-gnu/", "/opt/application/")


def host_name(number: int) -> str:
    return f"web{number:05d}.example.com"


def answers(number: int) -> bool:
    """Return whether a host answers at all."""
    return number % 50 != 49


def results(number: int, findings: int, round_number: int, now: float) -> list[CapabilityResult]:
    """Return what a host's looks found in a round."""
    chance = random.Random(f"{number} {round_number}")  # noqa: S311 - the same scans in each run of the bench
    return [
        _result(number, position, findings * share // 100, round_number, now, chance)
        for position, (_capability, _scopes, share) in enumerate(_LOOKS)
    ]


def finding(number: int, item: int, now: float) -> dict[str, t.Any]:
    """Return one finding of a host's first look."""
    return _event(number, 0, item, now, random.Random(f"{number} {item}"))  # noqa: S311 - the same in each run


def _result(
    number: int, position: int, findings: int, round_number: int, now: float, chance: random.Random
) -> CapabilityResult:
    capability, scopes, _share = _LOOKS[position]
    if (number + position) % 20 == 19 and capability != "audit":
        return CapabilityResult(capability, [], [_finding.not_checked(capability, "it needs root on the host")])
    gone = findings // 10 * round_number
    found = [_event(number, position, item, now, chance) for item in range(gone, gone + findings)]
    checkpoint = None
    if position in (1, 2):
        token, after = (f"{round_number + back}-{number}" for back in (1, 0))
        name = "audit_events" if position == 1 else "sign_ins"
        checkpoint = {"name": name, "token": token, "after": after if round_number else None}
    return CapabilityResult(capability, found, [_coverage(scope, position, chance) for scope in scopes], checkpoint)


def _coverage(scope: str, position: int, chance: random.Random) -> dict[str, t.Any]:
    coverage = _finding.ScopeCoverage(scope)
    entry = {**coverage.entry(), "examined": chance.randrange(10, 5000)}
    if position == 0 and scope == "system_binaries":
        explained = [
            {"by": f"package-{chance.randrange(400)} 1.{chance.randrange(9)}", "count": 7, "examples": ["/usr/bin/a"]}
            for _package in range(_PACKAGES)
        ]
        return {**entry, "explained": explained, "explained_count": 7 * _PACKAGES}
    return entry


def _event(number: int, position: int, item: int, now: float, chance: random.Random) -> dict[str, t.Any]:
    capability, scopes, _share = _LOOKS[position]
    alerts = [alert.id for alert in catalogue.load() if alert.capability == capability and alert.severity]
    path = f"{_FOLDERS[item % len(_FOLDERS)]}program-{position}-{item}"
    digests = [hashlib.sha256(f"{number} {item} {side}".encode()).hexdigest() for side in ("before", "after")]
    detection = _finding.detection(
        alert=alerts[item % len(alerts)],
        subject=path,
        scope=scopes[item % len(scopes)],
        message=f"{path} changed: sha256, mode, mtime.",
        first_time=now - 600,
        last_time=now - chance.randrange(600),
        evidences=[
            {
                "file": {
                    "name": path.rsplit("/", 1)[1],
                    "path": path,
                    "type": "Regular File",
                    "type_id": 1,
                    "size": chance.randrange(1000, 900_000),
                    "modified_time": int((now - 3600) * 1000),
                    "hashes": [{"algorithm": "SHA-256", "algorithm_id": 3, "value": digests[1]}],
                },
                "data": {
                    "change": "modified",
                    "attributes": {
                        "sha256": {"before": digests[0], "after": digests[1]},
                        "mode": {"before": "0755", "after": "4755"},
                        "mtime": {"before": 1_760_000_000_000_000_000 + item, "after": int(now * 1e9)},
                    },
                    "package": "not explained by any package",
                },
            }
        ],
    )
    return events.finding(detection, catalogue.load(), events.Device(host_name(number)), now)
