# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe where a product writes its alerts and how its severities translate: an entry of the controller's content."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES

# A severity that the content has no translation of: neither hidden nor an alarm.
UNKNOWN_SEVERITY = "medium"


class Source(t.NamedTuple):
    """A product's alerts.

    id, name: of the product. form: the reader. paths: log files and glob patterns. journal: matches of journalctl,
    empty where the product does not log there. command: the program that lists alerts. identify: the one that prints
    the product's id of this host. severities: the product's word
    in lower case → one of ``SEVERITIES``. steps: the same for numbers: from this number on. floor: alerts below are
    only counted. rules: what makes a record an alert, for forms that need it. programs: paths of the product's own
    programs; where there are any named, one of them shows that the product is on the host. packages: those that the
    command must be of if one of them is installed. accounts: the product's own, which may own its logs.
    """

    id: str
    name: str
    form: str
    paths: t.Sequence[str] = ()
    journal: t.Sequence[str] = ()
    command: t.Sequence[str] = ()
    identify: t.Sequence[str] = ()
    severities: t.Mapping[str, str] = {}
    steps: t.Sequence[tuple[float, str]] = ()
    floor: str = SEVERITIES[0]
    rules: t.Sequence[t.Mapping[str, t.Any]] = ()
    programs: t.Sequence[str] = ()
    packages: t.Sequence[str] = ()
    accounts: t.Sequence[str] = ()

    def severity(self, own: t.Any) -> str:
        """Translate the product's own severity, a word or a number."""
        word = str(own).strip().lower()
        if word in self.severities:
            return self.severities[word]
        try:
            number = float(word)
        except ValueError:
            return UNKNOWN_SEVERITY
        reached = [severity for least, severity in self.steps if number >= least]
        return reached[-1] if reached else UNKNOWN_SEVERITY

    def is_wanted(self, severity: str) -> bool:
        """Say whether an alert of a severity is more than counted."""
        return SEVERITIES.index(severity) >= SEVERITIES.index(self.floor)


def parse(entries: t.Sequence[t.Mapping[str, t.Any]]) -> list[Source]:
    """Return the sources that the controller sent; raise ValueError, KeyError or TypeError for any other value."""
    return [
        Source(
            id=entry["id"],
            name=entry["name"],
            form=entry["form"],
            paths=tuple(entry.get("paths", ())),
            journal=tuple(entry.get("journal", ())),
            command=tuple(entry.get("command", ())),
            identify=tuple(entry.get("identify", ())),
            severities=dict(entry.get("severities", {})),
            steps=tuple((float(least), severity) for least, severity in entry.get("steps", ())),
            floor=entry.get("floor", SEVERITIES[0]),
            rules=tuple(entry.get("rules", ())),
            programs=tuple(entry.get("programs", ())),
            packages=tuple(entry.get("packages", ())),
            accounts=tuple(entry.get("accounts", ())),
        )
        for entry in entries
    ]
