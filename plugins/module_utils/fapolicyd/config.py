# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""fapolicyd.conf: lines "NAME = VALUE", of which the daemon takes the last one of a name (fapolicyd.conf(5)).

The daemon splits a line at its spaces and nowhere else, and takes no notice of a line that is longer than its buffer
(load_daemon_config of daemon-config.c). Before version 1.4 it takes none of a last line without an end, either.
"""

from __future__ import annotations

import typing as t

Config = t.Mapping[str, str]

# Its buffer has 160 characters: the line, its end, and a null character.
_LONGEST = 158
_WORDS = (3, 4)


def parse(text: str) -> Config:
    """Return the settings that a file makes, as the daemon reads it; those that it leaves out are absent.

    Raises ValueError for a line with which the daemon does not start.
    """
    settings: dict[str, str] = {}
    for number, line in enumerate(_lines(text), 1):
        words = _words(line)
        if not words:
            continue
        if len(words) not in _WORDS or words[1] != "=":
            raise ValueError("fapolicyd.conf: line %d is not NAME = VALUE" % number)
        settings[words[0]] = words[2]
    return settings


def changed(text: str, settings: Config) -> str:
    """Return a file with these settings and everything else as it was; the same text if they count already.

    Raises ValueError for a file that the daemon does not take, or a value that it can't have.
    """
    lines = _split(text)
    readings = parse(text), parse(text + "\n")
    for name, value in settings.items():
        if all(present.get(name) == value for present in readings):
            continue
        written = "%s = %s" % (name, value)
        if " " in value or not value or len(written) > _LONGEST:
            raise ValueError("fapolicyd.conf: %s can't be %r" % (name, value))
        numbers = [number for number, line in enumerate(lines) if _words(_effective(_ended(line)))[:1] == [name]]
        if numbers:
            lines[numbers[-1]] = written + "\n"
        else:
            # Before a last line without an end, which would begin to count if one followed it.
            is_open = bool(lines) and not lines[-1].endswith("\n")
            lines.insert(len(lines) - int(is_open), written + "\n")
    return "".join(lines)


def _split(text: str) -> list[str]:
    pieces = text.split("\n")
    return [piece + "\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def _ended(line: str) -> str:
    return line if line.endswith("\n") else line + "\n"


def _lines(text: str) -> list[str]:
    """Return the lines that the daemon takes notice of, others as empty ones."""
    return [_effective(line) for line in _split(text)]


def _effective(line: str) -> str:
    size = len(line.encode("utf-8", "surrogateescape"))
    return line[:-1] if line.endswith("\n") and size <= _LONGEST + 1 else ""


def _words(line: str) -> list[str]:
    words = [word for word in line.split(" ") if word]
    return [] if words and words[0].startswith("#") else words
