# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile each file of a collection once for all runs of Ansible in a test session.

Ansible's loader of collections compiles whatever it imports, each time it is started: some 600 files, which takes a
fifth of the processor time of a scan of one host, and hundreds of tests scan one. ``install`` puts this file into an
environment with Ansible. There it acts only on processes with the variable ``BULWARK_TEST_COMPILED``, which names the
directory of the cache. The digest of the source and of all arguments of ``compile`` names the cached code, so that
Ansible executes the same code as without the cache. Tests that install the collection as users do have environments of
their own, without it.
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


def install(environment: pathlib.Path) -> None:
    """Put this file into a virtual environment, whose Python executes it at each start with VARIABLE."""
    (packages,) = environment.glob("lib/python3*/site-packages")
    hook = f'import os; os.environ.get("{VARIABLE}") and __import__("{_NAME}").begin()\n'
    for name, text in ((f"{_NAME}.py", pathlib.Path(__file__).read_text(encoding="utf-8")), (f"{_NAME}.pth", hook)):
        file = packages / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            aside = packages / f"{name}.{os.getpid()}"
            aside.write_text(text, encoding="utf-8")
            aside.replace(file)


def begin() -> None:
    """Make Ansible's loader compile by ``_compiled`` as soon as it is imported."""
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Lets the other finders find Ansible's loader, once, and replaces its ``compile``."""

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

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]  # it changes this one loader, not its class
        return spec


def _compiled(source: bytes, filename: str, mode: str, **options: t.Any) -> types.CodeType:
    """Return what ``compile`` returns, from the cache if it has been called with the same arguments before."""
    arguments = repr((sys.version, filename, mode, sorted(options.items()))).encode()
    file = pathlib.Path(os.environ[VARIABLE]) / hashlib.sha256(arguments + source).hexdigest()
    try:
        return t.cast("types.CodeType", marshal.loads(file.read_bytes()))  # noqa: S302 - only the tests write there
    except (OSError, ValueError, EOFError, TypeError):
        code = t.cast("types.CodeType", compile(source, filename, mode, **options))
    aside = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(marshal.dumps(code))
        aside.replace(file)
    except OSError:  # an account that may not write there
        aside.unlink(missing_ok=True)
    return code
