# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the history of an image: the lines of its Dockerfile, and what they do with packages.

The classic builder and BuildKit write the same line differently (``CreatedBy`` in ``GET /images/ID/history``). What an
import or a copy of a container leaves is no line of a Dockerfile.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import values
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Json

# A script of a build can be as long as its author likes.
_TEXT_LIMIT = 50_000
_CLASSIC = re.compile(r"(?:/bin/sh -c )?#\(nop\)\s+([A-Z]+)\s*(.*)", re.DOTALL)
_BUILDKIT = re.compile(
    r"(ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|RUN|SHELL|STOPSIGNAL|USER|VOLUME"
    r"|WORKDIR)\b\s*(.*)",
    re.DOTALL,
)
_ARGUMENTS = re.compile(r"\|[0-9]+ (.*?)(?=/bin/\w{0,10}sh\b|$)", re.DOTALL)
_SHELL = re.compile(r"(?:/usr)?/bin/\w{0,10}sh (?:-\w+ (?:pipefail )?)+")
_ASSIGNED = re.compile(r"(?:^|\s)([A-Za-z_][A-Za-z0-9_]*)=")
_SEPARATOR = re.compile(r"&&|\|\||[;|\n&]")
# Words before the program that a command runs: programs that run others, their options, and words of the shell.
_BEFORE = re.compile(r"(?:sudo|env|exec|command|time|eatmydata|then|do|else|if|!|\w{0,4}sh|-[ceilux]{1,4})\Z")
_MARKS = "\"'`(){}"


class Line(t.NamedTuple):
    """A line of a Dockerfile. arguments: the names of its build arguments. number: from 1, the oldest first."""

    number: int
    instruction: str
    text: str
    arguments: tuple[str, ...] = ()


class Command(t.NamedTuple):
    """A command of a line. program: without its directory. verb: its first word that is no option."""

    program: str
    verb: str
    options: tuple[str, ...]
    operands: tuple[str, ...]


def lines(history: t.Sequence[Json] | None) -> list[Line]:
    """Return the lines of a Dockerfile that a history shows, the oldest first; raise UnknownError."""
    if history is None:
        raise values.UnknownError("its history is not known")
    texts = [values.text(entry, "CreatedBy", "")[:_TEXT_LIMIT].strip() for entry in reversed(history)]
    return [_line(number, text) for number, text in enumerate(texts, 1) if text]


def _line(number: int, text: str) -> Line:
    if text.endswith("# buildkit"):
        text = text[: -len("# buildkit")].rstrip()
    match = _CLASSIC.match(text) or _BUILDKIT.match(text)
    if match is not None and match.group(1) != "RUN":
        return Line(number, match.group(1), match.group(2))
    command = match.group(2) if match is not None else text
    given = _ARGUMENTS.match(command)
    names = _ASSIGNED.findall(given.group(1)) if given is not None else ()
    return Line(
        number, "RUN", _SHELL.sub("", command[given.end() :] if given is not None else command, 1), tuple(names)
    )


def commands(line: Line) -> list[Command]:
    """Return the commands of a line, as far as they can be told without a shell."""
    if line.instruction != "RUN":
        return []
    text = line.text.replace("\\\n", " ")
    return [command for part in _SEPARATOR.split(text) for command in [_command(part)] if command is not None]


def _command(text: str) -> Command | None:
    words = [word.strip(_MARKS) for word in text.split()]
    while words and (not words[0] or _BEFORE.match(words[0].rpartition("/")[2]) or _ASSIGNED.match(words[0])):
        del words[0]
    if not words or words[0].startswith("#"):
        return None
    program, rest = words[0].rpartition("/")[2], words[1:]
    options, operands = [], []
    takes_value = False
    for word in rest:
        if word.startswith("-") or takes_value:
            options.append(word)
            takes_value = word in ("-o", "-t", "-c", "--option", "--target-release", "--repository", "-X", "-p")
        elif word:
            operands.append(word)
    return Command(program, operands[0] if operands else "", tuple(options), tuple(operands[1:]))


def assigned(line: Line) -> list[str]:
    """Return the names that a line gives values to, as ENV and ARG do and build arguments of RUN."""
    if line.instruction == "RUN":
        return list(line.arguments)
    if line.instruction not in ("ENV", "ARG"):
        return []
    names = _ASSIGNED.findall(line.text)
    # The old form has one name and the rest of the line as its value; an argument need not have a value.
    return names or line.text.split()[:1]
