# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile each file of a collection once for all runs of Ansible in a test session.

Ansible's loader of collections compiles whatever it imports, each time it is started: some 600 files, which takes a
fifth of the processor time of a scan of one host, and hundreds of tests scan one. ``place`` puts this file into an
environment with Ansible, where it acts on processes with ``BULWARK_TEST_COMPILED`` alone. It keeps what ``compile``
returned by what it was given, so that Ansible executes the same code as without it; tests that install the collection
as users do have environments of their own, without it.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import marshal
import os
import pathlib
import sys
import types
import typing as t

VARIABLE = "BULWARK_TEST_COMPILED"

_LOADER = "ansible.utils.collection_loader._collection_finder"
_NAME = "bulwark_compiled_once"


def place(environment: pathlib.Path) -> None:
    """Put this file into a virtual environment, to be executed whenever its Python starts with VARIABLE."""
    (packages,) = environment.glob("lib/python3*/site-packages")
    hook = f'import os; os.environ.get("{VARIABLE}") and __import__("{_NAME}").begin()\n'
    for name, text in ((f"{_NAME}.py", pathlib.Path(__file__).read_text(encoding="utf-8")), (f"{_NAME}.pth", hook)):
        file = packages / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            aside = packages / f"{name}.{os.getpid()}"
            aside.write_text(text, encoding="utf-8")
            aside.replace(file)


def begin() -> None:
    """Have Ansible's loader compile by ``_compiled`` once it is imported."""
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds Ansible's loader as it is found without this, once, and changes what it compiles with."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != _LOADER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_change(module: types.ModuleType) -> None:
            execute(module)
            # The name in the module hides that of the builtin function, which it calls.
            module.__dict__["compile"] = _compiled

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]  # that of this one loader alone
        return spec


def _compiled(source: bytes, filename: str, mode: str, **options: t.Any) -> types.CodeType:
    """Return what ``compile`` does, from what it returned to whoever had the same question before."""
    about = repr((sys.version, filename, mode, sorted(options.items()))).encode()
    kept = pathlib.Path(os.environ[VARIABLE]) / hashlib.sha256(about + source).hexdigest()
    try:
        # What it loads was written below, into a directory of the test session's own.
        return t.cast("types.CodeType", marshal.loads(kept.read_bytes()))  # noqa: S302 - it is nobody else's
    except (OSError, ValueError, EOFError, TypeError):
        code = t.cast("types.CodeType", compile(source, filename, mode, **options))
    aside = kept.with_suffix(f".{os.getpid()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(marshal.dumps(code))
        aside.replace(kept)
    except OSError:  # an account that may not write there
        aside.unlink(missing_ok=True)
    return code
