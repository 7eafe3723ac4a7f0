# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that people write, checked against those that there are: one that is misspelt must not pass for clean."""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities as registry
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmarks import Benchmark
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import Catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.patterns import matches


class UnknownNameError(Exception):
    """A name is none of those that there are; the message is one sentence that names it and what comes close."""


def choose_capabilities(wanted: t.Sequence[str] | None) -> tuple[str, ...]:
    """Return the capabilities that are wanted, each once, or all that the collection has when that is None."""
    known = tuple(registry.load())
    if wanted is None:
        return known
    names = tuple(dict.fromkeys(name.strip() for name in wanted if name.strip()))
    if not names:
        raise UnknownNameError(f"no capability is named; the collection has {', '.join(known)}")
    for name in names:
        if name not in known:
            raise UnknownNameError(f"there is no capability '{name}'; the collection has {', '.join(known)}")
    return names


def check_alerts(patterns: t.Sequence[str], catalogue: Catalogue, store: Store) -> None:
    """Raise UnknownNameError for a pattern that fits no alert of the catalogue, and nothing in the store.

    The store may have alerts that another version of the collection, or another collection, knows.
    """
    known = [alert.id for alert in catalogue]
    for pattern in patterns:
        if any(matches(pattern, alert) for alert in known) or _is_stored(pattern, store):
            continue
        close = difflib.get_close_matches(pattern, known, n=3)
        advice = f"did you mean {' or '.join(close)}?" if close else "the reference of the alerts lists them all"
        raise UnknownNameError(f"there is no alert '{pattern}': {advice}")


def check_controls(names: t.Sequence[str], controls: t.Sequence[str], known: t.Mapping[str, Benchmark]) -> None:
    """Raise UnknownNameError for a benchmark that there is not, and for a pattern that fits no control of these."""
    for name in names:
        if name not in known:
            raise UnknownNameError(f"there is no benchmark '{name}'; the collection has {', '.join(known)}")
    chosen = [known[name] for name in names or known]
    every = [control for benchmark in chosen for control in benchmark.controls.values()]
    identifiers = [name for control in every for name in (control.id, *control.numbers.values())]
    for pattern in controls:
        if not any(matches(pattern, name) for name in identifiers):
            close = difflib.get_close_matches(pattern, dict.fromkeys(identifiers), n=3)
            advice = f"did you mean {' or '.join(close)}?" if close else "the guide of the benchmark lists them all"
            raise UnknownNameError(f"there is no control '{pattern}': {advice}")


def _is_stored(pattern: str, store: Store) -> bool:
    decided = any(rule.alert == pattern for rule in store.suppressions())
    return decided or bool(store.query(Query(alerts=[pattern], limit=1)))
