# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read lines of access logs of web servers: the common and the combined form, and JSON."""

from __future__ import annotations

import calendar
import ipaddress
import json
import re
import typing as t
import urllib.parse

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import stamps

_MONTHS = {name.encode("ascii"): number for number, name in enumerate(calendar.month_abbr) if name}
_TIME = re.compile(rb"\[(\d{1,2})/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?: ([+-])(\d\d)(\d\d))?\]")
# Apache may write the name of the host in front of the client.
_LINE = re.compile(
    rb"(?:\S{1,256} )??([0-9A-Fa-f.:]{2,45}) \S{1,256} .{1,256}? \[[^\]\n]{10,40}\] "
    rb"\"([A-Z]{1,16}) ([^ \"]{1,8192})(?: [^\"]{1,16})?\" (\d{3}) (\S+)"
    rb"(?: \"(?:[^\"\\]|\\.){0,2048}\" \"((?:[^\"\\]|\\.){0,1024})\")?"
)
_LATEST = 1e12
_CLIENTS = ("remote_addr", "client_ip", "clientip", "remote_ip", "ClientHost", "client", "c-ip")
_PATHS = ("request_uri", "uri", "path", "RequestPath", "url", "request_path")
_METHODS = ("request_method", "method", "RequestMethod", "verb")
_STATUSES = ("status", "DownstreamStatus", "response", "status_code")
_TIMES = ("time_iso8601", "time", "ts", "@timestamp", "timestamp", "StartUTC", "msec", "time_local")


class Request(t.NamedTuple):
    """client: an address. path: of the URL, decoded, without its query. size: of the response, as it is written."""

    client: str
    method: str
    path: bytes
    has_query: bool
    status: int
    agent: bytes = b""


def time_of(line: bytes) -> float | None:
    """Return the time of a line in seconds since the epoch, None if it has none."""
    match = _TIME.search(line, 0, 1024)
    if match:
        return _time(match)
    content = _json(line)
    return _json_time(content) if content is not None else None


def parse(line: bytes) -> Request | None:
    """Return the request of a line, None if it is of another form."""
    match = _LINE.match(line)
    if match:
        client, method, target, status, _size, agent = match.groups()
        return _request(client.decode("ascii"), method.decode("ascii"), target, int(status), agent or b"")
    content = _json(line)
    if content is None:
        return None
    client, method, target, status = (_first(content, names) for names in (_CLIENTS, _METHODS, _PATHS, _STATUSES))
    if not (status.isascii() and status.isdigit()) or len(status) > 3:
        return None
    agent = _first(content, ("http_user_agent", "user_agent", "agent"))
    return _request(
        client, method, target.encode("utf-8", "surrogateescape"), int(status), agent.encode("utf-8", "replace")
    )


def serves(path: bytes, file: bytes) -> bool:
    """Say whether a URL's path can be that of a file: the end of the file's path, and not just any directory."""
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if not parts or b".." in parts:
        return False
    return file.endswith(b"/" + b"/".join(parts))


def _request(client: str, method: str, target: bytes, status: int, agent: bytes) -> Request | None:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    path, question, _query = target.partition(b"?")
    if b"://" in path[:16]:
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    return Request(
        str(mapped or address), method[:16], urllib.parse.unquote_to_bytes(path), bool(question), status, agent
    )


def _time(match: re.Match[bytes]) -> float | None:
    day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
    if month not in _MONTHS:
        return None
    try:
        time = calendar.timegm((int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second)))
    except ValueError:
        return None
    offset = (int(hours) * 3600 + int(minutes) * 60) * (-1 if sign == b"-" else 1) if sign else 0
    return float(time - offset)


def _json(line: bytes) -> dict[str, t.Any] | None:
    if line[:1] != b"{":
        return None
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _json_time(content: t.Mapping[str, t.Any]) -> float | None:
    for name in _TIMES:
        value = content.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # A number with a hundred digits is no float.
            return float(value) if abs(value) < _LATEST else None
        if isinstance(value, str) and value:
            match = _TIME.match(b"[%s]" % value.encode("ascii", "replace"))
            return _time(match) if match else stamps.read_text(value, stamps.Clock(4e9))
    return None


def _first(content: t.Mapping[str, t.Any], names: t.Sequence[str]) -> str:
    """Return the first field of one of these names as text, also within a request (Caddy)."""
    inner = content.get("request")
    for mapping in (content, inner if isinstance(inner, dict) else {}):
        for name in names:
            value = mapping.get(name)
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                return str(value)
    return ""
