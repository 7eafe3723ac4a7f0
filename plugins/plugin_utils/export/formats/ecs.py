# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write an OCSF event as a document of the Elastic Common Schema (https://www.elastic.co/docs/reference/ecs).

Values that ECS has no field for are under ``bulwark``. Nothing is cut: Elasticsearch and OpenSearch keep a text of any
length in ``_source``, and the index templates in ``content/export/receivers`` only leave those out of the index that
are too long to be searched as one word.
"""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import json_text, mapping
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.fit import Rendered
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.primary import with_primary
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

# The default data stream of the documents; the index templates are for this one.
DATA_STREAM = "logs-bulwark.findings-default"
_DATASET = "bulwark.findings"
# A data stream's name in Elastic's scheme: type, dataset and namespace.
_NAME = re.compile(r"(?P<type>[^-]+)-(?P<dataset>[^-]+)-(?P<namespace>[^-]+)")


def document(event: t.Mapping[str, t.Any], data_stream: str = DATA_STREAM) -> dict[str, t.Any]:
    """Return an event as a document of nested objects; raise UnfitError for a class without a mapping.

    data_stream: the name of the data stream. Its parts are in the document, as the stream refuses others; a name that
    has no such parts is left out. ``event.id`` is the ``metadata.uid`` of the event, which makes a good ``_id``.
    """
    fields = mapping.for_event("ecs", event).apply(with_primary(event)).fields
    if "@timestamp" not in fields:
        raise UnfitError("it has no usable time, and a data stream takes only documents with '@timestamp'")
    result: dict[str, t.Any] = {}
    for field, value in {**fields, **_stream(data_stream)}.items():
        _put(result, field, value)
    return result


def render(event: t.Mapping[str, t.Any], data_stream: str = DATA_STREAM) -> Rendered:
    """Return the document as one line of JSON without its end; raise UnfitError."""
    try:
        return Rendered(json_text.compact(document(event, data_stream)).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise UnfitError(f"it cannot be written as JSON: {error}") from None


@functools.lru_cache(maxsize=16)
def _stream(data_stream: str) -> t.Mapping[str, str]:
    name = _NAME.fullmatch(data_stream)
    if name is None:
        return {"event.dataset": _DATASET}
    parts = {f"data_stream.{part}": value for part, value in name.groupdict().items()}
    return {**parts, "event.dataset": name["dataset"]}


def _put(document: dict[str, t.Any], field: str, value: t.Any) -> None:
    *parents, name = field.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[name] = value
