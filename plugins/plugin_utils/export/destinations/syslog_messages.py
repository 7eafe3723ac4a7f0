# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events as syslog messages in the format that a destination asks for."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import fit
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import cef, leef, ocsf, rfc5424, structured
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError

# The formats with the largest message that receivers take by default. rsyslog cuts what is over 8,096 bytes into
# messages without sense; QRadar, which reads LEEF, splits what is over 4,096 bytes.
FORMATS: t.Mapping[str, int] = {"ocsf": 8_000, "structured": 8_000, "cef": 8_000, "leef": 4_000}
# rsyslog's parser of structured data (mmpstrucdata) gives up at a value over 32 kB, syslog-ng cuts one at 64 kB.
LARGEST_STRUCTURED = 32_000
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_APP_NAME_LIMIT = 48


class Messages:
    """Writes events in one format."""

    def __init__(self, settings: t.Mapping[str, t.Any]) -> None:
        self._header = rfc5424.Header(settings["facility"], settings["app_name"], settings["hostname"])
        self._write: t.Callable[[fit.Event], fit.Rendered] = getattr(self, f"_{settings['format']}")
        self._sd_id = settings["sd_id"]
        # CEF and LEEF know no byte order mark, and JSON here is ASCII.
        self._bom = settings["format"] == "structured" if settings["bom"] is None else settings["bom"]
        self._cef_version = settings["cef_version"]

    def render(self, event: fit.Event) -> fit.Rendered:
        """Return an event as a message; raise UnfitError."""
        return self._write(event)

    def _ocsf(self, event: fit.Event) -> fit.Rendered:
        """Write JSON in ASCII: it needs no byte order mark, before which parsers of JSON stop."""
        rendered = ocsf.render(event)
        if rendered.body.isascii():
            return self._message(event, rendered)
        escaped = _BEYOND_ASCII.sub(lambda match: json.dumps(match[0])[1:-1], rendered.body.decode())
        return self._message(event, fit.Rendered(escaped.encode(), rendered.shortened))

    def _structured(self, event: fit.Event) -> fit.Rendered:
        data, text, shortened = structured.structured(event, self._sd_id)
        return self._message(event, fit.Rendered(text.encode(), shortened), data)

    def _cef(self, event: fit.Event) -> fit.Rendered:
        return self._message(event, cef.render(event, self._cef_version))

    def _leef(self, event: fit.Event) -> fit.Rendered:
        return self._message(event, leef.render(event))

    def _message(self, event: fit.Event, rendered: fit.Rendered, data: str = rfc5424.NIL) -> fit.Rendered:
        body = rfc5424.message(event, self._header, rendered.body, data, bom=self._bom)
        return fit.Rendered(body, rendered.shortened)


def check(settings: t.Mapping[str, t.Any]) -> None:
    """Raise ExportError for a header that RFC 5424 refuses."""
    if not rfc5424.is_header_text(settings["app_name"], _APP_NAME_LIMIT):
        raise ExportError(f"app_name has 1 to {_APP_NAME_LIMIT} ASCII characters without blanks; choose another")
    hostname = settings["hostname"]
    if hostname is not None and (not hostname or rfc5424.hostname(hostname) != hostname):
        raise ExportError(
            "hostname has up to 255 letters, digits, dots, dashes and underscores, or is an address; correct it"
        )
    if not rfc5424.is_sd_name(settings["sd_id"]) or "@" not in settings["sd_id"]:
        raise ExportError("sd_id is not a name@number of RFC 5424, such as bulwark@32473; correct it")
