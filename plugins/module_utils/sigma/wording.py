# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a finding of a rule is about, and its sentence."""

from __future__ import annotations

import functools
import hashlib
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._secrets import masked
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import texts_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import USER_ALERT, Rule, View

# Where a rule names no fields: who and with what; nothing that is another one each time, as a process id is.
_DEFAULT_SUBJECTS: dict[str, tuple[str, ...]] = {
    "process_creation": ("User", "Image"),
    "process_failed": ("User", "Image"),
    "file_event": ("User", "TargetFilename"),
    "network_connection": ("Image", "DestinationIp", "DestinationPort"),
    "network_listen": ("Image", "SourcePort"),
    "syscall": ("User", "Image", "Syscall"),
    "auditd": ("exe", "key"),
    "audit_record": ("Type", "Account", "Image"),
    "sign_in": ("User", "SourceIp"),
    "log": ("Program",),
}
_DOER = ("User", "Image")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_LONGEST = 200
# Of what is longer; the rest is from its end.
_BEGINNING = 140
_LOOKED_AT = 4_096


def subject_of(rule: Rule, view: View) -> str:
    """Return the subject of a match: the values of the rule's subject fields, else of those that fit its source.

    A user's rule has its title before them, since all of these raise one alert.
    """
    fields = rule.subject or _DEFAULT_SUBJECTS.get(rule.source, ())
    # An event may lack all that the rule names, as a change of a file by its descriptor has no name.
    values = _values(view, fields) or _values(view, _DOER)
    parts = ([rule.title] if rule.alert == USER_ALERT else []) + [" ".join(values)]
    return ": ".join(part for part in parts if part) or rule.title


def _values(view: View, fields: t.Sequence[str]) -> list[str]:
    return [_shown(view, field) for field in fields if texts_of(view.get(field))]


def message_of(rule: Rule, view: View) -> str | None:
    """Return the rule's sentence with the values of the fields that it names in braces; its title where it has none."""
    if rule.message is None:
        return rule.title if rule.alert == USER_ALERT else None
    return _PLACEHOLDER.sub(lambda match: _shown(view, match.group(1)) or "?", rule.message)


def _shown(view: View, field: str) -> str:
    return _clean(" ".join(texts_of(view.get(field)))[:_LOOKED_AT])


# Most are the names of few programs and accounts.
@functools.lru_cache(maxsize=512)
def _clean(value: str) -> str:
    text = printable(masked(value))
    if len(text) <= _LONGEST:
        return text
    # Of long commands that begin the same, each is something else: who accepts one has not accepted the others.
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return "%s... %s (%s)" % (text[:_BEGINNING], text[_BEGINNING - _LONGEST :], digest)
