# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a policy becomes, and how they differ from those of the host. No I/O apart from reading them."""

from __future__ import annotations

import hashlib
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import (
    config,
    rules,
    staging,
    trust,
    upgrade_rules,
)
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.trust import Trusted

CONFIGURATION, COMPILED = "fapolicyd.conf", "compiled.rules"
# First, so that the rules of others decide only what ours leave open.
RULES = "rules.d/00-bulwark.rules"
TRUST = "trust.d/bulwark.trust"
# Files that are ours alone; those of others are changed (CONFIGURATION) or made of others' and ours (COMPILED).
OWN = (RULES, TRUST)
# The trust of an upgrade, which ends with the next deployment.
UPGRADE = upgrade_rules.PATH
_RULES_DIRECTORY = "rules.d"
_HEADER = "# Managed by bulwark.servers: changes are lost. See the playbook bulwark.servers.protect.\n"
_MOST_LINES = 200
# As the daemon names a line of compiled.rules (rules.c).
_LINE = re.compile(r"(?:\bline[ :]|\brules\.conf:)(\d{1,9})")


def files(policy: Policy, directory: str, also: t.Sequence[Trusted] = ()) -> dict[str, bytes]:
    """Return the contents of all files that a policy makes or changes, by path. Raises StagingError and ValueError.

    also: files of our own that are trusted besides.
    """
    before = _text(staging.read(directory, CONFIGURATION) or b"")
    own = (_HEADER + "".join("%s\n" % line for line in policy.rules)).encode("utf-8")
    return {
        CONFIGURATION: _data(config.changed(before, policy.settings)),
        RULES: own,
        TRUST: trust.render((*policy.trusted, *also)),
        COMPILED: compiled(directory, own),
    }


def compiled(directory: str, own: bytes | None) -> bytes:
    """Return compiled.rules of the rules of others and ours; own: None without ours. Raises StagingError."""
    others = rule_texts(directory)
    if own is None:
        return rules.compiled([data for _name, data in others])
    before, after = _around(others)
    return rules.compiled([*(data for _name, data in before), own, *(data for _name, data in after)])


def conflicts(directory: str) -> list[str]:
    """Return a sentence on each rule of others that ours can't work with. Raises StagingError."""
    before, after = ([(name, _text(data)) for name, data in others] for others in _around(rule_texts(directory)))
    return rules.conflicts(before, after)


def preceding(directory: str) -> list[str]:
    """Return a sentence on each rule of others that decides before ours. Raises StagingError."""
    before, _after = _around(rule_texts(directory))
    return rules.conflicts([(name, _text(data)) for name, data in before], ())


def located(message: str, directory: str, own: bytes) -> str:
    """Return a message of the daemon with file and line of a rule of others for its line of compiled.rules.

    own: our rules. Raises StagingError.
    """
    before, after = _around(rule_texts(directory))
    texts = [*before, (RULES, own), *after]

    def named(match: t.Match[str]) -> str:
        source = rules.source([data for _name, data in texts], int(match.group(1)))
        if source is None or texts[source[0]][0] == RULES:
            return match.group(0)
        return "line %d of %s" % (source[1], printable(os.path.join(directory, _RULES_DIRECTORY, texts[source[0]][0])))

    return _LINE.sub(named, message)


def rule_texts(directory: str) -> list[tuple[str, bytes]]:
    """Return name and content of each rule file of others, in the order of fagenrules. Raises StagingError."""
    where = os.path.join(directory, _RULES_DIRECTORY)
    names = rules.files(where) if os.path.isdir(where) else []
    own = (os.path.basename(RULES), os.path.basename(upgrade_rules.PATH))
    return [(name, staging.read(where, name) or b"") for name in names if name not in own]


def _around(others: t.Sequence[tuple[str, bytes]]) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
    """Return the rule files that sort before ours, and those after it."""
    own = os.path.basename(RULES)
    order = rules.in_order([*(name for name, _data in others), own])
    position = order.index(own)
    by_name = dict(others)
    before, after = order[:position], order[position + 1 :]
    return [(name, by_name[name]) for name in before], [(name, by_name[name]) for name in after]


def digests(contents: t.Mapping[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(data).hexdigest() for path, data in contents.items()}


def present(directory: str, paths: t.Iterable[str]) -> dict[str, bytes]:
    """Return the contents of those files that are there, by path. Raises StagingError."""
    contents = {path: staging.read(directory, path) for path in paths}
    return {path: data for path, data in contents.items() if data is not None}


def difference(before: t.Mapping[str, bytes], after: t.Mapping[str, bytes]) -> dict[str, str]:
    """Return what the module's diff shows: settings and rules as they are, and the lines of trust that differ."""
    old, new = (_trust_lines(contents.get(TRUST, b"")) for contents in (before, after))
    return {
        "before": _shown(before, [line for line in old if line not in new]),
        "after": _shown(after, [line for line in new if line not in old]),
        "before_header": "fapolicyd",
        "after_header": "fapolicyd",
    }


def _trust_lines(data: bytes) -> dict[str, None]:
    return dict.fromkeys(line for line in _text(data).splitlines() if not line.startswith("#"))


def _shown(contents: t.Mapping[str, bytes], trusted: t.Sequence[str]) -> str:
    lines = []
    for path in (CONFIGURATION, RULES):
        own = _text(contents.get(path, b"")).splitlines()
        lines += ["%s: %s" % (path, line) for line in own if line.strip() and not line.startswith("#")]
    lines += ["%s: %s" % (TRUST, line) for line in trusted[:_MOST_LINES]]
    if len(trusted) > _MOST_LINES:
        lines.append("%s: and %d more" % (TRUST, len(trusted) - _MOST_LINES))
    return "".join("%s\n" % printable(line) for line in lines)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _data(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
