# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""Show the characters that a format cannot carry as the whole collection shows them: ``\x00``, ``\n``, ``\u2028``.

Events from the store have been through this already. Whatever else comes stays one line of valid UTF-8. Other text
stays as it is, also the marks that turn the direction of writing: a receiver can carry them.
"""

from __future__ import annotations

import re

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable

# Halves of surrogate pairs, which UTF-8 cannot encode: they come from names that are no UTF-8 on the host.
_SURROGATES = re.compile("[\ud800-\udfff]")
# Control characters, and what many programs take for the end of a line.
_CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_BUT_LINES_AND_TABS = re.compile(f"[{_CONTROLS}]")
_ALL = re.compile(f"[{_CONTROLS}\t\n\r]")


def without_surrogates(text: str, escape: str = "") -> str:
    """Return a text that UTF-8 can carry. escape: goes before the backslash of what stands for a surrogate."""
    return _SURROGATES.sub(lambda match: escape + printable(match[0]), text)


def with_lines_and_tabs(text: str) -> str:
    """Return a text whose only control characters are line feed, carriage return and tab."""
    return _BUT_LINES_AND_TABS.sub(_shown, text)


def without_controls(text: str) -> str:
    """Return a text without any control character."""
    return _ALL.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    return printable(match[0])
