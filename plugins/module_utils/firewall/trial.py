# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on trial: the kernel itself goes back to those before, unless they are confirmed in time.

A table has two chains for each hook, ``confirmed_HOOK`` and ``proposed_HOOK``, and a set ``trial`` whose elements are
the two protocols and expire. The base chain leads packets to the proposed rules while their protocol is in the set, and
to the confirmed ones otherwise: when nobody confirms, the elements expire, and no process is needed for that.
Confirming is one transaction, which the kernel refuses as a whole once the time is over.

A packet keeps the generation of rules that it began with, but looks an element up in the newest one (nft_do_chain() and
nft_lookup_eval() of the kernel). A transaction that changes rules and the set ``trial`` at once would lead the packets
that it overtakes to an empty chain, which accepts them. So each of the two changes in a transaction of its own, and
the proposed rules stay where they are when they are confirmed.

While rules are on trial, a connection that comes in by them proves that others will, too. What lets in for a while only
must not prove that, so that rules can be stricter on trial than they are once they are confirmed.

Times are the kernel's: they don't follow the wall clock, and stand still while the machine is suspended.

Pure functions: they make texts for ``nft -f``, and read nft's JSON. The order in which the texts are applied is in
``own``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FAMILY, Element, Objects

SET = "trial"
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
_PROTOCOLS = ("ipv4", "ipv6")
# Seconds after which what has expired gives its place away, at the latest.
_COLLECTED = 600
# Seconds for which packets are still led to the proposed rules once the same are confirmed.
_HANDOVER = 10
_NOT_COMPARED = ("handle", "elem", "table")
_MARK = re.compile(r"bulwark ([0-9a-f]{16})(?: ([0-9a-f]{16}))?\Z")


@dataclasses.dataclass(frozen=True)
class Rules:
    """The content of a table of ours.

    chains: for each hook ("input", "output", ...) its rules in their order, each a line as after ``nft add rule FAMILY
    TABLE CHAIN``. What belongs to the policy goes into them as anonymous sets: ``tcp dport { 22, 8000-8100 } ...``.
    sets: for each named set what is between its braces: ``type ipv4_addr; flags timeout;``. They are one and the same
    for the confirmed and the proposed rules, and keep their elements when rules are proposed and confirmed. One that is
    to be of another kind gets another name. priority: of the base chains. harmless: they decide about no packet, so
    that they are never on trial; the base chains have them themselves, which is quicker. tried: the rules of hooks that
    are stricter while they are on trial; they are no part of the digest, as they make no other policy.
    """

    chains: t.Mapping[str, t.Sequence[str]]
    sets: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    priority: str = "filter - 10"
    harmless: bool = False
    tried: t.Mapping[str, t.Sequence[str]] = dataclasses.field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Return what identifies these rules, and stands as a comment before them in the kernel."""
        content = [{hook: list(lines) for hook, lines in self.chains.items()}, dict(self.sets), self.priority]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8")).hexdigest()[:16]


def remembered(kind: str, size: int, seconds: int) -> str:
    """Return what is between the braces of a set of who came, each of whom the kernel forgets so long after.

    kind: the type of its elements, as "ipv4_addr . inet_service". Without an interval of our own the kernel goes
    through all elements of the set each second to find those that have expired.
    """
    interval = max(1, min(_COLLECTED, seconds // 20))
    return "type %s; size %d; flags dynamic,timeout; timeout %ds; gc-interval %ds;" % (kind, size, seconds, interval)


@dataclasses.dataclass(frozen=True)
class InForce:
    """Rules in the kernel. confirmed, proposed: digests, None without; left: seconds that the trial still runs.

    proposed and token are those of a trial that runs; afterwards they are None.
    """

    confirmed: str | None
    proposed: str | None = None
    token: str | None = None
    left: int = 0


def prepare(table: str, rules: Rules, token: str, objects: Objects | None = None) -> str:
    """Return the text that makes rules the proposed ones; ``begin`` puts them on trial afterwards.

    token: 16 hexadecimal digits, to tell this trial from others. objects: of the table as it is, so that no rules of an
    earlier trial are tried with these.
    """
    lines = _frame(table, rules)
    for hook, rule_lines in rules.chains.items():
        comment = "bulwark %s %s" % (rules.digest, token)
        lines += _filled(table, "proposed_" + hook, comment, rules.tried.get(hook, rule_lines))
    others = {"proposed_" + hook for hook in HOOKS if hook not in rules.chains}
    names = [entry["chain"]["name"] for entry in objects or () if "chain" in entry]
    return _text(lines + ["flush chain %s %s %s" % (FAMILY, table, name) for name in names if name in others])


def begin(table: str, seconds: int) -> str:
    """Return the text that puts the proposed rules on trial for that long, in place of a trial that still runs."""
    return _text(["flush set %s %s %s" % (FAMILY, table, SET), _led(table, seconds)])


def propose(table: str, rules: Rules, seconds: int, token: str, objects: Objects | None = None) -> str:
    """Return the text that does both at once, for a table that no packet gets to see. Parameters as above."""
    return prepare(table, rules, token, objects) + begin(table, seconds)


def confirm(table: str, rules: Rules, objects: Objects) -> str:
    """Return the text that makes the rules on trial the confirmed ones; the kernel refuses it when the time is over.

    The trial goes on for a few seconds: end it with ``withdraw`` afterwards. objects: of the table as it is, so that
    chains and sets that the rules no longer need can go.
    """
    # An element that is expired can't be deleted, which ends the transaction.
    lines = ["delete element %s %s %s { %s }" % (FAMILY, table, SET, ", ".join(_PROTOCOLS)), _led(table, _HANDOVER)]
    return _text([*lines, *_confirmed(table, rules), *_retired(table, rules, objects)])


def establish(table: str, rules: Rules) -> str:
    """Return the text that has the rules in force without a trial, as at boot; a trial that runs goes on."""
    return _text(_confirmed(table, rules))


def replace(table: str, rules: Rules, objects: Objects) -> str:
    """Return the text that has the rules in force without a trial, and ends one that runs.

    objects: of the table as it is, as for ``confirm``.
    """
    own = "%s %s" % (FAMILY, table)
    # Sets that the rules of a trial use can't be deleted.
    former = ["flush chain %s proposed_%s" % (own, hook) for hook in rules.chains]
    ended = [] if rules.harmless else ["flush set %s %s" % (own, SET), *former]
    return _text([*_confirmed(table, rules), *ended, *_retired(table, rules, objects)])


def rehearse(table: str, rules: Rules, proposed: str = "") -> str:
    """Return the text for a table that holds the same and that no packet gets to see.

    proposed: what ``propose`` returned for that table, empty without a trial.
    """
    dormant = "add table %s %s { flags dormant; }" % (FAMILY, table)
    # The first line of either would wake the table.
    return remove(table) + _text([dormant, *_confirmed(table, rules)[1:]]) + proposed.partition("\n")[2]


def withdraw(table: str) -> str:
    """Return the text that ends a trial now: the confirmed rules are in force."""
    return _text(["flush set %s %s %s" % (FAMILY, table, SET)])


def remove(table: str) -> str:
    """Return the text that removes the table with all that is in it, if it is there."""
    return _text(["add table %s %s" % (FAMILY, table), "delete table %s %s" % (FAMILY, table)])


def read(objects: Objects, elements: t.Sequence[Element]) -> InForce:
    """Return what is in force. objects: of the table; elements: of its set ``trial``.

    A digest is None, too, where the chains of the hooks disagree, or one has lost its comment.
    """
    left = [element.left or 0 for element in elements]
    runs = len(elements) == len(_PROTOCOLS)
    confirmed, _none = _mark(objects, "confirmed_")
    proposed, token = _mark(objects, "proposed_") if runs else (None, None)
    return InForce(confirmed, proposed, token, min(left) if runs else 0)


def _mark(objects: Objects, prefix: str) -> tuple[str | None, str | None]:
    found = set()
    names = [entry["chain"]["name"] for entry in objects if "chain" in entry]
    if not any(name.startswith(("confirmed_", "proposed_")) for name in names):
        prefix = ""  # harmless rules are in the base chains
    first: dict[str, str] = {}
    for entry in objects:
        if "rule" in entry:
            first.setdefault(entry["rule"]["chain"], entry["rule"].get("comment", ""))
    for name in names:
        # A chain without any rule is one that this state doesn't use.
        if name.startswith(prefix) and name in first:
            match = _MARK.match(first[name])
            found.add((match.group(1), match.group(2)) if match else (None, None))
    return found.pop() if len(found) == 1 else (None, None)


def comparable(objects: Objects, rules: Rules, tried: Rules | None = None) -> str:
    """Return the rules as text in which is only what they do: no counters, no handles, no elements.

    objects: of the whole table. tried: the rules that are on trial now; without them no packet gets to the proposed
    ones. What a trial has left behind that nobody confirmed is not in it.
    """
    skipped = leftovers(objects, rules, tried)
    known = {SET, *rules.sets, *(tried.sets if tried else ())}
    filled = {entry["rule"]["chain"] for entry in objects if "rule" in entry}
    has_proposed = any(name.startswith("proposed_") for name in skipped & filled)
    # After a confirmed trial they are the same.
    spare = tried is not None or (has_proposed and _mark(objects, "proposed_")[0] != rules.digest)
    found: list[t.Any] = []
    for entry in objects:
        for kind, fields in entry.items():
            name = fields.get("chain" if kind == "rule" else "name", "")
            # Rules that are the same use no other sets. Which sets a trial had that is over is not known any more.
            if kind == "table" or (kind == "set" and name not in known and (spare or rules.harmless)):
                continue
            if kind not in ("chain", "rule") or name not in skipped:
                # Only the order of rules in a chain is of importance.
                plain = _plain({part: value for part, value in fields.items() if part not in _NOT_COMPARED})
                found.append((kind, name, plain))
    return json.dumps(sorted(found, key=lambda item: item[:2]), indent=1, sort_keys=True)


def leftovers(objects: Objects, rules: Rules, tried: Rules | None = None) -> set[str]:
    """Return the names of the chains that trials have left which nobody confirmed, and that do nothing.

    tried: the rules that are on trial now.
    """
    chains = {entry["chain"]["name"]: entry["chain"] for entry in objects if "chain" in entry}
    filled: dict[str, list[t.Any]] = {}
    for entry in objects:
        if "rule" in entry:
            filled.setdefault(entry["rule"]["chain"], []).append(entry["rule"].get("expr"))
    found = set()
    for hook in HOOKS:
        base, confirmed, proposed = (chains.get(prefix + hook) for prefix in ("", "confirmed_", "proposed_"))
        is_tried = tried is not None and hook in tried.chains
        if proposed and "hook" not in proposed and not is_tried and not (tried and filled.get("proposed_" + hook)):
            found.add("proposed_" + hook)
        if hook in rules.chains or is_tried or "confirmed_" + hook in filled or (confirmed and "hook" in confirmed):
            continue
        if base is None or (_leads_on(filled.get(hook, ()), hook) and base.get("policy") == "accept"):
            found |= {hook, "confirmed_" + hook}
    return found & set(chains)


def _leads_on(rules: t.Sequence[t.Any], hook: str) -> bool:
    """Say whether a base chain only leads to the confirmed rules of its hook, and on trial to the proposed ones."""
    if len(rules) != 2 or [len(rule or ()) for rule in rules] != [2, 1]:
        return False
    (match, proposed), (confirmed,) = rules
    targets = [rule.get("goto", {}).get("target") for rule in (proposed, confirmed)]
    return match.get("match", {}).get("right") == "@" + SET and targets == ["proposed_" + hook, "confirmed_" + hook]


def _led(table: str, seconds: int) -> str:
    """Return the line that has packets led to the proposed rules for that long."""
    elements = ", ".join("%s timeout %ds" % (protocol, seconds) for protocol in _PROTOCOLS)
    return "add element %s %s %s { %s }" % (FAMILY, table, SET, elements)


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {name: None if name == "counter" else _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _confirmed(table: str, rules: Rules) -> list[str]:
    lines = _frame(table, rules)
    for hook, rule_lines in rules.chains.items():
        comment = "bulwark %s" % rules.digest
        if rules.harmless:
            first, *others = rule_lines
            own = "%s %s %s" % (FAMILY, table, hook)
            lines += ["add rule %s %s" % (own, line) for line in ('%s comment "%s"' % (first, comment), *others)]
        else:
            lines += _filled(table, "confirmed_" + hook, comment, rule_lines)
    return lines


def _frame(table: str, rules: Rules) -> list[str]:
    """Return the lines for everything but the rules; what is there already stays as it is, with its elements."""
    own = "%s %s" % (FAMILY, table)
    lines = ["add table %s" % own]
    if not rules.harmless:
        lines.append("add set %s %s { type nf_proto; flags timeout; }" % (own, SET))
    lines += ["add set %s %s { %s }" % (own, name, kind) for name, kind in rules.sets.items()]
    for hook in rules.chains:
        base = "add chain %s %s { type filter hook %s priority %s; policy accept; }" % (own, hook, hook, rules.priority)
        if rules.harmless:
            lines += [base, "flush chain %s %s" % (own, hook)]
            continue
        lines += [
            "add chain %s confirmed_%s" % (own, hook),
            "add chain %s proposed_%s" % (own, hook),
            base,
            "flush chain %s %s" % (own, hook),
            "add rule %s %s meta nfproto @%s goto proposed_%s" % (own, hook, SET, hook),
            "add rule %s %s goto confirmed_%s" % (own, hook, hook),
        ]
    return lines


def _filled(table: str, chain: str, comment: str, rule_lines: t.Sequence[str]) -> list[str]:
    own = "%s %s %s" % (FAMILY, table, chain)
    head = ["flush chain %s" % own, 'add rule %s continue comment "%s"' % (own, comment)]
    return head + ["add rule %s %s" % (own, line) for line in rule_lines]


def _retired(table: str, rules: Rules, objects: Objects) -> list[str]:
    """Return the lines that remove what rules that are in the table by then no longer need, whoever has made it."""
    own = "%s %s" % (FAMILY, table)
    known = {prefix + hook for hook in rules.chains for prefix in ("", "confirmed_", "proposed_")}
    chains = [entry["chain"]["name"] for entry in objects if "chain" in entry]
    gone = [name for name in chains if name not in known]
    # Hooks first: a chain that others lead to can't be deleted.
    gone.sort(key=lambda name: name.startswith(("confirmed_", "proposed_")))
    lines = ["flush chain %s %s" % (own, name) for name in gone]
    lines += ["delete chain %s %s" % (own, name) for name in gone]
    for entry in objects:
        for kind, fields in entry.items():
            name = fields.get("name")
            if kind not in ("table", "chain", "rule") and (kind != "set" or name not in (SET, *rules.sets)):
                lines.append("delete %s %s %s" % (kind, own, name))
    return lines


def _text(lines: t.Sequence[str]) -> str:
    return "".join(line + "\n" for line in lines)
