# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a rule may match a record of user space, found in its text as it is: without the views that rules look at.

Values of fields are parts of the text, but for those that are encoded, and those that are made of others. So a field is
missing where its name is, and what a rule needs to be in it where that isn't in the text.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import record_views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.record_rules import RecordRules
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import decode
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import ALL_FIELDS
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.sieve import Clause

# Which of a record's fields is one of ``audit_record``'s; of others of that nothing is known here.
_NAMES: t.Mapping[str, tuple[str, ...]] = {
    "Op": ("op", "operation"),
    "Account": ("acct", "ID"),
    "Image": ("exe",),
    "Comm": ("comm",),
    "CommandLine": ("cmd", "proctitle", "data"),
    "CurrentDirectory": ("cwd",),
    "Address": ("addr",),
    "Hostname": ("hostname",),
    "Terminal": ("terminal", "tty"),
    "Key": ("key",),
    "Unit": ("unit",),
}
_MADE = frozenset(("Result", "User", "AuditUser", "OldAuditUser", "LogonId", "ProcessId", "pid", "ses"))
# Of what SELinux says in words, and of old records of a login: names that are not in the text.
_UNNAMED = frozenset(("seresult", "seperms", "old_auid", "new_auid", "old_ses", "new_ses"))
_MOST_KINDS = 1_000


class _Ask(t.NamedTuple):
    """What one of a clause's fields has to be: one of names is in the text, and one of texts; () for what is unknown.

    in_message: whether it is the message that has one of texts.
    """

    names: tuple[bytes, ...]
    texts: tuple[bytes, ...]
    in_message: bool = False

    def may_be(self, raw: bytes, lower: bytes) -> bool:
        if self.names and not any(name in raw for name in self.names):
            return False
        text = record_views.said(raw).lower() if self.in_message else lower
        return not self.texts or any(one in text for one in self.texts)


# Of each rule all clauses, of which each has one of its asks.
_Rule = t.Sequence[t.Sequence[_Ask]]


class MessageFacts:
    """What rules need of records, by the kind of record."""

    def __init__(self, compiled: t.Mapping[str, t.Any], record_rules: RecordRules) -> None:
        self._record_rules = record_rules
        self._rules = [
            (number, entry["source"], entry.get("needs", ()))
            for number, entry in enumerate(compiled["rules"])
            if entry["source"] in ("audit_record", "auditd")
        ]
        self._kinds: dict[bytes, list[_Rule] | None] = {}

    def may_match(self, kind: bytes, raw: bytes) -> bool:
        """Return whether a rule may match a record. raw: its line."""
        rules = self._kinds[kind] if kind in self._kinds else self._of(kind)
        # A record may have a field with the name of its type.
        if rules is None or not raw.isascii() or raw.count(b"type=") > 1:
            return True
        lower = raw.lower()
        for rule in rules:
            for clause in rule:
                for ask in clause:
                    if ask.may_be(raw, lower):
                        break
                else:
                    break
            else:
                return True
        return False

    def _of(self, kind: bytes) -> list[_Rule] | None:
        """Return what rules need of records of a kind; None where one matches all of them."""
        if len(self._kinds) >= _MOST_KINDS:
            return None
        name = kind.decode("ascii", "replace").lower()
        of_records = self._record_rules.relevant(kind) | self._record_rules.constant(kind)
        rules: list[_Rule] = []
        for number, source, needs in self._rules:
            if source == "auditd" and number not in of_records:
                continue
            asks = [_asks(clause, "type" if source == "auditd" else "Type", name) for clause in needs]
            clauses = [clause for clause in asks if clause is not None]
            if not clauses:
                self._kinds[kind] = None
                return None
            if [] not in clauses:
                rules.append(clauses)
        self._kinds[kind] = rules
        return rules


def _asks(clause: Clause, type_field: str, name: str) -> list[_Ask] | None:
    """Return what one of must be so; None where one is so in all records of the kind, or it isn't known."""
    found = []
    for kind, field, texts in clause:
        if kind not in ("gram", "part", "equals", "base") or field == ALL_FIELDS:
            return None
        literals = [text if isinstance(text, str) else str(text[1]) for text in texts]
        if field == type_field:
            if any(text in name if kind in ("gram", "part") else text == name for text in literals):
                return None
            continue
        names = _NAMES.get(field, (field,)) if type_field == "Type" else (field,)
        if field in _MADE or not _UNNAMED.isdisjoint(names):
            return None
        ask = _Ask(tuple(one.encode("utf-8") + b"=" for one in names), ())
        if field == "Message" and type_field == "Type":
            ask = _Ask((), tuple(text.encode("utf-8") for text in literals), True)
        elif not any(decode.is_encoded(one) for one in names):
            ask = ask._replace(texts=tuple(text.encode("utf-8") for text in literals))
        found.append(ask)
    return found
