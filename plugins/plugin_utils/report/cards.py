# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One finding as it is shown, and all of them as the data that the page's script reads."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import finding_commands
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import evidence, model, process_tree, shared
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import key, visible

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Elsewhere, Finding, HistoryEntry

ATTACK_URL = "https://attack.mitre.org/techniques/"
CVE_URL = "https://nvd.nist.gov/vuln/detail/"
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")


@dataclasses.dataclass(frozen=True, slots=True)
class Card:
    """A finding whose every text is ready to be shown. history: (time, action, note), oldest first.

    remedy: what to do on this host, "" for what the alert says. shared: what other hosts show, too: (kind, value, these
    hosts). investigation: the id of its newest one, "" without one. can_investigate: whether its host can be asked for
    one. commands: what each does, and for sh what does it,
    in which ``UID`` stands for the uid: most findings have the same. processes: trees of those in the evidence.
    """

    uid: str = ""
    host: str = ""
    capability: str = ""
    alert: str = ""
    severity: str = "informational"
    status: str = "open"
    scope: str = ""
    subject: str = ""
    message: str = ""
    remedy: str = ""
    first_seen: float = 0
    last_seen: float = 0
    count: int = 0
    changes: t.Sequence[tuple[str, str | None, str | None]] = ()
    facts: t.Sequence[tuple[str, str]] = ()
    cut: int = 0
    history: t.Sequence[tuple[float, str, str]] = ()
    techniques: t.Sequence[str] = ()
    shared: t.Sequence[tuple[str, str, str]] = ()
    investigation: str = ""
    can_investigate: bool = True
    commands: t.Sequence[tuple[str, str]] = ()
    processes: t.Sequence[process_tree.Node] = ()


def card(
    finding: Finding,
    history: t.Sequence[HistoryEntry] = (),
    elsewhere: t.Mapping[int, Elsewhere] | None = None,
    investigation: str = "",
    store: str | None = None,
) -> Card:
    """Return what the page shows of a finding.

    history: oldest first. elsewhere: as for ``shared.rows``. store: the URL for its commands, None for the default.
    """
    rows = evidence.rows(finding.event)
    return Card(
        uid=key(finding.uid),
        host=key(finding.host),
        capability=key(finding.capability),
        alert=key(finding.alert),
        severity=finding.severity,
        status=finding.status,
        scope=key(finding.scope),
        subject=visible(finding.subject),
        message=visible(finding.event.get("message") or ""),
        remedy=visible(_remedy(finding.event), 10_000),
        first_seen=finding.first_seen,
        last_seen=finding.last_seen,
        count=finding.count,
        changes=rows.changes,
        facts=rows.facts,
        cut=rows.cut,
        history=[(entry.time, entry.action, visible(_note(entry))) for entry in history],
        techniques=technique_ids(finding.event),
        shared=shared.rows(finding.event, finding.host, elsewhere) if elsewhere else (),
        investigation=investigation,
        can_investigate=finding_commands.can_investigate(finding.event),
        commands=_commands(finding, store),
        processes=rows.processes,
    )


def _commands(finding: Finding, store: str | None) -> tuple[tuple[str, str], ...]:
    made = finding_commands.commands(finding_commands.Case.of(finding, store))
    # The first one is the finding's; the store may have any name.
    return tuple((command.title, command.command.replace(finding.uid, "UID", 1)) for command in made)


def _remedy(event: t.Mapping[str, t.Any]) -> str:
    """Return what an event itself says is to be done on its host, or nothing where that is what the catalogue says."""
    vulnerabilities = event.get("vulnerabilities") or ()
    about = event.get("unmapped") or {}
    if not vulnerabilities or "vulnerability_count" not in about:
        return ""
    return str((vulnerabilities[0].get("remediation") or {}).get("desc") or "")


def _note(entry: HistoryEntry) -> str:
    return ": ".join(part for part in (entry.actor, entry.reason) if part)


def technique_ids(event: t.Mapping[str, t.Any]) -> list[str]:
    """Return the ids of the ATT&CK techniques of an event, each once."""
    attacks = (event.get("finding_info") or {}).get("attacks") or ()
    return list(dict.fromkeys(key(uid) for uid in map(technique_uid, attacks) if uid))


def technique_uid(attack: t.Mapping[str, t.Any]) -> str:
    """Return the id of an OCSF attack's sub-technique or technique, or nothing."""
    return str((attack.get("sub_technique") or attack.get("technique") or {}).get("uid") or "")


def technique_url(technique: model.Technique) -> str | None:
    """Return ATT&CK's page of a technique that the catalogue knows: nothing else becomes an address."""
    return f"{ATTACK_URL}{technique.id.replace('.', '/')}/" if technique.known else None


def command_uid(uid: str) -> str:
    """Return a uid that can stand in a command, "" for any other text."""
    return uid if _UID.fullmatch(uid) else ""


def cve_url(name: str) -> str:
    """Return the page of a CVE, "" for any other name."""
    return f"{CVE_URL}{name}" if _CVE.fullmatch(name) else ""


def safe_references(alert: model.AlertText) -> list[str]:
    """Return the references that may become a link."""
    return [url for url in alert.references if url.startswith(("https://", "http://")) and url.isprintable()]


def alert_text(data: model.ReportData, alert: str) -> dict[str, t.Any]:
    """Return what is shown of an alert, by the id that its cards have."""
    text = data.alert(alert)
    return {
        "id": alert,
        "title": visible(text.title),
        "kind": visible(text.kind),
        "description": visible(text.description, 10_000),
        "remediation": visible(text.remediation, 10_000),
        "references": safe_references(text),
    }


def technique_text(data: model.ReportData, identifier: str) -> dict[str, t.Any]:
    """Return what is shown of an ATT&CK technique, by the id that its cards have."""
    technique = data.techniques.get(key(identifier)) or model.Technique(identifier, "", "", known=False)
    return {
        "id": identifier,
        "name": visible(technique.name),
        "tactic": visible(technique.tactic),
        "url": technique_url(technique),
    }
