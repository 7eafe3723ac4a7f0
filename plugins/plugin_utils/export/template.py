# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""Templates of named fields: a JSON value, such as an object, with texts in which ``{field}`` stands for a value.

There are no expressions, so that no value of a host is ever evaluated. A field is a name of ``FIELDS`` or a path into
the OCSF event (see ``paths``): ``{severity}``, ``{device.os.name}``, ``{evidences[0].file.path}``. After it may follow
``:N``, which cuts a text to N characters with its escapes, and ``|text``, which stands for a value that the event
doesn't have: ``{title:150}``, ``{remediation|none}``, ``{subject:80|-}``. Any other brace stays as it is.

A text that is a field alone becomes the field's value as it is: a number stays a number, and ``{event}`` is the whole
event. Without a value such a member or item is left out. Within a longer text a value is written as text: a list of
texts with commas, any other list or object as JSON, a missing value as nothing. Values are data: JSON's escapes are
the business of whoever writes the JSON, those of the receiver's markup are an ``escape``.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import paths, shortening, value_types, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError

Event = t.Mapping[str, t.Any]
Escape = t.Callable[[str], str]

# The short names: of several paths the first with a value counts.
FIELDS: t.Mapping[str, tuple[str, ...]] = {
    "alert": ("unmapped.alert", "metadata.event_code"),
    "capability": ("unmapped.capability",),
    "change": ("unmapped.change",),
    "count": ("count",),
    "description": ("finding_info.desc",),
    "event": ("$",),
    "finding": ("finding_info.uid", "metadata.uid"),
    "first_seen": ("finding_info.first_seen_time", "start_time"),
    "host": ("device.hostname", "device.name"),
    "last_seen": ("finding_info.last_seen_time", "end_time"),
    "message": ("message",),
    "remediation": ("remediation.desc", "vulnerabilities[0].remediation.desc"),
    "severity": ("severity",),
    "status": ("unmapped.status", "status"),
    "subject": ("unmapped.subject",),
    "time": ("time",),
    "title": ("finding_info.title", "message", "class_name"),
    "uid": ("metadata.uid",),
}
_TIMES = frozenset({"first_seen", "last_seen", "time"})
# The first name of a path into an event. Any other is a misspelt field.
_ROOTS = frozenset(
    {
        *("action", "action_id", "activity_id", "activity_name", "category_name", "category_uid", "class_name"),
        *("class_uid", "compliance", "count", "desc", "device", "disposition", "disposition_id", "end_time"),
        *("evidences", "finding_info", "is_alert", "message", "metadata", "observables", "remediation", "resources"),
        *("scan", "severity", "severity_id", "start_time", "status", "status_detail", "status_id", "time", "type_name"),
        *("type_uid", "unmapped", "vulnerabilities", "num_detections", "num_files", "schedule_uid", "total"),
    }
)
_FIELD = re.compile(
    r"\{(?P<path>[a-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*|\[[^\[\]{}]*\])*)"
    r"(?::(?P<limit>[0-9]{1,7}))?(?:\|(?P<otherwise>[^{}]*))?\}"
)
# No characters of a file's name may become a mention, a link or an image in a chat.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&@])")


@dataclasses.dataclass(frozen=True)
class Translation:
    """A field of its own: what another field's values are called by the receiver. ``otherwise`` for all others."""

    field: str
    values: t.Mapping[str, str]
    otherwise: str | None = None


class Rendering(t.NamedTuple):
    """A template's value for an event, and how many values were cut."""

    value: t.Any
    shortened: int


def no_escape(text: str) -> str:
    return text


def slack_escape(text: str) -> str:
    """Escape the three characters of Slack's mrkdwn, so that nothing in a text mentions, links or commands."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown_escape(text: str) -> str:
    """Escape all punctuation that Markdown could take for its own."""
    return _MARKDOWN.sub(r"\\\1", text)


ESCAPES: t.Mapping[str, Escape] = {"none": no_escape, "slack": slack_escape, "markdown": markdown_escape}

_MISSING: t.Any = object()
_Node = t.Callable[["_Run"], t.Any]


class _Run:
    """One rendering: the event, and what is counted meanwhile."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.shortened = 0


class Template:
    """A compiled template; raises ExportError with the option and the field where it is wrong.

    constants: further names and what stands for them, such as a placeholder for a secret.
    """

    def __init__(
        self,
        option: str,
        value: t.Any,
        *,
        translations: t.Mapping[str, Translation] | None = None,
        constants: t.Mapping[str, str] | None = None,
        escape: Escape = no_escape,
    ) -> None:
        self._option = option
        self._translations = translations or {}
        self._constants = constants or {}
        self._escape = escape
        self._node = self._compiled(value)

    def render(self, event: Event) -> Rendering:
        """Return the template's value for an event; its shape never depends on what is in a value."""
        run = _Run(event)
        value = self._node(run)
        return Rendering(None if value is _MISSING else value, run.shortened)

    def _compiled(self, value: t.Any) -> _Node:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, t.Mapping):
            members = {str(key): self._compiled(member) for key, member in value.items()}

            def mapping(run: _Run) -> t.Any:
                rendered = {key: member(run) for key, member in members.items()}
                return {key: member for key, member in rendered.items() if member is not _MISSING}

            return mapping
        if isinstance(value, (list, tuple)):
            items = [self._compiled(item) for item in value]
            return lambda run: [item for item in (node(run) for node in items) if item is not _MISSING]
        return lambda _run: value

    def _text(self, text: str) -> _Node:
        alone = _FIELD.fullmatch(text)
        if alone is not None:
            return self._field(alone, alone=True)
        nodes: list[_Node] = []
        position = 0
        for match in _FIELD.finditer(text):
            nodes += [_constant(text[position : match.start()]), self._field(match, alone=False)]
            position = match.end()
        if not nodes:
            return _constant(text)
        nodes.append(_constant(text[position:]))
        return lambda run: "".join([node(run) for node in nodes])

    def _field(self, match: re.Match[str], *, alone: bool) -> _Node:
        name, otherwise = match["path"], match["otherwise"]
        limit = int(match["limit"]) if match["limit"] else None
        if limit == 0:
            raise ExportError(f"{self._option}: {{{name}:0}} leaves nothing of a text; write 1 or more")
        if name in self._constants:
            return _constant(self._constants[name])
        get = self._getter(name)
        escape = self._escape

        def shown(text: str, run: _Run) -> str:
            # Before it is cut: what stands for a surrogate in JSON is longer.
            text = visible.without_surrogates(text)
            escaped = escape(text)
            if limit is None or len(escaped) <= limit:
                return escaped
            run.shortened += 1
            return _cut(text, limit, escape)

        def evaluate(run: _Run) -> t.Any:
            value = get(run.event)
            if value is None:
                return (_MISSING if alone else "") if otherwise is None else otherwise
            if not alone or limit is not None:
                return shown(_as_text(value), run)
            return shown(value, run) if isinstance(value, str) else _escaped(value, escape)

        return evaluate

    def _getter(self, name: str) -> paths.Getter:
        translation = self._translations.get(name)
        if translation is not None:
            get, values, otherwise = self._getter(translation.field), translation.values, translation.otherwise

            def translated(event: t.Any) -> t.Any:
                value = get(event)
                return otherwise if value is None else values.get(paths.text(value), otherwise)

            return translated
        sources = FIELDS.get(name) or (name,)
        try:
            getters = [paths.compiled(source) for source in sources]
        except paths.PathError as error:
            raise ExportError(f"{self._option}: {{{name}}}: {error}; correct it") from None
        if name not in FIELDS and re.split(r"[.\[]", name)[0] not in _ROOTS:
            known = ", ".join([*FIELDS, *self._translations, *self._constants])
            raise ExportError(
                f"{self._option}: there is no field {{{name}}}; write one of {known}, or a path into the OCSF event"
            )

        def first(event: t.Any) -> t.Any:
            for get in getters:
                value = value_types.anything(get(event))
                if value is not None:
                    return value_types.iso_time(value) if name in _TIMES else value
            return None

        return first


def _constant(text: str) -> _Node:
    return lambda _run: text


def _cut(text: str, limit: int, escape: Escape) -> str:
    """Return the longest beginning of a text that has at most ``limit`` characters when it is escaped and marked."""
    fits, too_long = 0, limit + 1
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if len(escape(shortening.cut(text, middle))) <= limit:
            fits = middle
        else:
            too_long = middle
    return escape(shortening.cut(text, fits)) if fits else ""


def _as_text(value: t.Any) -> str:
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value_types.text(value) or ""


def _escaped(value: t.Any, escape: Escape) -> t.Any:
    """Return a value as it is, with an escape in each of its texts."""
    if escape is no_escape:
        return value
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, t.Mapping):
        return {key: _escaped(member, escape) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escaped(item, escape) for item in value]
    return value
