# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""Write an OCSF event in IBM's Log Event Extended Format 2.0 for QRadar (IBM, QRadar LEEF Format Guide).

LEEF has no escapes. The header names the delimiter of the attributes: the caret, IBM's own example, or else the first
of some punctuation marks that no value has. If an event has all of them, it is the tab (``x09``), which no value has:
tabs, line feeds and other control characters are shown as ``\t`` and ``\n`` (see ``visible``). The tab is the last
choice because rsyslog writes ``#011`` for it when it passes a message on with its default settings.

``devTime`` is milliseconds since the epoch, which QRadar knows by their 13 digits. A time with other than 13 (before
September 2001, after the year 2286) is written out, with ``devTimeFormat``.
"""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import mapping, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.fit import Rendered
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.primary import with_primary
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.shortening import MARK

# Rows of the content with these names are the header, in this order.
HEADER = ("vendor", "product", "version", "EventID")
# QRadar takes no longer one. The content says so, too, but cannot know how long a pipe becomes.
_LONGEST_ID = 255
# None of these is in a key, in the header, or has a meaning of its own in LEEF.
_DELIMITERS = "^~`#%!@;"
_TAB = "x09"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME_FORMAT = "MMM dd yyyy HH:mm:ss.SSS z"


def render(event: t.Mapping[str, t.Any]) -> Rendered:
    """Return an event as one line without its end; raise UnfitError for a class that LEEF has no mapping for."""
    fields, shortened = mapping.for_event("leef", event, clean=visible.without_controls).apply(with_primary(event))
    *names, event_id = (str(fields.pop(name, "")) for name in HEADER)
    shown_id, is_cut = _event_id(event_id)
    header = "|".join([*map(_header, names), shown_id])
    _spell_time(fields)
    attributes = [f"{key}={value}" for key, value in fields.items()]
    shown = _delimiter("".join(attributes))
    text = ("\t" if shown == _TAB else shown).join(attributes)
    return Rendered(f"LEEF:2.0|{header}|{shown}|{text}".encode(), shortened + is_cut)


def _header(value: str) -> str:
    r"""Return a value for the header, in which nothing can stand for a pipe: ``\x7c`` shows that one was there."""
    return value.replace("|", "\\x7c")


def _event_id(value: str) -> tuple[str, bool]:
    """Return the event's ID, at most 255 characters with its pipes shown, and whether only that made it too long."""
    shown = _header(value)
    if len(shown) <= _LONGEST_ID:
        return shown, False
    was_cut = len(value) == _LONGEST_ID and value.endswith(MARK)
    while len(shown) > _LONGEST_ID - len(MARK):
        value = value[:-1]
        shown = _header(value)
    return shown + MARK, not was_cut


def _delimiter(text: str) -> str:
    """Return what the header says of the delimiter of attributes that have this text."""
    return next((char for char in _DELIMITERS if char not in text), _TAB)


def _spell_time(fields: dict[str, t.Any]) -> None:
    """Write ``devTime`` as a date where QRadar would not take its number for a time."""
    time = fields.get("devTime")
    if time is None or len(str(time)) == 13:
        return
    date = _EPOCH + dt.timedelta(milliseconds=time)
    fields["devTime"] = (
        f"{_MONTHS[date.month - 1]} {date:%d} {date.year:04d} {date:%H:%M:%S}.{date.microsecond // 1000:03d} GMT"
    )
    fields["devTimeFormat"] = _TIME_FORMAT
