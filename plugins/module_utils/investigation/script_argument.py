# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the script that an interpreter was started with, as in ``sh /srv/job.sh``: it is what the process executes."""

from __future__ import annotations

import os
import posixpath
import re
import typing as t

_SHELL = re.compile(rb"(?:ba|da|a|z|k|mk|c|tc|fi)?sh\Z")
_OTHER = re.compile(rb"(?:python|perl|ruby|lua|php(?:-cgi|-fpm)?|node|nodejs|tclsh|wish|Rscript)[\d.]*\Z")
# Options after which the program text or a module follows, and no file: sh -c, python -c and -m, perl -e, php -r.
_TEXT = re.compile(rb"-(?:c|m|e|E|r|p|pe|ne|R|-eval|-print|-run)\Z")
# Options with a value of their own.
_VALUED = frozenset((b"-W", b"-X", b"-d", b"-I", b"-M", b"-O", b"-o", b"+O", b"+o", b"--rcfile", b"--init-file", b"-l"))
_MOST_WORDS = 20


def is_interpreter(exe: bytes) -> bool:
    """Say whether a program runs scripts, by its file name."""
    name = os.path.basename(exe)
    return _SHELL.match(name) is not None or _OTHER.match(name) is not None


def find(exe: bytes, arguments: t.Sequence[bytes], directory: bytes = b"") -> bytes:
    """Return the absolute path of the script; b"" if there is none, or if it is relative to an unknown directory."""
    if not is_interpreter(exe):
        return b""
    is_shell = _SHELL.match(os.path.basename(exe)) is not None
    words = iter(arguments[1:_MOST_WORDS])
    for word in words:
        if word == b"--":
            continue
        if word[:1] in (b"-", b"+") and len(word) > 1:
            is_command = word[:1] == b"-" and word[1:2] != b"-" and b"c" in word
            if is_command if is_shell else _TEXT.match(word):
                return b""
            if word in _VALUED and not (is_shell and word == b"-l"):
                next(words, b"")
            continue
        return _absolute(word, directory)
    return b""


def _absolute(word: bytes, directory: bytes) -> bytes:
    if word in (b"", b"-"):
        return b""
    if word.startswith(b"/"):
        return posixpath.normpath(word)
    return posixpath.normpath(posixpath.join(directory, word)) if directory.startswith(b"/") else b""
