# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings as the data that the page's script reads: columns and tables, so that nothing is written twice."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    benchmark_data,
    cards,
    coverage,
    investigations,
    model,
    process_tree,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.benchmark import Sheet
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.secure_score import SecureScore
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import capability_name, key, visible

# More would make a file that browsers open slowly; the section on coverage has all that explains changes, host by host
# or not.
_EXPLAINED_LIMIT = 20_000


class _Table:
    """Texts by number, so that what ten thousand findings share is written once."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))

    @property
    def texts(self) -> list[str]:
        return list(self.numbers)


@dataclasses.dataclass(frozen=True)
class _Tables:
    """The tables of all texts that rows refer to by number."""

    hosts: _Table = dataclasses.field(default_factory=_Table)
    capabilities: _Table = dataclasses.field(default_factory=_Table)
    scopes: _Table = dataclasses.field(default_factory=_Table)
    alerts: _Table = dataclasses.field(default_factory=_Table)
    techniques: _Table = dataclasses.field(default_factory=_Table)
    names: _Table = dataclasses.field(default_factory=_Table)
    texts: _Table = dataclasses.field(default_factory=_Table)


def page_data(
    data: model.ReportData,
    shown: t.Sequence[cards.Card],
    matrix: coverage.Matrix,
    score: SecureScore | None,
    sheets: t.Sequence[Sheet],
) -> dict[str, t.Any]:
    """Return the page's data: tables of texts, findings and controls as columns, and for each host its score and gaps.

    The script's ``types.js`` describes it. Hosts are those of the coverage as well, also without a finding.
    """
    tables = _Tables()
    hosts, capabilities, texts = tables.hosts, tables.capabilities, tables.texts
    rows = [_row(card, tables) for card in shown]
    columns = [field.name for field in dataclasses.fields(cards.Card)]
    gaps = _gaps(data.coverage, hosts, capabilities, texts)
    explained = _explained(data.coverage, hosts, capabilities, texts)
    cells = {
        hosts.number(key(host)): [
            [capabilities.number(key(capability)), cell.status, cell.checked, cell.scopes]
            for capability, cell in zip(matrix.capabilities, row.cells, strict=True)
        ]
        for row in matrix.rows
        for host in row.hosts
    }
    benchmarks = [benchmark_data.benchmark_data(sheet, hosts.number, texts.number) for sheet in sheets]
    investigated = [investigations.page_data(each, tables.names.number, texts.number) for each in data.investigations]
    scores = {key(host): round(points.score) for host, points in score.hosts.items()} if score else {}
    return {
        "severities": model.SEVERITIES,
        "statuses": STATUSES,
        "actions": model.ACTIONS,
        "findings": {name: [row[at] for row in rows] for at, name in enumerate(columns)},
        "benchmarks": benchmarks,
        "investigations": investigated,
        "alerts": [cards.alert_text(data, alert) for alert in tables.alerts.texts],
        "techniques": [cards.technique_text(data, technique) for technique in tables.techniques.texts],
        "hosts": [
            {
                "name": host,
                "score": scores.get(host),
                "cells": cells.get(number, []),
                "gaps": gaps.get(number, []),
                "explained": explained.get(number, []),
            }
            for number, host in enumerate(hosts.texts)
        ],
        "capabilities": [{"id": name, "name": capability_name(name)} for name in capabilities.texts],
        "scopes": tables.scopes.texts,
        "names": tables.names.texts,
        "texts": texts.texts,
    }


def _row(card: cards.Card, tables: _Tables) -> list[t.Any]:
    """Return a finding as values in the order of the fields of ``Card``."""
    return [
        card.uid,
        tables.hosts.number(card.host),
        tables.capabilities.number(card.capability),
        tables.alerts.number(card.alert),
        model.SEVERITIES.index(card.severity),
        STATUSES.index(card.status),
        tables.scopes.number(card.scope),
        card.subject,
        card.message,
        tables.texts.number(card.remedy),
        int(card.first_seen),
        int(card.last_seen),
        card.count,
        [[tables.names.number(name), before, after] for name, before, after in card.changes],
        [[tables.names.number(name), value] for name, value in card.facts],
        card.cut,
        [[int(time), model.ACTIONS.index(action), note] for time, action, note in card.history],
        [tables.techniques.number(technique) for technique in card.techniques],
        [[tables.names.number(kind), value, tables.texts.number(hosts)] for kind, value, hosts in card.shared],
        card.investigation,
        int(card.can_investigate),
        [[tables.texts.number(title), tables.texts.number(command)] for title, command in card.commands],
        [_process(node, tables.names) for node in card.processes],
    ]


def _process(node: process_tree.Node, names: _Table) -> list[t.Any]:
    facts = [[names.number(name), value] for name, value in node.facts]
    children = [_process(child, names) for child in node.children]
    return [node.label, node.command, facts, int(node.is_subject), children]


def _explained(
    entries: t.Iterable[model.Coverage], hosts: _Table, capabilities: _Table, texts: _Table
) -> dict[int, list[list[t.Any]]]:
    found: dict[int, list[list[t.Any]]] = {}
    room = _EXPLAINED_LIMIT
    for entry in entries:
        for explained in entry.explained[:room]:
            examples = [texts.number(visible(example, 300)) for example in explained.examples]
            found.setdefault(hosts.number(key(entry.host)), []).append(
                [capabilities.number(key(entry.capability)), texts.number(key(explained.by)), explained.count, examples]
            )
        room -= len(entry.explained[:room])
    return found


def _gaps(
    entries: t.Sequence[model.Coverage], hosts: _Table, capabilities: _Table, texts: _Table
) -> dict[int, list[list[t.Any]]]:
    """Return what was not checked by host: a reason once, with its scopes in words, or with its whole capabilities."""
    known = coverage.known_scopes(entries)
    scopes: dict[tuple[str, str, str, str], list[str]] = {}
    for entry in entries:
        if entry.status != _finding.CHECKED:
            same = scopes.setdefault((entry.host, entry.capability, entry.status, coverage.full_reason(entry)), [])
            same += [entry.scope] if entry.scope != entry.capability else []
    together: dict[tuple[str, str, str, str, str], list[int]] = {}
    for (host, capability, status, reason), names in scopes.items():
        words = coverage.scope_words(names, len(names) == known.get((host, capability)))
        alike = together.setdefault((host, status, reason, words, capability if words else ""), [])
        alike.append(capabilities.number(key(capability)))
    gaps: dict[int, list[list[t.Any]]] = {}
    for (host, status, reason, words, _capability), numbers in together.items():
        gaps.setdefault(hosts.number(key(host)), []).append(
            [numbers, texts.number(words), status, visible(reason, 500)]
        )
    return gaps
