# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The body of a webhook's request: a template for each event, one event or several, and a secret by choice.

The token never is in what ``prepare`` returns, which a dry run shows: it comes in when the request is sent.
"""

from __future__ import annotations

import hashlib
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import fit, paths
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import ocsf
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError, Prepared, UnfitError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.template import Template

TOKEN_FIELD = "{token}"  # noqa: S105 (what stands for the token in a template)
_HIDDEN = "********"

_uid = paths.compiled("metadata.uid")

Path = tuple[str | int, ...]


class Message:
    """Writes the bodies of requests.

    template: of each event. max_body: bytes of a request at most. token: stands where the template has TOKEN_FIELD.
    batch: how several events stand in one request, ``array`` or ``lines``; None for one event a request.
    """

    def __init__(self, value: t.Any, template: Template, max_body: int, token: str | None, batch: str | None) -> None:
        self._template, self._max_body, self._token, self._batch = template, max_body, token, batch
        self._token_paths = list(_token_paths(value, ()))
        if self._token_paths and token is None:
            raise ExportError(f"template has {TOKEN_FIELD}, but token is missing; give one of the options of token")

    def prepare(self, event: t.Mapping[str, t.Any], key: str) -> Prepared:
        """Return an event as the template writes it; raise UnfitError."""
        uid = _uid(event)
        if not isinstance(uid, str):
            raise UnfitError("it has no metadata.uid")
        # An array has two brackets.
        fitted = fit.fit(event, self._max_body - 2 - self.overhead, self._render)
        return Prepared(uid, key, fitted.body, fitted.removed, fitted.shortened)

    @property
    def overhead(self) -> int:
        """Bytes that an event needs in a request besides its body: a separator, and the token."""
        return 1 + len(self._token_paths) * len(json.dumps(self._token or ""))

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return "application/x-ndjson" if self._batch == "lines" else "application/json"

    def body(self, events: t.Sequence[Prepared]) -> bytes:
        """Return the body of a request with these events, and the token."""
        bodies = [self._with_token(prepared.body) for prepared in events]
        if self._batch == "array":
            return b"[%s]" % b",".join(bodies)
        return b"\n".join(bodies)

    def _render(self, event: t.Mapping[str, t.Any]) -> fit.Rendered:
        rendering = self._template.render(event)
        return fit.Rendered(ocsf.render(rendering.value).body, rendering.shortened)

    def _with_token(self, body: bytes) -> bytes:
        if not self._token_paths:
            return body
        value = json.loads(body)
        for path in self._token_paths:
            parent = value
            for step in path[:-1]:
                parent = parent[step]
            parent[path[-1]] = self._token
        return ocsf.render(value).body


def template(value: t.Any, **options: t.Any) -> Template:
    """Return the compiled template; raise ExportError. options: of Template."""
    return Template("template", value, constants={TOKEN_FIELD[1:-1]: _HIDDEN}, **options)


def message_id(events: t.Sequence[Prepared]) -> str:
    """Return the id of a request: the uid of its event, or a digest of the uids of several. The same each time."""
    if len(events) == 1:
        return events[0].uid
    return hashlib.sha256("\n".join(prepared.uid for prepared in events).encode()).hexdigest()


def _token_paths(value: t.Any, path: Path) -> t.Iterator[Path]:
    """Return where a template has the token; raise ExportError where its path depends on the event."""
    if isinstance(value, t.Mapping):
        for key, member in value.items():
            yield from _token_paths(member, (*path, str(key)))
    elif isinstance(value, (list, tuple)):
        for item in value:
            if TOKEN_FIELD in json.dumps(item):
                raise ExportError(f"template has {TOKEN_FIELD} in a list; use it as a member of an object only")
    elif isinstance(value, str) and TOKEN_FIELD in value:
        if value != TOKEN_FIELD or not path:
            raise ExportError(f"template has {TOKEN_FIELD} within a text; write it alone, or use it in headers")
        yield path
