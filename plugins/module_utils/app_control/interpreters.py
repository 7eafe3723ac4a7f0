# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the script, or program, that the arguments of an interpreter or loader name.

Whoever starts an interpreter chooses its arguments, so this only adds to what is seen of an execution. Code in an
argument (``-c``), in a pipe, or read by a script itself (``source``, ``import``) is not found.
"""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import PROGRAM, SCRIPT

# A loader starts a shell, which starts a script; more levels are somebody's game.
_MOST_LEVELS = 3


class Operand(t.NamedTuple):
    """A file that is run. name: as it was given, relative to the working directory. kind: a program, or a script.

    endings: what the interpreter adds to the name of a file that there is not. is_searched: whether it looks for a name
    without a slash in the directories of PATH, too.
    """

    name: bytes
    kind: str
    endings: tuple[bytes, ...] = ()
    is_searched: bool = False


class _Grammar(t.NamedTuple):
    """The options of an interpreter.

    code: letters and long options with which no file is run, as the code comes from elsewhere. value: those with a
    value of their own. apart: letters whose value is always the next word, wherever they are in theirs. attached:
    letters whose value, if any, is the rest of the word. file: those whose value is the file. operand: whether the
    first argument that is no option is the file. words: options are whole words, as Java's. dash: whether "-" only
    ends the options, and is not the standard input. suffix: how the name of the operand ends. endings: as of an
    ``Operand``.
    """

    code: str = ""
    value: str = ""
    apart: str = ""
    attached: str = ""
    file: str = ""
    operand: bool = True
    words: bool = False
    dash: bool = False
    suffix: bytes = b""
    kind: str = SCRIPT
    endings: tuple[bytes, ...] = ()


_SHELL = _Grammar(code="c s --command", value="--rcfile --init-file --init-command", apart="o O", dash=True)
_AWK = _Grammar(value="F v i l --assign --field-separator --include --load", file="f E --file --exec", operand=False)
_GRAMMARS: tuple[tuple[str, _Grammar], ...] = (
    (r"(?:ba|da|z|k|mk|pdk|a|rba|ya|fi|c|tc)?sh(?:-static|\d.*)?", _SHELL),
    (r"(?:python|pypy)[\d.]*(?:-dbg|d|t)?", _Grammar(code="c m", value="W X Q --check-hash-based-pycs")),
    (r"perl[\d.]*", _Grammar(code="e E v V h", value="I", attached="C d D F i m M x")),
    (r"j?ruby[\d.]*", _Grammar(code="e", value="I r C E", attached="F i K W x")),
    (r"php(?:-cgi|dbg)?[\d.]*", _Grammar(code="r R B E S i m v", value="c d g z t", file="f F")),
    (
        r"node(?:js)?\d*|bun",
        _Grammar(
            code="e p i --eval --print --interactive",
            value="r C --require --import --loader --experimental-loader",
            endings=(b".js", b".mjs", b".cjs"),
        ),
    ),
    (r"(?:lua|luajit)[\d.-]*", _Grammar(value="e l", attached="j O b")),
    (r"(?:tclsh|wish)[\d.]*", _Grammar(value="-encoding", words=True)),
    (r"expect", _Grammar(value="c", file="f b")),
    (r"Rscript", _Grammar(code="e")),
    (r"(?:[gmn]|original-)?awk", _AWK),
    (
        r"java",
        _Grammar(
            code="-m --module -version --version -help --help",
            value="-cp -classpath --class-path -p --module-path --add-modules --add-exports --add-opens --add-reads",
            file="-jar",
            words=True,
            suffix=b".java",
        ),
    ),
    (
        r"ld(?:-linux.*|-musl-.*|64|-\d[\d.]*)?\.so(?:\.\d+)?",
        _Grammar(
            code="--list --verify --help --version --list-tunables --list-diagnostics",
            value="--library-path --inhibit-rpath --preload --audit --argv0 --glibc-hwcaps-prepend --glibc-hwcaps-mask",
            words=True,
            kind=PROGRAM,
        ),
    ),
)
_COMPILED = tuple((re.compile(pattern.encode("ascii")), grammar) for pattern, grammar in _GRAMMARS)
_BUSYBOX = re.compile(rb"busybox(?:[.-].*)?|toybox(?:[.-].*)?")


def is_interpreter(program: bytes) -> bool:
    """Return whether a program runs files that its arguments name. program: its path."""
    name = program[program.rfind(b"/") + 1 :]
    return _grammar(name) is not None or _BUSYBOX.fullmatch(name) is not None


def is_shell(program: bytes) -> bool:
    """Return whether a program runs a file as a script whose format the kernel does not know."""
    name = program[program.rfind(b"/") + 1 :]
    return _grammar(name) is _SHELL or _BUSYBOX.fullmatch(name) is not None


def takes_code(program: bytes) -> bool:
    """Return whether -c as the first argument of a program says that the next one is code."""
    grammar = _grammar(program[program.rfind(b"/") + 1 :])
    return grammar is not None and "c" in grammar.code.split()


def operands(program: bytes, arguments: t.Sequence[bytes]) -> list[Operand]:
    """Return the files that arguments have a program run. arguments: the name of the program is the first."""
    files: list[Operand] = []
    for _level in range(_MOST_LEVELS):
        name = program[program.rfind(b"/") + 1 :]
        if _BUSYBOX.fullmatch(name):
            # Its first argument names the applet, unless it was called by the name of that.
            called = arguments[0][arguments[0].rfind(b"/") + 1 :].lstrip(b"-") if arguments else b""
            if _BUSYBOX.fullmatch(called):
                arguments = arguments[1:]
                called = arguments[0] if arguments else b""
            name = called
        grammar = _grammar(name)
        position = None if grammar is None else _position(grammar, arguments)
        if grammar is None or position is None:
            break
        operand = arguments[position[0]][position[1] :]
        files.append(Operand(operand, grammar.kind, grammar.endings, grammar.dash and b"/" not in operand))
        if grammar.kind != PROGRAM:
            break
        program, arguments = operand, arguments[position[0] :]
    return files


@functools.lru_cache(maxsize=1024)
def _grammar(name: bytes) -> _Grammar | None:
    return next((grammar for pattern, grammar in _COMPILED if pattern.fullmatch(name)), None)


def _position(grammar: _Grammar, arguments: t.Sequence[bytes]) -> tuple[int, int] | None:
    """Return which argument names the file, and where in it the name begins; None where none does."""
    scan = _scan_words if grammar.words else _scan_letters
    number = 1
    while number < len(arguments):
        argument = arguments[number]
        if argument == b"--" or (grammar.dash and argument in (b"-", b"+")):
            number += 1
            break
        if argument == b"-":
            return None
        if argument[:1] != b"-" and not (grammar.dash and argument[:1] == b"+"):
            break
        step = scan(grammar, argument)
        if step.file is not None:
            return (number, step.file) if step.file < len(argument) else _following(arguments, number + 1)
        if step.ends:
            return None
        number += 1 + step.values
    if not grammar.operand or number >= len(arguments):
        return None
    return (number, 0) if arguments[number] and arguments[number].endswith(grammar.suffix) else None


class _Step(t.NamedTuple):
    """The meaning of one option. values: how many of the next arguments are its own.

    file: where the name of the file begins in it; at its end, it is the next argument.
    """

    ends: bool = False
    values: int = 0
    file: int | None = None


def _following(arguments: t.Sequence[bytes], number: int) -> tuple[int, int] | None:
    return (number, 0) if number < len(arguments) and arguments[number] else None


def _scan_words(grammar: _Grammar, argument: bytes) -> _Step:
    name, equals, _value = argument.partition(b"=")
    option = name.decode("ascii", "replace")
    if option in grammar.file.split():
        return _Step(file=len(name) + 1 if equals else len(argument))
    if option in grammar.code.split():
        return _Step(ends=True)
    return _Step(values=int(not equals and option in grammar.value.split()))


def _scan_letters(grammar: _Grammar, argument: bytes) -> _Step:
    if argument[:2] == b"--":
        return _scan_words(grammar, argument)
    values = 0
    for index, byte in enumerate(argument[1:], 1):
        letter = chr(byte)
        if letter in grammar.file.split():
            return _Step(file=index + 1)
        if letter in grammar.code.split():
            return _Step(ends=True)
        if letter in grammar.apart.split():
            values += 1
        elif letter in grammar.value.split():
            values = int(index + 1 == len(argument))
            break
        elif letter in grammar.attached.split():
            break
    return _Step(values=values)
