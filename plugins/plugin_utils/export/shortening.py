# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shorten a text, marked, so that nobody takes what is left for the whole."""

from __future__ import annotations

import json

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import json_text

MARK = "…"


def cut(text: str, limit: int, separator: str | None = None) -> str:
    """Return a text of at most ``limit`` characters, at least 1; what is shortened ends in ``MARK``.

    separator: between the items of a list; then whole items stay, as half an id is another id.
    """
    if len(text) <= limit:
        return text
    if separator:
        end = text.rfind(separator, 0, limit - len(MARK) + 1)
        if end > 0:
            return text[: min(end + len(separator), limit - len(MARK))] + MARK
    return text[: limit - len(MARK)] + MARK


def cut_json_list(text: str, limit: int) -> str:
    """Return a list in compact JSON with so many of its first items as fit, then ``MARK`` as the last; still JSON.

    A list whose first item does not fit is cut as ``cut`` does, and is no JSON any more.
    """
    end = f'"{MARK}"]'
    shown = "["
    for item in json.loads(text):
        longer = shown + json_text.compact(item) + ","
        if len(longer) + len(end) > limit:
            break
        shown = longer
    return shown + end if shown != "[" else cut(text, limit)
