# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content that the controller has compiled: what there is to be seen, and how grave it is."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Sign

# From the least to the gravest, each with the alert that it raises.
CLASSES: t.Mapping[str, str] = {
    "behavior": "fileless_attack_behavior",
    "technique": "fileless_attack_technique",
    "toolkit": "fileless_attack_toolkit",
}
_RANKS = {name: rank for rank, name in enumerate(CLASSES)}


class Subtype(t.NamedTuple):
    """kind: one of ``CLASSES``. attack: ids of techniques."""

    id: str
    kind: str
    severity: str
    title: str
    attack: tuple[str, ...]


class Content:
    """subtypes: by id. engines, signatures: as their own modules read them."""

    def __init__(self, packed: str) -> None:
        """packed: what plugin_utils/memory_scan/content.py makes; UsageError where it can't be that.

        It is packed so that signatures aren't found in the arguments that the module itself was given.
        """
        try:
            payload = _payload.unpack(packed)
            self.subtypes = {name: _subtype(name, given) for name, given in payload["subtypes"].items()}
            self.engines: t.Any = payload["engines"]
            self.signatures: t.Any = payload["signatures"]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError("_content: it is none that this collection compiles (%r)" % (error,)) from error

    def kind(self, sign: Sign) -> str:
        given = sign.data.get("class")
        return given if given in _RANKS else self.subtypes[sign.subtype].kind

    def severity(self, sign: Sign) -> str:
        return sign.severity or self.subtypes[sign.subtype].severity

    def gravest(self, signs: t.Sequence[Sign]) -> str:
        """Return the gravest class among signs, of which there is at least one."""
        return max((self.kind(sign) for sign in signs), key=lambda kind: _RANKS[kind])

    def worst(self, signs: t.Sequence[Sign]) -> str:
        """Return the highest severity among signs, of which there is at least one."""
        return max((self.severity(sign) for sign in signs), key=SEVERITIES.index)


def _subtype(name: str, given: t.Mapping[str, t.Any]) -> Subtype:
    if given["class"] not in CLASSES or given["severity"] not in SEVERITIES:
        raise ValueError(name)
    return Subtype(name, given["class"], given["severity"], given["title"], tuple(given["attack"]))
