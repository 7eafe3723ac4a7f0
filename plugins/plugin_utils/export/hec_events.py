# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events in the envelope of Splunk's HTTP Event Collector, and the settings that go into it.

https://help.splunk.com, "Format events for HTTP Event Collector": an object with ``time`` in seconds, ``host``,
``source``, ``sourcetype``, ``index``, ``fields`` (flat, indexed) and ``event``. Several stand one after the other.
"""

from __future__ import annotations

import dataclasses
import importlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import fit, paths, value_types
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import ocsf
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Prepared, UnfitError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.template import Template

# The formats by the module that writes them: one JSON object for each event.
FORMATS: t.Mapping[str, str] = {"cim": "splunk_cim", "ocsf": "ocsf"}
SOURCETYPES: t.Mapping[str, str] = {"cim": "bulwark:cim", "ocsf": "bulwark:ocsf"}

Render = t.Callable[[t.Mapping[str, t.Any]], fit.Rendered]

_host = paths.compiled("device.hostname")
_time = paths.compiled("time")


def renderer(name: str) -> Render:
    """Return the function that writes an event in a format."""
    package = f"{__name__.rpartition('.')[0]}.formats"
    return t.cast("Render", importlib.import_module(f"{package}.{FORMATS[name]}").render)


@dataclasses.dataclass(frozen=True)
class Envelope:
    """The envelope of each event. metadata: source, sourcetype and index. fields: templates of indexed fields.

    max_event: bytes that an event with its envelope has at most.
    """

    render: Render
    metadata: t.Mapping[str, str]
    fields: t.Mapping[str, Template]
    max_event: int

    def prepare(self, event: t.Mapping[str, t.Any], key: str) -> Prepared:
        """Return an event in its envelope, cut to the greatest size; raise UnfitError."""
        fitted = fit.fit(event, self.max_event, self._write)
        uid = paths.compiled("metadata.uid")(event)
        if not isinstance(uid, str):
            raise UnfitError("it has no metadata.uid")
        return Prepared(uid, key, fitted.body, fitted.removed, fitted.shortened)

    def _write(self, event: t.Mapping[str, t.Any]) -> fit.Rendered:
        rendered = self.render(event)
        shortened = rendered.shortened
        head: dict[str, t.Any] = {}
        host = _host(event)
        if isinstance(host, str) and host:
            head["host"] = host
        head |= self.metadata
        indexed = {}
        for name, template in self.fields.items():
            rendering = template.render(event)
            shortened += rendering.shortened
            # Splunk refuses an event whose fields are not flat texts.
            value = value_types.text(rendering.value)
            if value is not None:
                indexed[name] = value
        if indexed:
            head["fields"] = indexed
        # The time is written by hand: as a float it would lose its milliseconds, and Splunk reads no other form.
        milliseconds = value_types.milliseconds(_time(event))
        time = "" if milliseconds is None else f'"time":{milliseconds // 1000}.{milliseconds % 1000:03d},'
        start = b"{%s%s" % (time.encode(), ocsf.render(head).body[1:-1])
        separator = b"" if start.endswith((b"{", b",")) else b","
        return fit.Rendered(b'%s%s"event":%s}' % (start, separator, rendered.body), shortened)
