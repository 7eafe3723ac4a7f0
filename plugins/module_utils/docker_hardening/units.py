# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd would start: a unit with its drop-ins and environment files (systemd.unit(5), systemd.exec(5))."""

from __future__ import annotations

import fnmatch
import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import FileFact
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.flags import Word

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root

# The directories from the most to the least important; %h is the home of the account, %t its runtime directory.
SYSTEM = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
)
USER = (
    "%h/.config/systemd/user.control",
    "%t/systemd/user.control",
    "%t/systemd/transient",
    "%t/systemd/generator.early",
    "%h/.config/systemd/user",
    "/etc/systemd/user",
    "%t/systemd/user",
    "/run/systemd/user",
    "%t/systemd/generator",
    "%h/.local/share/systemd/user",
    "/usr/local/share/systemd/user",
    "/usr/share/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
    "%t/systemd/generator.late",
)
_READ_LIMIT = 256 * 1024
# What a unit or a drop-in that is masked leads to.
_NOTHING = "/dev/null"
_MOST_FILES = 200
_MOST_WORDS = 10_000
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WHOLE_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)\Z")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')+""", re.DOTALL)
_PIECE = re.compile(r"""\\(.)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\\"']+)""", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "s": " ", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class Account(t.NamedTuple):
    """Whose units they are: specifiers stand for its home and runtime directory. is_user: of a user's systemd."""

    home: str = "/root"
    runtime: str = "/run"
    is_user: bool = False


class Unit(t.NamedTuple):
    """A unit as its files have it now.

    files: those that it consists of, the unit itself first; none where there is no such unit. command: of ExecStart,
    each word with the file that has it. listens: of ListenStream. environment_files: that it names. problems: one
    sentence for each file that could not be read.
    """

    name: str
    files: tuple[FileFact, ...] = ()
    command: tuple[Word, ...] = ()
    listens: tuple[str, ...] = ()
    environment_files: tuple[FileFact, ...] = ()
    problems: tuple[str, ...] = ()


def load(root: Root, name: str, account: Account) -> Unit:
    """Return a unit as the next start would use it."""
    directories = [_specified(path, account) for path in (USER if account.is_user else SYSTEM)]
    problems: list[str] = []
    found = _first(root, directories, name)
    if found is None:
        return Unit(name)
    paths = [found.path, *_drop_ins(root, directories, name, problems)]
    files = [found, *(root.fact(path) for path in paths[1:])]
    settings: list[tuple[str, str, str]] = []
    for path in paths:
        text = _read(root, path, problems)
        settings += [(key, value, path) for key, value in parse(text)]
    return _unit(root, name, files, settings, account, problems)


def _unit(
    root: Root,
    name: str,
    files: t.Sequence[FileFact],
    settings: t.Sequence[tuple[str, str, str]],
    account: Account,
    problems: list[str],
) -> Unit:
    commands: list[Word] = []
    listens: list[str] = []
    variables: dict[str, Word] = {}
    named: list[tuple[str, bool]] = []
    for key, value, path in settings:
        if key == "Service.ExecStart":
            # An empty one takes back those before it; of several, as only oneshot services have, the first counts.
            commands = commands or [Word(value, path)] if value else []
        elif key == "Socket.ListenStream":
            listens = [*listens, _specified(value, account)] if value else []
        elif key == "Service.Environment":
            variables = {**variables, **_assigned(words(value), path)} if value else {}
        elif key == "Service.EnvironmentFile":
            optional = value.startswith("-")
            named = [*named, (_specified(value[1:] if optional else value, account), optional)] if value else []
    environment_files: list[FileFact] = []
    for pattern, optional in named:
        for path in _matching(root, pattern):
            fact = root.fact(path)
            environment_files.append(fact)
            if fact.kind or fact.problem or not optional:
                variables.update(_assigned(environment(_read(root, path, problems)), path))
    command: list[Word] = []
    for word in commands:
        command += expanded(words(_specified(word.text.lstrip("@-:+!|"), account)), word.origin, variables)
    return Unit(name, tuple(files), tuple(command), tuple(listens), tuple(environment_files), tuple(problems))


def parse(text: str) -> t.Iterator[tuple[str, str]]:
    """Yield ``Section.Key`` and value of each line of a unit, with lines that go on joined."""
    section = ""
    going_on = ""
    for line in text.splitlines():
        if going_on and line.lstrip()[:1] in ("#", ";"):
            continue
        line = going_on + line.strip()
        going_on = ""
        if line.endswith("\\") and line[:1] not in ("#", ";"):
            going_on = line[:-1] + " "
        elif line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line and line[:1] not in ("#", ";"):
            key, equals, value = line.partition("=")
            if equals:
                yield "%s.%s" % (section, key.strip()), value.strip()


def words(text: str) -> list[str]:
    """Return the words of a value, with quotes and escapes still in them."""
    return [match.group(0) for match in _WORD.finditer(text)][:_MOST_WORDS]


def plain(word: str) -> str:
    """Return a word without quotes and escapes."""
    parts = []
    for escape, double, single, bare in _PIECE.findall(word):
        if escape:
            parts.append(_ESCAPES.get(escape, escape))
        elif double:
            parts.append(re.sub(r"\\(.)", lambda found: _ESCAPES.get(found.group(1), found.group(1)), double))
        else:
            parts.append(single or bare)
    return "".join(parts)


def expanded(command: t.Iterable[str], origin: str, variables: t.Mapping[str, Word]) -> list[Word]:
    """Return the words of a command with its variables: $NAME alone becomes words, ${NAME} a part of one."""
    found: list[Word] = []
    for raw in command:
        whole = _WHOLE_VARIABLE.match(plain(raw))
        if whole:
            variable = variables.get(whole.group(1))
            if variable is not None:
                found += [Word(plain(word), variable.origin) for word in words(variable.text)]
            continue
        used = [variables[name] for name in _VARIABLE.findall(raw) if name in variables]
        text = _VARIABLE.sub(lambda match: variables[match.group(1)].text if match.group(1) in variables else "", raw)
        found.append(Word(plain(text).replace("$$", "$"), used[0].origin if used else origin))
    return found[:_MOST_WORDS]


def environment(text: str) -> list[str]:
    """Return the assignments of an environment file, each as one word."""
    found = []
    going_on = ""
    for line in text.splitlines():
        line = going_on + line.strip()
        going_on = ""
        if line.endswith("\\") and line[:1] not in ("#", ";"):
            going_on = line[:-1]
        elif line and line[:1] not in ("#", ";"):
            found.append(line)
    return found


def _assigned(assignments: t.Iterable[str], path: str) -> dict[str, Word]:
    found = {}
    for assignment in assignments:
        name, equals, value = plain_assignment(assignment)
        if equals and _NAME.match(name):
            found[name] = Word(value, path)
    return found


def plain_assignment(text: str) -> tuple[str, str, str]:
    """Return name, ``=`` and value of an assignment, of which the whole or the value may be in quotes."""
    if text[:1] in ("'", '"'):
        return plain(text).partition("=")
    name, equals, value = text.partition("=")
    value = value.strip()
    return name.strip(), equals, plain(value) if value[:1] in ("'", '"') else value


def _first(root: Root, directories: t.Iterable[str], name: str) -> FileFact | None:
    for directory in directories:
        fact = root.fact(posixpath.join(directory, name))
        if fact.kind or fact.problem:
            return fact
    return None


def _drop_ins(root: Root, directories: t.Sequence[str], name: str, problems: list[str]) -> list[str]:
    """Return the paths of drop-ins in the order of their names; of the same name, the most important counts."""
    found: dict[str, str] = {}
    # The least important first: those of all services, then those of this one.
    for folder in (name.rpartition(".")[2] + ".d", name + ".d"):
        for directory in reversed(directories):
            path = posixpath.join(directory, folder)
            try:
                names = root.names(path, _MOST_FILES)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                problems.append("%s cannot be read: %s" % (path, error.strerror))
                continue
            found.update({each: posixpath.join(path, each) for each in names if each.endswith(".conf")})
    return [path for _name, path in sorted(found.items())]


def _matching(root: Root, pattern: str) -> list[str]:
    directory, name = posixpath.split(pattern)
    if not any(character in name for character in "*?["):
        return [pattern]
    try:
        return [posixpath.join(directory, each) for each in fnmatch.filter(root.names(directory, _MOST_FILES), name)]
    except OSError:
        return []


def _read(root: Root, path: str, problems: list[str]) -> str:
    try:
        return root.read(path, _READ_LIMIT)[0].decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        if root.fact(path).target == _NOTHING:
            return ""
        problems.append("%s cannot be read: %s" % (path, error.strerror))
        return ""


def _specified(text: str, account: Account) -> str:
    """Return a text with its specifiers replaced, those that name directories."""
    if "%" not in text:
        return text
    configuration = posixpath.join(account.home, ".config") if account.is_user else "/etc"
    known = {"h": account.home, "t": account.runtime, "E": configuration, "%": "%"}
    return re.sub(r"%(.)", lambda found: known.get(found.group(1), found.group(0)), text)
