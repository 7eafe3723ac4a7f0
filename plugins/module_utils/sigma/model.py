# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the compiled form of rules is made of: JSON that the controller writes and the host reads.

A compiled rule set is ``{"version": 1, "rules": [...], "correlations": [...], "lists": [...]}``. A rule has ``source``,
the facts of ``Rule``, ``condition`` (a node), ``prefilter`` (what it can't match without, see ``index``), ``needs``
(all that it can't match without, see ``sieve``) and ``fields`` (what else has to be in its views). Nodes are lists:

======================================  ==============================================================================
``["and", [node...]]``, ``["or", ...]``  all, or one of them
``["not", node]``
``["text", field, test, [value...]]``    one of the values passes the test: equals, contains, startswith, endswith, or
                                        like (a regular expression for wildcards). Values and field are in lower case,
                                        unless the test ends in _cased
``["regex", field, [[pattern, flags]]]``  one of the patterns is found; flags are some of i, m, s; for Windows, lists of
texts follow for each pattern, and what it matches contains one of each, in lower case
``["number", field, operator, number]``  ``<``, ``<=``, ``>``, ``>=``
``["network", field, [cidr...]]``        an address in one of the networks
``["exists", field]``, ``["null", field]``
``["same", field, other, test]``         compared with another field
``["words", [field...], test, [value...]]``  a value in one of the fields; in any field where none is given
``["patterns", [field...], [[pattern, flags]]]``  the same for regular expressions
``["listed", number, [field...]]``      an entry of the threat list of that number in ``lists``; never part of another
======================================  ==============================================================================
"""

from __future__ import annotations

import typing as t

FORMAT_VERSION = 1
# What a rule raises that names no alert of the catalogue: one of the user's.
USER_ALERT = "audit_sigma_match"
# The kinds of explanations that a rule may name in ``explained_by``.
AUTOMATION, PACKAGE = EXPLANATIONS = ("automation", "package")
# The kind of explanation for sessions of a simulated attack. Rules do not name it, because it holds for all of them.
SIMULATION = "simulation"

# One event as rules see it: text as the host has it (not printable(), with surrogateescape for what is no UTF-8),
# numbers, or lists of texts. What is not known has no key.
View = t.Mapping[str, t.Any]
Node = t.List[t.Any]
Compiled = t.Mapping[str, t.Any]


class Explanation(t.NamedTuple):
    """What explains an event. sentence: safe to show, without a full stop, as in "Session 42 of ansible, ...".

    kind: one of ``EXPLANATIONS``, or ``SIMULATION``. For a simulation, its id and the alerts that it covers.
    """

    kind: str
    sentence: str
    simulation: str = ""
    alerts: frozenset[str] = frozenset()


class Rule(t.NamedTuple):
    """What is said when a rule, or a correlation of rules, matches.

    id: the rule's UUID, or its name. subject: the names of the fields whose values make the finding's subject, empty
    where the reader has to choose. component: it is only part of correlations and no finding by itself.
    """

    id: str
    alert: str
    title: str
    severity: str | None
    techniques: tuple[str, ...]
    subject: tuple[str, ...]
    message: str | None
    source: str
    component: bool
    correlation: bool
    # Which kinds of explanations count, each with the severity that remains (``audit.explain``).
    explained_by: t.Mapping[str, str]


def rules_of(compiled: Compiled) -> list[Rule]:
    """Return the rules, then the correlations, so that a rule's index is its place. Raises ValueError."""
    version = compiled.get("version")
    if version != FORMAT_VERSION:
        raise ValueError("compiled rules have version %s, and this reads %s" % (version, FORMAT_VERSION))
    return [_rule(entry, False) for entry in compiled["rules"]] + [
        _rule(entry, True) for entry in compiled.get("correlations", ())
    ]


def _rule(entry: t.Mapping[str, t.Any], correlation: bool) -> Rule:
    return Rule(
        id=entry["id"],
        alert=entry["alert"],
        title=entry["title"],
        severity=entry.get("severity"),
        techniques=tuple(entry.get("techniques", ())),
        subject=tuple(entry.get("subject", ())),
        message=entry.get("message"),
        source=entry.get("source", ""),
        component=bool(entry.get("component")),
        correlation=correlation,
        explained_by=entry.get("explained_by", {}),
    )
