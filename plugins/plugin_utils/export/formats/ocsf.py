# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write an OCSF event as it is: one line of compact JSON in UTF-8 (RFC 8259).

Numbers stay whole, also those that JavaScript can't hold (beyond 2^53): OCSF's long has 64 bits. What isn't valid in
UTF-8 is shown (see ``visible``), and the separators that JavaScript takes for the end of a line are escaped.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.fit import Rendered
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def render(event: t.Mapping[str, t.Any]) -> Rendered:
    """Return an event as one line of JSON without its end; raise UnfitError for what JSON has no form for."""
    return Rendered(line(event).encode())


def line(value: t.Any) -> str:
    """Return any value as one line of compact JSON that UTF-8 can carry; raise UnfitError."""
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnfitError(f"it cannot be written as JSON: {error}") from None
    return text if text.isprintable() else _shown(text)


def _shown(text: str) -> str:
    for separator in ("\x7f", "\x85", "\u2028", "\u2029"):
        text = text.replace(separator, f"\\u{ord(separator):04x}")
    # What stands for a surrogate begins with a backslash, which JSON escapes.
    return visible.without_surrogates(text, escape="\\")
