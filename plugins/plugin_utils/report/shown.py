# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How values are written for people: host text that cannot deceive, times, counts and names."""

from __future__ import annotations

import datetime as dt
import unicodedata
import urllib.parse

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities

# Enough for a path, a command line or a reason; the store has the whole.
TEXT_LIMIT = 2000


def visible(value: object, limit: int = TEXT_LIMIT, multiline: bool = False) -> str:
    r"""Return a host's value as text in which nothing hides: control and bidi characters become backslash escapes.

    Unlike ``printable`` it leaves backslashes alone, so what a module has escaped stays as it is. Text over ``limit``
    characters is cut and says by how much. multiline: keep line feeds and tabs.
    """
    text = value if isinstance(value, str) else str(value)
    cut = len(text) - limit
    if cut > 0:
        text = text[:limit]
    if not text.isprintable():
        kept = "\n\t" if multiline else ""
        text = "".join(char if char.isprintable() or char in kept else _escaped(char) for char in text)
    return f"{text} … ({cut:,} more characters)" if cut > 0 else text


def _escaped(char: str) -> str:
    if unicodedata.category(char) == "Cf":  # every format character, also the rare ones that modules let pass
        return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
    return printable(char)


def key(name: str) -> str:
    """Return a host, capability, alert, scope or uid as the page knows it: what is shown is what is compared."""
    return visible(name, 300)


def quoted(name: str) -> str:
    """Return a name for the address's fragment."""
    return urllib.parse.quote(key(name), safe="")


def format_time(seconds: float) -> str:
    """Return a time as ``2026-01-31 12:30`` in UTC; what is outside the calendar is ``unknown``."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return "unknown"


def format_exact_time(nanoseconds: int) -> str:
    """Return a time as ``2026-01-31 12:30:05.000000001`` in UTC, by which two changes of a file can be told apart."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    try:
        return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M:%S}.{rest:09d}"
    except (OverflowError, ValueError, OSError):
        return "unknown"


def machine_time(seconds: float) -> str:
    """Return a time for ``<time datetime>``, or nothing for what is outside the calendar."""
    text = format_time(seconds)
    return "" if text == "unknown" else text.replace(" ", "T") + "Z"


def capability_name(capability: str) -> str:
    """Return a capability as people call it; one that only the store knows is shown by its id."""
    known = capabilities.load().get(capability)
    return known.title if known else visible(capability.replace("_", " ").capitalize(), 80)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return ``1 host``, ``2,000 hosts``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(names: list[str], limit: int = 5) -> str:
    """Return the first names and how many more there are: ``web1, web2 and 7 more``."""
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
