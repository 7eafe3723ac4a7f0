# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the documentation's alert reference from the alert catalogue.

    python3 tools/alert_reference.py COLLECTION

COLLECTION is a copy of the collection, at ansible_collections/bulwark/servers, that documentation is built from. The
page is written to its docs/docsite/rst and listed in its docs/docsite/extra-docs.yml; nothing of it is kept in Git.
"""

from __future__ import annotations

import argparse
import itertools
import pathlib
import re
import sys
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.capabilities import Capability
    from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import Alert, AttackReference
    from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan.subtypes import Subtype
    from ansible_collections.bulwark.servers.plugins.plugin_utils.rule_facts import AlertFacts

# Of the names that pages refer to each other by.
PREFIX = "ansible_collections.bulwark.servers.docsite."
_NAME = "alert_reference"
_SECTION = "  - title: Reference\n    toctree:\n"
_SEVERITIES = ("informational", "low", "medium", "high", "critical")

_HEAD = f"""\
.. SPDX-License-Identifier: GPL-3.0-or-later
.. SPDX-FileCopyrightText: bulwark.servers contributors

.. _{PREFIX}{_NAME}:

Alert reference
===============

Everything that this version of the collection can report, by capability. The words are those of the report.

An alert that several rules raise has the range of their severities: each finding has that of the rules that matched.
What was seen can raise or lower the severity of one finding. A *state* is resolved when a later scan looks and finds
the problem gone; an *event* stays open until somebody closes it. See
:ref:`findings and the store <{PREFIX}findings_and_store>`. What is *simulated* can be raised on purpose, see
:ref:`simulating attacks <{PREFIX}simulation>`. *Windows needs* lists what a Windows host has to record; the words are
explained at :ref:`alerts on Windows hosts <{PREFIX}{_NAME}_windows>`.

.. contents::
   :local:
   :depth: 2
"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="alert_reference.py", description="Write the alert reference into a copy of the collection."
    )
    parser.add_argument("collection", type=pathlib.Path, help="ansible_collections/bulwark/servers of the copy")
    collection = parser.parse_args(arguments).collection.absolute()
    sys.path.insert(0, str(collection.parents[2]))
    import windows_reference  # this directory's, which has use of this module, too
    from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, catalogue, rule_facts
    from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import subtypes
    from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content

    simulated = simulated_alerts(content.load(content.LINUX), content.load(content.WINDOWS))
    seen = list(subtypes.load().values())
    facts = {alert.id: rule_facts.of_alert(alert) for alert in catalogue.load()}
    rules, ways = windows_reference.load(catalogue.load())
    windows = {alert: windows_reference.shown(each, alert) for alert, each in ways.items()}
    text = page(capabilities.load(), catalogue.load(), facts, simulated, windows)
    docsite = collection / "docs" / "docsite"
    write(docsite, _NAME, text + "\n" + subtype_table(seen))
    rows = windows_reference.rows(catalogue.load().alert, rules)
    write(docsite, windows_reference.NAME, windows_reference.page(catalogue.load(), ways, rows))
    return 0


def simulated_alerts(linux: t.Mapping[str, t.Any], windows: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return whether each alert can be simulated, and why not; of both platforms where they differ."""

    def fact(simulation: t.Any) -> str:
        if simulation.none is not None:
            return f"no. {simulation.none}"
        return "yes, by an event that it writes" if simulation.steps.get("written") else "yes"

    facts = {alert: fact(simulation) for alert, simulation in {**windows, **linux}.items()}
    for alert in linux.keys() & windows.keys():
        if fact(windows[alert]) != facts[alert]:
            facts[alert] = f"on Linux: {facts[alert]}; on Windows: {fact(windows[alert])}"
    return facts


def write(docsite: pathlib.Path, name: str, text: str) -> None:
    """Write a page, and list it in the last section, Reference, where it isn't listed yet."""
    (docsite / "rst" / f"{name}.rst").write_text(text, encoding="utf-8")
    index = docsite / "extra-docs.yml"
    sections = index.read_text(encoding="utf-8")
    if _SECTION not in sections:
        sections += _SECTION
    listed = f"      - ref: {name}\n"
    if listed not in sections:
        sections += listed
    index.write_text(sections, encoding="utf-8")


def page(
    capabilities: t.Mapping[str, Capability],
    alerts: t.Iterable[Alert],
    facts: t.Mapping[str, AlertFacts],
    simulated: t.Mapping[str, str],
    windows: t.Mapping[str, str],
) -> str:
    """Return the page in reStructuredText: capabilities in alphabetical order, the most severe alerts first.

    facts: severities and techniques by the id of the alert. simulated: whether it can be simulated, and why not.
    windows: what a Windows host needs, in reStructuredText.
    """

    def rank(alert: Alert) -> int:
        return _SEVERITIES.index(facts[alert.id].severities[-1])

    ordered = sorted(alerts, key=lambda alert: (alert.capability, -rank(alert), alert.id))
    parts = [_HEAD, capability_table(capabilities.values())]
    for capability, group in itertools.groupby(ordered, key=lambda alert: alert.capability):
        known = capabilities.get(capability)
        # What belongs to no capability has the name of its content.
        parts.append(heading(escape(known.title if known else capability.capitalize()), "-"))
        parts += [
            entry(alert, facts[alert.id], simulated.get(alert.id, ""), windows.get(alert.id, "")) for alert in group
        ]
    return "\n".join(parts)


def capability_table(capabilities: t.Iterable[Capability]) -> str:
    """Return the table of the capabilities, which says what each is called and where it has something to do."""
    rows = [("capability", "name", "Defender for servers calls it", "platforms", "playbooks", "state")]
    for one in capabilities:
        playbooks = ", ".join(f"``{name}``" for name in ("scan", *one.playbooks))
        state = ", ".join(f"``{name}``" for name in one.state) or "none"
        platforms = ", ".join(one.platforms)
        rows.append((f"``{one.id}``", escape(one.title), escape(one.defender), platforms, playbooks, state))
    return "\n".join(
        [
            heading("Capabilities", "-"),
            (
                "The playbooks are those that call the role of the capability. The state is kept on hosts, in these"
                " directories below\n``/var/lib/bulwark``, or on Windows ``%ProgramData%\\bulwark``.\n"
            ),
            table(rows, "16 16 22 12 20 14"),
        ]
    )


def entry(alert: Alert, facts: AlertFacts, simulated: str, windows: str = "") -> str:
    """Return the section of one alert. windows: what a Windows host needs, in reStructuredText."""
    fields = [
        ("Id", f"``{alert.id}``"),
        ("Severity", facts.severity),
        ("Kind", alert.kind),
        ("Lifecycle", alert.lifecycle),
        ("Platforms", escape(", ".join(alert.platforms))),
        ("Windows needs", windows),
        ("ATT&CK", "; ".join(map(_technique, facts.attack))),
        ("Simulated", escape(simulated)),
    ]
    parts = [
        f".. _{PREFIX}{_NAME}.{alert.id}:\n",
        heading(escape(alert.title), "~"),
        "".join(f":{name}: {value}\n" for name, value in fields if value),
        _paragraphs(alert.description),
        "**What to do**\n",
        _paragraphs(alert.remediation),
        "".join(f"- `{escape(address)} <{address}>`__\n" for address in alert.references),
    ]
    return "\n".join(part for part in parts if part)


def subtype_table(subtypes: t.Iterable[Subtype]) -> str:
    """Return the section on what memory scans see: the gravest class first, in it the most severe first."""
    classes = ("toolkit", "technique", "behavior")
    ordered = sorted(subtypes, key=lambda one: (classes.index(one.kind), -_SEVERITIES.index(one.severity), one.id))
    rows = [("subtype", "class", "severity", "ATT&CK", "what was seen")]
    for one in ordered:
        said = f"{escape(one.title)}. {_paragraphs(one.description).strip()}"
        rows.append((f"``{one.id}``", one.kind, one.severity, ", ".join(one.attack), said))
    return "\n".join(
        [
            f".. _{PREFIX}{_NAME}.memory_scan_subtypes:\n",
            heading("What memory scans see", "-"),
            "A finding of a memory scan has one or more of these in its evidence. The gravest class is its alert.\n",
            table(rows, "22 10 10 14 44"),
        ]
    )


def table(rows: t.Iterable[t.Sequence[str]], widths: str) -> str:
    """Return a table. rows: cells in reStructuredText, the first row of titles. widths: of the columns, in percent."""
    lines = ["".join(f"   {' ' if cell else '*'} - {text}\n" for cell, text in enumerate(row)) for row in rows]
    return f".. list-table::\n   :header-rows: 1\n   :widths: {widths}\n\n{''.join(lines)}"


def escape(text: str) -> str:
    """Return plain text as reStructuredText that renders to the same."""
    return re.sub(r"([\\*`|_<>\[\]]|:(?=:))", r"\\\1", text)


def _paragraphs(text: str) -> str:
    return "\n\n".join(escape(" ".join(part.split())) for part in re.split(r"\n\s*\n", text)) + "\n"


def _technique(reference: AttackReference) -> str:
    address = f"https://attack.mitre.org/techniques/{reference.technique.replace('.', '/')}/"
    return f"{escape(reference.tactic_name)}, `{reference.technique} {escape(reference.technique_name)} <{address}>`__"


def heading(text: str, underline: str) -> str:
    """Return a title. text: in reStructuredText."""
    return f"{text}\n{underline * max(4, len(text))}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
