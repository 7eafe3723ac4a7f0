# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check names that people write against the known ones: a misspelt name must not look like a clean result."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities as registry
from ansible_collections.bulwark.servers.plugins.plugin_utils import spelling
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmarks import Benchmark
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import SHARED, Catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.patterns import matches

# Characters of an abbreviated uid. 12 of them are unique among 100,000 findings.
_SHORTEST = 8
_OF_UIDS = frozenset("0123456789abcdef-")
# More subjects would take more than a second to compare.
_MOST_SUBJECTS = 5_000
# Characters of them. What a host named longer would take hours, and nobody types it.
_LONGEST = 300
_WILDCARDS = frozenset("*?")


class UnknownNameError(Exception):
    """A name is unknown; the message is one sentence with the name and similar ones."""


def choose_capabilities(wanted: t.Sequence[str] | None) -> tuple[str, ...]:
    """Return the wanted capabilities, each once, or all of the collection for None."""
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
        advice = spelling.advice(pattern, known, "the reference of the alerts lists them all")
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
            advice = spelling.advice(pattern, identifiers, "the guide of the benchmark lists them all")
            raise UnknownNameError(f"there is no control '{pattern}': {advice}")


def find_uids(uids: t.Sequence[str], store: Store) -> list[str]:
    """Return the full uids for uids or beginnings of uids; raise UnknownNameError."""
    complete = []
    for uid in uids:
        text = uid.strip().lower()
        if len(text) < _SHORTEST or not set(text) <= _OF_UIDS:
            raise UnknownNameError(
                f"'{uid}' is not a uid of a finding: copy it from the table, the report or findings_info, at least"
                f" {_SHORTEST} characters of it"
            )
        matching = store.uids_beginning(text)
        if not matching:
            raise UnknownNameError(
                f"the store has no finding '{uid}': copy its uid again, or name the store that has it (bulwark_store,"
                " or store in a task)"
            )
        if len(matching) > 1:
            raise UnknownNameError(
                f"'{uid}' begins the uids of several findings, {', '.join(matching[:3])}: give more of it"
            )
        complete += matching
    return complete


def check_capabilities(wanted: t.Sequence[str], store: Store) -> None:
    """Raise UnknownNameError for a name that is no capability of the collection, and none that the store has."""
    known = [*registry.load(), *SHARED]
    for name in wanted:
        if name in known or store.coverage(capabilities=[name]) or store.query(Query(capabilities=[name], limit=1)):
            continue
        advice = spelling.advice(name, known, f"the collection has {', '.join(known)}")
        raise UnknownNameError(f"there is no capability '{name}': {advice}")


def check_run(wanted: str | None, store: Store) -> None:
    """Raise UnknownNameError for the id of a run that the store does not have. wanted: None for no id."""
    if wanted is not None and not store.runs(ids=[wanted]):
        raise UnknownNameError(f"there is no run '{wanted}' in the store: findings_info lists its runs")


def check_hosts(wanted: t.Sequence[str], store: Store, inventory: t.Iterable[str], *, may_be_new: bool = False) -> None:
    """Raise UnknownNameError for a name or pattern that fits no host of the store, and none of the inventory.

    may_be_new: accept such a name if no host has a similar one.
    """
    if not wanted:
        return
    known = [*store.host_names(), *inventory]
    for pattern in wanted:
        if any(matches(pattern, host) for host in known):
            continue
        otherwise = "" if may_be_new else "neither the store nor the inventory has a host of that name"
        if advice := _advice(pattern, known, otherwise):
            raise UnknownNameError(f"there is no host '{pattern}': {advice}")


def check_subjects(wanted: t.Sequence[str], store: Store, about: Query) -> None:
    """Raise UnknownNameError for a subject that no finding has, if findings of the same query have similar ones.

    A subject without similar ones may be clean.
    """
    exact = [subject for subject in wanted if not set(subject) & _WILDCARDS]
    if not exact or store.counts(dataclasses.replace(about, subjects=exact, simulated=None)).total:
        return
    known = store.subjects(dataclasses.replace(about, subjects=()), _MOST_SUBJECTS)
    for subject in exact:
        advice = _advice(subject, known, "", likeness=0.8)
        if subject not in known and advice:
            raise UnknownNameError(f"no finding is about '{subject}': {advice}")


def check_literal(subject: str, store: Store) -> None:
    """Raise UnknownNameError for a subject that is a pattern, and one of a finding, too.

    Whoever can name a file on a host could otherwise have others decided about with it.
    """
    if set(subject) & _WILDCARDS and store.has_subject(subject):
        raise UnknownNameError(
            f"'{visible(subject, _LONGEST)}' is the subject of a finding, and as a pattern matches others, too: select "
            "that finding by its uid, or write another pattern"
        )


def explain_nothing(about: Query, store: Store) -> UnknownNameError:
    """Return an error that says why a decision selects no finding. about: its selection."""
    for names, known in (
        (about.hosts, store.host_names()),
        (about.subjects, store.subjects(dataclasses.replace(about, subjects=()), _MOST_SUBJECTS)),
    ):
        for name in names:
            if not any(matches(name, each) for each in known):
                advice = _advice(name, known, "findings_info lists what the store has")
                return UnknownNameError(f"no finding of these is about '{name}': {advice}")
    return UnknownNameError("no finding has this alert, host and subject together: findings_info lists what there is")


def refuse(noun: str, person: str, known: t.Sequence[str], otherwise: str) -> t.NoReturn:
    """Raise UnknownNameError: a person has none of these. noun: for these. otherwise: advice if no name is similar."""
    raise UnknownNameError(f"there is no {noun} of '{person}': {_advice(person, known, otherwise)}")


def _advice(name: str, known: t.Iterable[str], otherwise: str, *, likeness: float = 0.6) -> str:
    """Return ``spelling.advice`` with names as people see them: hosts and their users chose some of them."""
    shown = [visible(each) for each in known if len(each) <= _LONGEST]
    return spelling.advice(name[:_LONGEST], shown, otherwise, likeness=likeness)


def _is_stored(pattern: str, store: Store) -> bool:
    decided = any(rule.alert == pattern for rule in store.suppressions())
    return decided or bool(store.query(Query(alerts=[pattern], limit=1)))
