# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a simulation does on a Windows host, as content says it: programs with command lines, and events that it writes.

Everything that content can ask for is harmless by what it is. A program is a copy of ``hostname.exe`` with another
name. It is made suspended and ended before it runs an instruction, so that its command line is only text. An event goes
to the Application log, with a source that is named after the collection.
"""

from __future__ import annotations

import re
import typing as t

MARK = "bulwark-simulation"
STEPS = ("runs", "written")
# Where programs can be, beside the directory of the state: below the profile that all accounts share.
DIRECTORIES = ("public",)
_MOST_TIMES = 100
_LONGEST_LINE = 4096
# A source that rules take for that of a product, such as MSSQL$bulwark-simulation.
_SOURCE = re.compile(rf"(?:[A-Z]{{2,16}}\$)?{MARK}")
# A file name, below directories if need be, and none that stands for a device.
_NAME = re.compile(
    r"(?:[A-Za-z0-9]{1,20}\\){0,4}(?!(?:con|prn|aux|nul|com\d|lpt\d)\.)[\w+$-][\w ._+@()$-]{0,60}\.[a-z]{2,4}",
    re.IGNORECASE | re.ASCII,
)
_RUN = {"line", "name", "under", "directory", "times"}
_EVENT = {"source", "id", "texts", "times"}


def checked(steps: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return steps as the module takes them, with every default.

    Raises TypeError and ValueError with one sentence for what is wrong.
    """
    runs = [_run(run) for run in _list(steps, "runs")]
    written = [_event(event) for event in _list(steps, "written")]
    if not runs and not written:
        raise ValueError("it does nothing: it needs 'runs' or 'written'")
    return {"alert": steps["alert"], "runs": runs, "written": written}


def _run(run: t.Any) -> dict[str, t.Any]:
    _check_keys(run, _RUN, "a run")
    line = _text(run, "line")
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"'line' has more than {_LONGEST_LINE} characters")
    name = run["name"] if "name" in run else _program(line)
    under = run.get("under", [f"{MARK}.exe"])
    if not isinstance(under, list):
        raise TypeError("'under' is a list of names, the outermost first")
    for part in (name, *under):
        if not isinstance(part, str) or not _NAME.fullmatch(part):
            raise ValueError(f"'{part}' is not a name for a program; set 'name'")
    directory = run.get("directory")
    if directory is not None and directory not in DIRECTORIES:
        raise ValueError(f"'directory' is one of {', '.join(DIRECTORIES)}, not '{directory}'")
    return {"line": line, "name": name, "under": under, "directory": directory, "times": _times(run)}


def _program(line: str) -> str:
    """Return the file name of the program that a command line begins with."""
    path = line[1:].partition('"')[0] if line.startswith('"') else line.split(maxsplit=1)[0]
    name = path.rpartition("\\")[2]
    return name if "." in name else f"{name}.exe"


def _event(event: t.Any) -> dict[str, t.Any]:
    _check_keys(event, _EVENT, "a written event")
    source, number, texts = _text(event, "source"), event.get("id"), event.get("texts", [])
    if not _SOURCE.fullmatch(source):
        raise ValueError(f"the source {source} is not named after {MARK}")
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 65535:
        raise ValueError("'id' of a written event is a number from 1 to 65535")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("'texts' of a written event is a list of texts")
    return {"source": source, "id": number, "texts": texts, "times": _times(event)}


def _check_keys(content: t.Any, known: set[str], what: str) -> None:
    if not isinstance(content, dict) or set(content) - known:
        raise ValueError(f"{what} is a mapping with {', '.join(sorted(known))}")


def _list(content: t.Mapping[str, t.Any], name: str) -> list[t.Any]:
    value = content.get(name, [])
    if not isinstance(value, list):
        raise TypeError(f"'{name}' is not a list")
    return value


def _text(content: t.Mapping[str, t.Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"'{name}' is not text")
    return value


def _times(content: t.Mapping[str, t.Any]) -> int:
    times = content.get("times", 1)
    if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= _MOST_TIMES:
        raise ValueError(f"'times' is not a number from 1 to {_MOST_TIMES}")
    return times
