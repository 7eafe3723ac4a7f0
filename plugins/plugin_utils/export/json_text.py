# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write compact JSON (RFC 8259) that is one line for every reader and that UTF-8 can carry.

Numbers stay whole, also those that JavaScript can't hold (beyond 2^53): OCSF's long has 64 bits. Text stays as it is,
with these exceptions: what many programs take for the end of a line is escaped, and what isn't valid in UTF-8 is shown
(see ``visible``), as strict receivers refuse it even when it is escaped.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.json_event import JsonEvent

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_LINE_ENDS = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}


def compact(value: t.Any) -> str:
    """Return a value as one line; raise TypeError, ValueError or RecursionError for what JSON has no form for."""
    return one_line(value.text if isinstance(value, JsonEvent) else _encode(value))


def one_line(text: str) -> str:
    """Return compact JSON as one line that UTF-8 can carry."""
    if text.isascii() and "\x7f" not in text:
        return text  # JSON has escaped all other control characters
    # The text in place of a surrogate begins with a backslash, which JSON escapes.
    return visible.without_surrogates(text.translate(_LINE_ENDS), escape="\\")
