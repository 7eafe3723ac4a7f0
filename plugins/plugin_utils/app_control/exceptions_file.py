# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add entries to the file of exceptions and remove them, as text: comments, order and layout are people's. Pure."""

from __future__ import annotations

import datetime as dt
import re
import typing as t

import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import entries
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.allowlist_files import EXCEPTIONS
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

Entry = t.Mapping[str, t.Any]

HEAD = """\
---
# Programs that people let run although no allowlist has them: who, why, and until when.
# bulwark.servers.app_allowlist adds and removes entries. It keeps what else is in this file.
"""
_KEY = "exceptions"
_WIDTH = 110


def add(text: str, new: t.Sequence[Entry]) -> str:
    """Return the text with entries at the end of its list; raise ContentError for a file of another shape."""
    known = listed(text)
    if not new:
        return text
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = (text or f"{HEAD}{_KEY}: []\n").splitlines()
    key, value = _parts("\n".join(lines))
    if value is None or not value.value:
        position = key.start_mark.line if key else len(lines)
        lines[position : (_last_line(value, position) + 1) if key else position] = [f"{_KEY}:"]
        position, indent = position + 1, 2
    else:
        position = _last_line(value, 0) + 1
        indent = _dash(lines, value.value[0])[1]
    return _checked([*lines[:position], *_items(new, indent), *lines[position:]], newline, [*known, *new])


def remove(text: str, is_unwanted: t.Callable[[Entry], bool]) -> tuple[str, list[Entry]]:
    """Return the text without the entries that are unwanted, and these; the comments above them stay."""
    known = listed(text)
    unwanted = [entry for entry in known if is_unwanted(entry)]
    if not unwanted:
        return text, []
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines()
    key, value = t.cast("tuple[yaml.ScalarNode, yaml.SequenceNode]", _parts("\n".join(lines)))
    for entry, node in reversed(list(zip(known, value.value, strict=True))):
        if entry in unwanted:
            del lines[_dash(lines, node)[0] : _last_line(node, 0) + 1]
    if len(unwanted) == len(known):
        lines[key.start_mark.line] = f"{_KEY}: []"
    return _checked(lines, newline, [entry for entry in known if entry not in unwanted]), unwanted


def listed(text: str) -> list[Entry]:
    """Return the entries of a file as they are written; raise ContentError for a file that can't be read."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ContentError(f"{EXCEPTIONS} cannot be read: {_line(error)}; correct it first") from error
    given = entries.fields({} if data is None else data, (_KEY,), EXCEPTIONS)
    return list(entries.listed(given, _KEY, EXCEPTIONS))


def is_listed(known: t.Iterable[Entry], entry: Entry, now: float) -> bool:
    """Return whether an entry that has not ended lets the same program run, at least as long and as widely."""
    wanted = entries.exemption(entry, "the new entry")
    for each in known:
        exemption = entries.exemption(each, EXCEPTIONS)
        is_same = (exemption.program, exemption.sha256, exemption.user) == (wanted.program, wanted.sha256, wanted.user)
        is_for_hosts = not each.get("hosts") or (entry.get("hosts") and {*entry["hosts"]} <= {*each["hosts"]})
        lasts = exemption.until is None or (wanted.until is not None and wanted.until <= exemption.until)
        if is_same and is_for_hosts and lasts and (exemption.until is None or now < exemption.until):
            return True
    return False


def _parts(text: str) -> tuple[yaml.ScalarNode | None, yaml.SequenceNode | None]:
    """Return the key of the list and the list; None for what the text does not have."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or not root.value:
        return None, None
    ((key, value),) = root.value
    if value.tag == "tag:yaml.org,2002:null":
        return key, None
    if value.flow_style and value.value:
        raise ContentError(
            f"{EXCEPTIONS}: its list is written in brackets, which cannot be extended without a change to what people "
            "wrote; write each entry on a line of its own, after '- '"
        )
    return key, value


def _items(new: t.Sequence[Entry], indent: int) -> list[str]:
    lines = []
    for entry in new:
        dumped = yaml.safe_dump(dict(entry), sort_keys=False, width=_WIDTH, default_flow_style=None)
        first, *more = dumped.splitlines()
        lines += [f"{' ' * indent}- {first}", *(f"{' ' * indent}  {line}" for line in more)]
    return lines


def _dash(lines: t.Sequence[str], node: yaml.Node) -> tuple[int, int]:
    """Return the line and the column of the dash before an entry."""
    for number in range(node.start_mark.line, -1, -1):
        match = re.match(r"( *)-(?: |$)", lines[number])
        if match:
            return number, len(match.group(1))
    raise ContentError(f"{EXCEPTIONS}: line {node.start_mark.line + 1}: no '-' is before this entry; write it there")


def _last_line(node: yaml.Node | None, default: int) -> int:
    """Return the last line that a node itself is on, without the comments and empty lines after it."""
    if node is None:
        return default
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last, default)
    end = node.end_mark
    return int(end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line)


def _checked(lines: t.Sequence[str], newline: str, expected: t.Sequence[Entry]) -> str:
    """Return lines as text; raise ContentError unless these entries are in it."""
    text = "".join(f"{line}{newline}" for line in lines)
    if listed(text) != list(expected):
        raise ContentError(f"{EXCEPTIONS} cannot be changed without a change to other entries; change it by hand")
    return text


def _line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())


def today(now: float) -> dt.date:
    """Return the day (UTC) of a time, as entries are dated with."""
    return dt.datetime.fromtimestamp(now, dt.UTC).date()
