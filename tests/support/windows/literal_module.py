# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read PowerShell modules of the only form that this collection allows, and refuse every other.

    #!powershell
    # comments
    #AnsibleRequires -CSharpUtil Ansible.Basic
    #AnsibleRequires -CSharpUtil ansible_collections.bulwark.servers.plugins.module_utils.windows.PACKAGE.File
    $spec = @{
        options = @{ path = @{ type = 'path'; required = $true } }
        supports_check_mode = $true
    }
    $module = [Ansible.Basic.AnsibleModule]::Create($args, $spec)
    [ansible_collections.bulwark.servers.plugins.module_utils.windows.PACKAGE.File.Class]::Run($module)
    $module.ExitJson()

The specification is literal: hashtables, arrays, strings, numbers, ``$true``, ``$false`` and ``$null``. No PowerShell
runs to read it, and a module of this form does nothing in PowerShell that its C# doesn't.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import typing as t

# Lines that are neither empty nor comments.
MOST_LINES = 40

_BASIC = "Ansible.Basic"
_REQUIRES = re.compile(r"#AnsibleRequires -CSharpUtil ([A-Za-z_][\w.]*)$")
_CREATE = "$module = [Ansible.Basic.AnsibleModule]::Create($args, $spec)"
_CALL = re.compile(r"\[(?P<utility>[A-Za-z_][\w.]*)\.(?P<name>[A-Za-z_]\w*)\]::Run\(\$module\)$")
_EXIT = "$module.ExitJson()"
_SPEC = "$spec = "

# A double-quoted string without what PowerShell would expand in it. PowerShell takes typographic quotes for quotes.
_TOKEN = re.compile(
    r"""(?P<skip>[ \t]+|\#[^\n]*)
    |(?P<newline>\r?\n)
    |(?P<open>@\{|@\()
    |(?P<mark>[})=;,])
    |'(?P<single>(?:[^'\n\u2018-\u201b]|'')*)'
    |"(?P<double>[^"`$\n\u201c-\u201e]*)"
    |(?P<number>-?\d+(?:\.\d+)?(?![\w.]))
    |(?P<constant>\$(?:true|false|null)(?!\w))
    |(?P<word>[A-Za-z_]\w*)""",
    re.VERBOSE | re.IGNORECASE,
)
_CONSTANTS: t.Final[t.Mapping[str, bool | None]] = {"$true": True, "$false": False, "$null": None}


class LiteralModuleError(Exception):
    """The module has another form. The message names the file, the line and what is expected there."""


@dataclasses.dataclass(frozen=True)
class LiteralModule:
    """A module as it was read.

    utilities: what it requires beside Ansible.Basic. spec: the specification as JSON values. call: the name of the C#
    class whose method ``Run`` it calls, with its namespace.
    """

    utilities: tuple[str, ...]
    spec: dict[str, t.Any]
    call: str


@dataclasses.dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int


def read(file: pathlib.Path) -> LiteralModule:
    """Read a module; raise LiteralModuleError."""
    return parse(file.read_text(encoding="utf-8"), file.name)


def parse(text: str, name: str) -> LiteralModule:
    """Read a module from its text. name: for the messages of LiteralModuleError."""
    lines = text.split("\n")
    if lines[0] != "#!powershell":
        raise _error(name, 1, "the first line has to be '#!powershell'")
    utilities: list[str] = []
    code: list[int] = []
    for number, line in enumerate(lines, 1):
        if line.lower().replace(" ", "").startswith(("#ansiblerequires", "#requires")):
            utilities.append(_required(name, number, line, before_code=not code))
        elif line.strip() and not line.lstrip().startswith("#"):
            code.append(number)
    if utilities[:1] != [_BASIC] or len(set(utilities)) != len(utilities):
        raise _error(name, 1, f"the first '#AnsibleRequires -CSharpUtil' has to name {_BASIC}, and each names another")
    if len(code) > MOST_LINES:
        raise _error(
            name, code[MOST_LINES], f"a module has at most {MOST_LINES} lines of code, and this has {len(code)}"
        )
    if len(code) < len((_SPEC, _CREATE, _CALL, _EXIT)):
        raise _error(
            name, len(lines), "a module is '$spec', the creation of '$module', one call and '$module.ExitJson()'"
        )
    *specification, create, call, leave = code
    for number, expected in ((create, _CREATE), (leave, _EXIT)):
        if lines[number - 1] != expected:
            raise _error(name, number, f"this line has to be '{expected}'")
    first, last = specification[0], create - 1
    if not lines[first - 1].startswith(f"{_SPEC}@{{"):
        raise _error(name, first, f"this line has to begin with '{_SPEC}@{{'")
    body = "\n".join([lines[first - 1].removeprefix(_SPEC), *lines[first:last]])
    spec = _Reader(_tokens(body, name, first), name).whole()
    return LiteralModule(tuple(utilities[1:]), spec, _called(name, call, lines[call - 1], utilities[1:]))


def _required(name: str, number: int, line: str, before_code: bool) -> str:
    match = _REQUIRES.match(line)
    if match is None or not before_code:
        raise _error(
            name, number, "only '#AnsibleRequires -CSharpUtil NAME' may be required, before the first line of code"
        )
    return match[1]


def _called(name: str, number: int, line: str, utilities: t.Sequence[str]) -> str:
    match = _CALL.match(line)
    if match is None:
        raise _error(name, number, "this line has to be '[UTILITY.Class]::Run($module)'")
    if match["utility"] not in utilities:
        raise _error(
            name, number, f"no '#AnsibleRequires -CSharpUtil {match['utility']}' brings the class of this call"
        )
    return f"{match['utility']}.{match['name']}"


def _tokens(text: str, name: str, line: int) -> list[_Token]:
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise _error(
                name, line, f"a literal cannot continue with '{text[position : position + 20].splitlines()[0]}'"
            )
        if match.lastgroup != "skip":
            tokens.append(_Token(match.lastgroup, match[match.lastgroup], line))
        line += match[0].count("\n")
        position = match.end()
    return [*tokens, _Token("end", "", line)]


class _Reader:
    """Recursive descent over the tokens of one literal."""

    def __init__(self, tokens: t.Sequence[_Token], name: str) -> None:
        self._tokens = tokens
        self._name = name
        self._next = 0

    def whole(self) -> dict[str, t.Any]:
        """Return the hashtable that is all there is."""
        value = self._value()
        self._skip("newline")
        if self._token().kind != "end":
            raise self._unexpected("the end of the specification")
        if not isinstance(value, dict):
            raise self._unexpected("a hashtable")
        return value

    def _value(self) -> t.Any:
        token = self._take()
        if token.kind == "open":
            return self._hashtable() if token.text == "@{" else self._array()
        if token.kind == "single":
            return token.text.replace("''", "'")
        if token.kind == "double":
            return token.text
        if token.kind == "number":
            return float(token.text) if "." in token.text else int(token.text)
        if token.kind == "constant":
            return _CONSTANTS[token.text.lower()]
        self._next -= 1
        raise self._unexpected("a literal value")

    def _hashtable(self) -> dict[str, t.Any]:
        table: dict[str, t.Any] = {}
        self._skip("newline", ";")
        while not self._ends("}"):
            key = self._take()
            if key.kind not in ("word", "single", "double") or self._take().text != "=":
                self._next -= 1
                raise self._unexpected("KEY = VALUE")
            # PowerShell compares keys without regard to case, and refuses a second one.
            if key.text.lower() in (existing.lower() for existing in table):
                raise _error(self._name, key.line, f"the key '{key.text}' is there twice")
            table[key.text] = self._value()
            if self._skip("newline", ";") == 0 and self._token().text != "}":
                raise self._unexpected("'}', ';' or the end of the line")
        return table

    def _array(self) -> list[t.Any]:
        """Return the values; raise LiteralModuleError where PowerShell would make one array of nested ones."""
        values: list[t.Any] = []
        has_commas = True
        self._skip("newline")
        begins_with_comma = self._ends(",")
        while not self._ends(")"):
            values.append(self._value())
            newlines = self._skip("newline")
            if not newlines and self._ends(","):
                self._skip("newline")
                if self._token().text == ")":
                    raise self._unexpected("a value")
            elif self._token().text != ")":
                has_commas = False
                if not newlines:
                    raise self._unexpected("')', ',' or the end of the line")
        is_nested = any(isinstance(value, list) for value in values)
        if begins_with_comma != (is_nested and len(values) == 1) or (is_nested and not has_commas):
            raise self._unexpected("', @(...)' for a single array in an array, or arrays with commas between them,")
        return values

    def _skip(self, *kinds: str) -> int:
        skipped = 0
        while self._token().kind in kinds or (self._token().kind == "mark" and self._token().text in kinds):
            self._next += 1
            skipped += 1
        return skipped

    def _ends(self, text: str) -> bool:
        if self._token().kind == "mark" and self._token().text == text:
            self._next += 1
            return True
        return False

    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token()
        if token.kind == "end":
            raise self._unexpected("more of the literal")
        self._next += 1
        return token

    def _unexpected(self, expected: str) -> LiteralModuleError:
        token = self._token()
        shown = {"newline": "the end of the line", "end": "the end"}.get(token.kind, f"'{token.text}'")
        return _error(self._name, token.line, f"{shown} is where {expected} has to be")


def _error(name: str, line: int, reason: str) -> LiteralModuleError:
    return LiteralModuleError(f"{name}:{line}: {reason}")
