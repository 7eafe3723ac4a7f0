# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports with investigations."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation import summary
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import cards, investigations, model
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding, Investigation

from tests.unit.plugins.plugin_utils.investigation import samples as results
from tests.unit.plugins.plugin_utils.report import samples

FIRST, SECOND, THIRD = (f"{number}1111111-1111-4111-8111-111111111111" for number in (1, 2, 3))


def stored(result: t.Any, identity: str = FIRST, **changes: t.Any) -> Investigation:
    """Return an investigation as the store has it."""
    fields = {
        "host": "web1",
        "finding": "",
        "subject": result["subject"],
        "run_id": "run",
        "at": samples.NOW,
        "by": "alice",
        "summary": "\n".join(summary.lines(result)),
    }
    return Investigation(id=identity, result=result, **t.cast("t.Any", {**fields, **changes}))


def found() -> Finding:
    """Return the finding that the first investigation begins with."""
    return samples.finding(uid=results.UID, subject="/dev/shm/x")


def report(**changes: t.Any) -> model.ReportData:
    """Return a fleet's report with three investigations: of a finding, of a process, and one without its data."""
    base, finding = samples.fleet(), found()
    shown = (
        investigations.shown(stored(results.web_shell(), finding=results.UID), finding),
        investigations.shown(stored(results.large(), SECOND)),
        dataclasses.replace(investigations.shown(stored(results.web_shell(), THIRD, subject="address 1")), result=None),
    )
    return dataclasses.replace(
        base,
        findings=(finding, *base.findings),
        cards={finding.uid: cards.card(finding, investigation=FIRST), **base.cards},
        **{"investigations": shown, "more_investigations": 2, **changes},
    )


def hostile(attack: str) -> model.ReportData:
    """Return a report with an attack in every text of an investigation."""
    base = samples.hostile(attack)
    subject = samples.finding(uid=f"{attack} new", subject=attack, alert=attack)
    # A line of the summary is a sentence.
    line = attack.replace("\n", "")
    kept = stored(results.hostile(attack), host=attack, subject=attack, by=attack, finding=attack, summary=line)
    return dataclasses.replace(base, investigations=(investigations.shown(kept, subject),))
