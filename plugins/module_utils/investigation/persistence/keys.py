# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read keys that let somebody in by SSH (sshd(8), AUTHORIZED_KEYS FILE FORMAT): their fingerprints, never the keys."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence.model import (
    Source,
    Startup,
    of_commands,
)

MOST_KEYS = 200
_KEY = re.compile(
    rb"(?P<options>(?:[^\s\"]|\"(?:[^\"\\]|\\.)*\")*\s+)??"
    rb"(?P<type>(?:ssh|ecdsa|sk-ssh|sk-ecdsa|rsa|dsa)[\w@.-]*)\s+(?P<key>[A-Za-z0-9+/=]{16,})(?:\s+(?P<comment>.*))?\Z"
)
_COMMAND = re.compile(rb"command=\"((?:[^\"\\]|\\.)*)\"", re.IGNORECASE)
_OPTION_NAMES = re.compile(rb"([\w@.-]+)(?:=\"(?:[^\"\\]|\\.)*\")?(?:,|\Z)")


class Key(t.NamedTuple):
    """fingerprint: as sshd logs it (``SHA256:`` and base64). options: names only. command: what runs in its place."""

    fingerprint: str
    type: str
    comment: str
    options: tuple[str, ...] = ()
    command: bytes = b""


def parse(content: bytes) -> list[Key]:
    """Return the keys of a file, at most 200; lines that are none are left out."""
    keys: list[Key] = []
    for line in content.splitlines():
        match = _KEY.match(line.strip()) if len(keys) < MOST_KEYS else None
        print_of = fingerprint(match.group("key")) if match else None
        if match is None or print_of is None:
            continue
        options = (match.group("options") or b"").strip()
        command = _COMMAND.search(options)
        keys.append(
            Key(
                print_of,
                match.group("type").decode("ascii", "replace"),
                printable((match.group("comment") or b"").strip()[:200]),
                tuple(name.decode("ascii", "replace") for name in _OPTION_NAMES.findall(options)),
                command.group(1) if command else b"",
            )
        )
    return keys


def fingerprint(key: bytes) -> str | None:
    """Return the fingerprint of a key in base64 as ssh-keygen(1) shows it; None if it is no base64."""
    try:
        raw = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return None
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode("ascii").rstrip("=")


def authorized(source: Source) -> Startup:
    """Read authorized_keys: who may sign in as the account whose file it is, and what runs then."""
    keys = parse(source.content)
    shown = [
        {"fingerprint": key.fingerprint, "type": key.type, "comment": key.comment, "options": list(key.options)}
        for key in keys
    ]
    return of_commands((key.command for key in keys), [source.account], keys=shown)
