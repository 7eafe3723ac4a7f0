# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a host, as often as it takes: at most twice for what it does not keep, and once more when a connection ends."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.transport import archive, encoding
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import (
    Answers,
    Look,
    Options,
    Pins,
    Run,
)

_NO_ANSWER = "The host returned no result for this look"


def ask(run: Run, looks: t.Sequence[Look], options: Options, pins: Pins) -> Answers:
    """Return what a host answers. pins: what the store says that it keeps."""
    texts = {_digest(text): text for look in looks for text in look.content.values()}
    request = {
        "sources": archive.load().sources,
        "texts": texts,
        "looks": [_described(look) for look in looks],
        "seconds": options.seconds,
        "memory": options.memory,
    }
    result = run({"_request": encoding.packed(request)})
    lines = encoding.unpacked(result.get("lines"))
    answered = {line["look"]: line["result"] for line in lines if "look" in line}
    missing = {look.id: {"failed": True, "msg": _NO_ANSWER} for look in looks if look.id not in answered}
    return Answers({**answered, **missing}, {}, {}, [], [], None)


def _described(look: Look) -> dict[str, t.Any]:
    return {**dataclasses.asdict(look), "content": {name: _digest(text) for name, text in look.content.items()}}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
