# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store with findings in it, made the way the collection makes them."""

from __future__ import annotations

import contextlib
import tempfile
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

_REFERENCE = catalogue.AttackReference("TA0003", "Persistence", "T1554", "Compromise Host Software Binary")
_ADDED = catalogue.AttackReference("TA0004", "Privilege Escalation", "T1548.001", "Abuse Elevation Control: Setuid")


def _alert(identifier: str, title: str, severity: str, lifecycle: str = "state") -> catalogue.Alert:
    return catalogue.Alert(
        id=identifier,
        title=title,
        kind="alert",
        severity=severity,
        capability="file_integrity",
        platforms=("linux",),
        lifecycle=lifecycle,
        attack=(_REFERENCE,),
        description=f"What '{title}' means.",
        remediation="Reinstall the package.",
        references=("https://example.org/reference",),
    )


CATALOGUE = catalogue.Catalogue(
    {
        alert.id: alert
        for alert in (
            _alert("package_file_modified", "A packaged program does not match its package", "critical"),
            _alert("file_modified", "A watched file changed", "medium"),
        )
    },
    {"T1554": _REFERENCE, "T1548.001": _ADDED},
)


def event(host: str, subject: str, alert: str = "package_file_modified", **changes: t.Any) -> dict[str, t.Any]:
    """Return a finding about a host."""
    fields: dict[str, t.Any] = {
        "alert": alert,
        "subject": subject,
        "scope": "programs",
        "evidences": [{"data": {"mode": {"before": "0755", "after": "4755"}}}],
        "techniques": ["T1548.001"],
    }
    return events.finding(_finding.detection(**{**fields, **changes}), CATALOGUE, events.Device(name=host), now=1)


def checked(scope: str = "programs") -> dict[str, t.Any]:
    return _finding.ScopeCoverage(scope).entry()


@contextlib.contextmanager
def store() -> t.Iterator[Store]:
    """Return an open store of its own, gone when it is closed."""
    with (
        tempfile.TemporaryDirectory() as directory,
        contextlib.closing(Store.open(f"sqlite:///{directory}/findings.db")) as opened,
    ):
        yield opened


def record(
    opened: Store,
    host: str,
    findings: list[dict[str, t.Any]],
    now: float,
    coverage: list[dict[str, t.Any]] | None = None,
) -> None:
    """Record a run that found this on one host."""
    described = {"playbook": "scan.yml", "user": "alice", "controller": "bastion", "version": "0.1.0"}
    run = opened.start_run(hosts=[host], capabilities=["file_integrity"], now=now, **described)
    opened.record(run, host, "file_integrity", findings, [checked()] if coverage is None else coverage, now)
    opened.finish_run(run, now + 1)
