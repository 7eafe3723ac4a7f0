# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on trial with iptables and ipset: as in ``trial``, the kernel itself goes back when nobody confirms them.

Each table of iptables that is used has a chain ``NAME`` that its hook jumps to first, and two more, ``NAME_CONFIRMED``
and ``NAME_PROPOSED``. ``NAME`` leads packets to the proposed rules while their source is in the set ``name_trial4``, or
``name_trial6``, and to the confirmed ones otherwise. Such a set is empty, or holds the two halves of all addresses (a
prefix of length 0 is one that ipset does not take), with a time after which they expire.

iptables changes one table of one version of IP at a time. What is proposed is written to all of them first, where no
packet gets to see it, and put on trial after that by one call of ipset, which adds the elements. It is confirmed by one
call, too: that deletes the elements, which fails when they are expired, and nothing more is done then; and adds them
again without a time. From then on the rules are in force whatever becomes of the process. What it does after that, to
write them to the confirmed chains and to empty the sets, makes room for the next trial.

Pure functions: they make lines for iptables-restore and texts for ipset, and read what iptables-save writes. The order
in which they are applied is in ``own_chains``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.iptables import Chains
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import InForce

# The tables that are used, and the chain of the kernel in each that ours is hooked to.
HOOKS = {"mangle": "PREROUTING", "filter": "INPUT"}
_HALVES = {4: ("0.0.0.0/1", "128.0.0.0/1"), 6: ("::/1", "8000::/1")}
_MARK = re.compile(r'-m comment --comment "bulwark ([0-9a-f]{16})(?: ([0-9a-f]{16}))?"\Z')

# What is in force after a trial: the confirmed chains, as nobody has confirmed it, or for good what was proposed.
OVER, RUNNING, KEPT, ODD = "over", "running", "kept", "odd"

# Version of IP, table.
Part = t.Tuple[int, str]
Found = t.Mapping[Part, Chains]
# Of the sets that lead to what is proposed, for each version of IP.
Elements = t.Mapping[int, t.Sequence[Element]]


@dataclasses.dataclass(frozen=True)
class ChainRules:
    """What our chains hold.

    chains: for each version of IP and table the lines of the chain, by the end of its name: "" is the chain itself,
    "_DENY" one that it leads to by ``-g {chain}_DENY``. sets: for each version of IP what "ipset create" takes after
    the name of each set. They are the same for the confirmed and the proposed rules.
    """

    chains: t.Mapping[Part, t.Mapping[str, t.Sequence[str]]]
    sets: t.Mapping[int, t.Mapping[str, str]]

    @property
    def digest(self) -> str:
        """Return what identifies these rules, and stands as a comment before them in the kernel."""
        chains = sorted((part, end, list(lines)) for part, ends in self.chains.items() for end, lines in ends.items())
        content = [chains, {str(version): dict(sets) for version, sets in self.sets.items()}]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8")).hexdigest()[:16]


class Names:
    """What chains and sets are called. name: as of a table of nftables, "bulwark_jit"."""

    def __init__(self, name: str) -> None:
        self.top = name.upper()
        self.confirmed = self.top + "_CONFIRMED"
        self.proposed = self.top + "_PROPOSED"
        self.jump = "-j " + self.top
        self.prefix = name + "_"

    def trial(self, version: int) -> str:
        return "%strial%d" % (self.prefix, version)

    def ours(self, chain: str) -> bool:
        return chain == self.top or chain.startswith(self.top + "_")


def create(names: Names, rules: ChainRules, versions: t.Sequence[int]) -> str:
    """Return the text for ipset that makes the sets; those that are there stay as they are."""
    lines = []
    for version in versions:
        family = "inet" if version == 4 else "inet6"
        lines.append("create %s hash:net family %s timeout 0" % (names.trial(version), family))
        lines += ["create %s %s" % (name, kind) for name, kind in rules.sets[version].items()]
    return _text(lines)


def write(names: Names, rules: ChainRules, part: Part, chain: str, mark: str, present: Chains) -> list[str]:
    """Return the lines that fill one of the two chains of a table, and see to what leads there.

    chain: ``names.confirmed`` or ``names.proposed``. present: the chains of the table as it is.
    """
    declared, lines = _filled(rules, part, chain, mark)
    other = names.proposed if chain == names.confirmed else names.confirmed
    if other not in present:
        declared.append(":%s - [0:0]" % other)
    return [*declared, *_top(names, part[0]), *lines, *hook(names, part[1], present)]


def establish(names: Names, rules: ChainRules, part: Part) -> list[str]:
    """Return the lines that have the rules in force as at boot, but for what leads to ours.

    Both chains are filled, so that it doesn't matter where a trial would lead that runs or was just confirmed.
    """
    declared, lines = _filled(rules, part, names.confirmed, rules.digest)
    more_declared, more_lines = _filled(rules, part, names.proposed, rules.digest)
    return [*declared, *more_declared, *_top(names, part[0]), *lines, *more_lines]


def _filled(rules: ChainRules, part: Part, chain: str, mark: str) -> tuple[list[str], list[str]]:
    """Return the lines that declare a chain and what it leads to, and those that fill them."""
    ends = rules.chains[part]
    lines = ['-A %s -m comment --comment "bulwark %s"' % (chain, mark)]
    lines += ["-A %s%s %s" % (chain, end, line.format(chain=chain)) for end in ends for line in ends[end]]
    return [":%s%s - [0:0]" % (chain, end) for end in ends], lines


def copy(names: Names, version: int, table: str, present: Chains) -> list[str]:
    """Return the lines that write to the confirmed chain of a table what its proposed one holds."""
    moved = {
        chain.replace(names.proposed, names.confirmed): [
            line.replace(names.proposed, names.confirmed) for line in found
        ]
        for chain, found in present.items()
        if chain.startswith(names.proposed)
    }
    lines = ["-A %s %s" % (chain, line) for chain, found in moved.items() for line in found]
    return [*(":%s - [0:0]" % chain for chain in moved), *_top(names, version), *lines, *hook(names, table, present)]


def _top(names: Names, version: int) -> list[str]:
    lead = "-A %s -m set --match-set %s src -g %s" % (names.top, names.trial(version), names.proposed)
    return [":%s - [0:0]" % names.top, lead, "-A %s -g %s" % (names.top, names.confirmed)]


def hook(names: Names, table: str, present: Chains) -> list[str]:
    """Return the lines after which ours comes first in the chain of the kernel, once; none where it does."""
    found = present.get(HOOKS[table], [])
    times = found.count(names.jump)
    if times == 1 and found[0] == names.jump:
        return []
    return ["-D %s %s" % (HOOKS[table], names.jump)] * times + ["-I %s 1 %s" % (HOOKS[table], names.jump)]


def remove(names: Names, table: str, present: Chains) -> list[str]:
    """Return the lines that take what is ours out of a table, none where there is nothing."""
    ours = [chain for chain in present if names.ours(chain)]
    lines = ["-D %s %s" % (HOOKS[table], names.jump)] * present.get(HOOKS[table], []).count(names.jump)
    return lines + ["-F %s" % chain for chain in ours] + ["-X %s" % chain for chain in ours]


def start(names: Names, versions: t.Sequence[int], seconds: int) -> str:
    """Return the text for ipset that puts what is proposed on trial for that long."""
    return _text("add %s %s timeout %d" % (name, half, seconds) for name, half in _elements(names, versions))


def confirm(names: Names, versions: t.Sequence[int]) -> str:
    """Return the text for ipset that has what is on trial in force for good, and fails when the time is over.

    Only for ``apply_strictly``: where what is gone is none of its concern, it would confirm a trial that is over.
    """
    pairs = _elements(names, versions)
    return _text(["del %s %s" % pair for pair in pairs] + ["add %s %s timeout 0" % pair for pair in pairs])


def end(names: Names, versions: t.Sequence[int]) -> str:
    """Return the text for ipset after which the confirmed chains are in force."""
    return _text("flush %s" % names.trial(version) for version in versions)


def _elements(names: Names, versions: t.Sequence[int]) -> list[tuple[str, str]]:
    return [(names.trial(version), half) for version in versions for half in _HALVES[version]]


def state(version: int, elements: t.Sequence[Element]) -> str:
    """Return where the elements of a set lead: KEPT, RUNNING, OVER, or ODD where somebody else has changed them."""
    if not elements:
        return OVER
    if sorted(element.key[0] for element in elements) != sorted(_HALVES[version]):
        return ODD
    lasting = [element.left is None for element in elements]
    return KEPT if all(lasting) else ODD if any(lasting) else RUNNING


def read(names: Names, found: Found, elements: Elements) -> InForce:
    """Return what is in force; the digest is None, too, where tables disagree, or packets don't come to ours first."""
    states = {version: state(version, some) for version, some in elements.items()}
    confirmed: set[str | None] = set()
    proposed: set[tuple[str | None, str | None]] = set()
    for (version, table), chains in found.items():
        leads = chains.get(HOOKS[table], [])[:1] == [names.jump] and states[version] != ODD
        confirmed.add(_mark(chains, _lead(names, states[version]))[0] if leads else None)
        proposed.add(_mark(chains, names.proposed))
    digest = confirmed.pop() if len(confirmed) == 1 else None
    if set(states.values()) != {RUNNING}:
        return InForce(digest)
    left = min(element.left or 0 for some in elements.values() for element in some)
    return InForce(digest, *(proposed.pop() if len(proposed) == 1 else (None, None)), left)


def _lead(names: Names, of: str) -> str:
    """Return the chain that is in force when no trial runs."""
    return names.proposed if of == KEPT else names.confirmed


def _mark(chains: Chains, chain: str) -> tuple[str | None, str | None]:
    match = _MARK.match((chains.get(chain) or [""])[0])
    return (match.group(1), match.group(2)) if match else (None, None)


def comparable(names: Names, found: Found, elements: Elements) -> str:
    """Return what is in force as text in which is only what it does, whichever of the two chains it is in."""
    content = []
    for version, table in sorted(found):
        chains = found[version, table]
        chain = _lead(names, state(version, elements.get(version, ())))
        ends = {
            name[len(chain) :]: [line.replace(chain, "") for line in lines if not _MARK.match(line)]
            for name, lines in chains.items()
            if name.startswith(chain)
        }
        jumps = [place for place, line in enumerate(chains.get(HOOKS[table], ())) if line == names.jump]
        content.append([version, table, jumps, chains.get(names.top), ends])
    return json.dumps(content, indent=1, sort_keys=True)


def _text(lines: t.Iterable[str]) -> str:
    return "".join("%s\n" % line for line in lines)
