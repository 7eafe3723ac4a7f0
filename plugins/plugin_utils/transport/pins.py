# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Know what a host keeps: for each of its accounts and interpreters, as the store has it.

A pin is named ``code/ARCHIVE/ACCOUNT/INTERPRETER`` or ``text/ACCOUNT/DIGEST``, where an account is the id of a user and
the digest of its state directory; ``answers`` names the last request whose answers
the controller has.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import Pins

_DIGEST = re.compile(r"[0-9a-f]{64}")
# As the module names an account and its interpreter.
_PIN = re.compile(r"[0-9]{1,10}-[0-9a-f]{8}/[A-Za-z0-9._+-]{1,100}")
_REQUEST = re.compile(r"[0-9a-f]{32}")
_ANSWERS = "answers"
# The host keeps as many that were not used lately.
_MOST_TEXTS = 16


def code(pins: Pins, archive: str) -> dict[str, str]:
    """Return the digests of compiled code by account and interpreter. archive: the digest of its source."""
    start = f"code/{archive}/"
    return {name.removeprefix(start): digest for name, digest in pins.items() if name.startswith(start)}


def has_text(pins: Pins, digest: str) -> bool:
    """Say whether some account of the host keeps a text."""
    return any(name.startswith("text/") and name.endswith(f"/{digest}") for name in pins)


def has_any(pins: Pins, account: str) -> bool:
    """Say whether an account of the host keeps anything."""
    return any(f"/{account}/" in name for name in pins)


def acknowledged(pins: Pins) -> list[str]:
    """Return the requests whose answers the controller has."""
    return [request for name, request in pins.items() if name == _ANSWERS and _REQUEST.fullmatch(request)]


def renewed(pins: Pins, archive: str, pin: t.Any, kept: t.Mapping[str, t.Any], request: str) -> dict[str, str]:
    """Return the pins after a host said what it keeps, of which nothing is believed that has another form."""
    current = {name: digest for name, digest in pins.items() if name.startswith((f"code/{archive}/", "text/"))}
    digest, texts = kept.get("code"), kept.get("texts")
    if isinstance(pin, str) and _PIN.fullmatch(pin) and isinstance(digest, str) and _DIGEST.fullmatch(digest):
        current[f"code/{archive}/{pin}"] = digest
        start = f"text/{pin.partition('/')[0]}/"
        for text in texts if isinstance(texts, list) else []:
            if isinstance(text, str) and _DIGEST.fullmatch(text):
                # The last ones are those that were used last.
                current.pop(start + text, None)
                current[start + text] = text
        for name in [name for name in current if name.startswith(start)][:-_MOST_TEXTS]:
            del current[name]
    return {**current, _ANSWERS: request}
