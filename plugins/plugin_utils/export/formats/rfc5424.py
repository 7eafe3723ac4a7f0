# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write syslog messages as RFC 5424 has them: header, structured data and message.

A message never has a control character other than a tab, so that it stays one line for every receiver and framing: a
receiver may cut at a newline (RFC 6587, 3.4.2), and rsyslog rewrites the others.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

# RFC 5424, 6.2.1, table 1.
FACILITIES = (
    ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp")
    + ("audit", "alert", "clock")
    + tuple(f"local{number}" for number in range(8))
)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NIL = "-"

# OCSF's severity_id (unknown, informational, low, medium, high, critical, fatal) as RFC 5424, 6.2.1, table 2 has it:
# informational, informational, notice, warning, error, critical, alert.
_SEVERITIES = (6, 6, 5, 4, 3, 2, 1)
# The kinds of messages a receiver can filter by: MSGID "should identify the type of message" (6.2.7).
_MESSAGE_IDS = {2004: "detection", 2003: "compliance", 2002: "vulnerability", 6007: "scan"}
_HOSTNAME_LIMIT = 255
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# The year 2100, from which on rsyslog's parser refuses a time; in milliseconds.
_END_OF_TIMES = 4_102_444_800_000
_CONTROLS = bytes((*range(0x09), *range(0x0A, 0x20), 0x7F))
_NO_HEADER_CHARACTER = re.compile(r"[^!-~]")
# syslog-ng refuses a message whose HOSTNAME has others, also printable ones that RFC 5424 allows, and a colon in what
# is no address.
_NO_HOSTNAME_CHARACTER = re.compile(r"[^0-9A-Za-z._-]")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}")
# SD-NAME: printable ASCII without =, blank, ] and " (6.3.3).
_SD_NAME = re.compile(r"[!#-<>-\\^-~]{1,32}")
_PARAM_SPECIAL = re.compile(r'["\\\]]')


@dataclasses.dataclass(frozen=True)
class Header:
    """The settings of a message's header that no event has.

    facility: of FACILITIES. app_name: 1 to 48 printable ASCII characters. hostname: in place of that of the event.
    """

    facility: str = "local0"
    app_name: str = "bulwark"
    hostname: str | None = None


def message(
    event: t.Mapping[str, t.Any], header: Header, body: bytes, structured_data: str = NIL, *, bom: bool = False
) -> bytes:
    """Return a syslog message without its framing.

    body: the MSG part in UTF-8. bom: begin MSG with a byte order mark if it has a character beyond ASCII (6.4,
    MSG-UTF8); without it, MSG is MSG-ANY. Raises UnfitError for a control character other than a tab, and for half a
    surrogate pair in the structured data.
    """
    mark = BYTE_ORDER_MARK if bom and not body.isascii() else b""
    try:
        written = f"{_header(event, header)} {structured_data} ".encode() + mark + body
    except UnicodeEncodeError:
        raise UnfitError("it has half a surrogate pair, which UTF-8 cannot have") from None
    # Much faster than a pattern, which looks at most messages to their end.
    if len(written.translate(None, _CONTROLS)) < len(written):
        raise UnfitError("it has a control character, which a syslog message cannot have")
    return written


def structured_element(identifier: str, parameters: t.Iterable[tuple[str, str]]) -> str:
    """Return an SD-ELEMENT (6.3.1). identifier: an SD-ID. parameters: names and values without control characters."""
    written = (f' {name}="{_PARAM_SPECIAL.sub(_escaped_special, value)}"' for name, value in parameters)
    return f"[{identifier}{''.join(written)}]"


def is_sd_name(name: str) -> bool:
    """Return whether a name may be an SD-ID or PARAM-NAME (6.3.2, 6.3.3)."""
    return _SD_NAME.fullmatch(name) is not None


def is_header_text(value: str, limit: int) -> bool:
    """Return whether a text may be a field of the header: printable ASCII without blanks."""
    return 0 < len(value) <= limit and not _NO_HEADER_CHARACTER.search(value)


@functools.lru_cache(maxsize=1_024)
def hostname(value: str) -> str:
    """Return a name as HOSTNAME (6.2.4) that every receiver takes, NIL for an empty one."""
    if _IPV6.fullmatch(value):
        return value
    return _NO_HOSTNAME_CHARACTER.sub("_", value)[:_HOSTNAME_LIMIT] or NIL


def _escaped_special(match: re.Match[str]) -> str:
    return "\\" + match[0]


def _header(event: t.Mapping[str, t.Any], header: Header) -> str:
    severity = event.get("severity_id")
    level = _SEVERITIES[severity] if isinstance(severity, int) and 0 <= severity < len(_SEVERITIES) else 6
    priority = FACILITIES.index(header.facility) * 8 + level
    host = header.hostname or hostname(str(event.get("device", {}).get("hostname", "")))
    message_id = _MESSAGE_IDS.get(event.get("class_uid", 0), "event")
    return f"<{priority}>1 {_timestamp(event.get('time'))} {host} {header.app_name} {NIL} {message_id}"


def _timestamp(milliseconds: t.Any) -> str:
    """Return a TIMESTAMP (6.2.3) in UTC, or NIL for a time that rsyslog takes for no time, and the header for none."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int) or not 0 <= milliseconds < _END_OF_TIMES:
        return NIL
    at = _EPOCH + dt.timedelta(milliseconds=milliseconds)
    return at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
