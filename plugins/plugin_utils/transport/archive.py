# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code that looks need on hosts, as one text that is the same for all of them."""

from __future__ import annotations

import ast
import base64
import functools
import hashlib
import json
import os
import pathlib
import typing as t
import zlib

from ansible_collections.bulwark.servers.plugins.plugin_utils import cache

CODE = pathlib.Path(__file__).resolve().parents[2] / "module_utils"
# Files, and all below a directory, that change a host and that no look imports. They go with the modules that do so.
LEFT_OUT = (
    "app_control/enforcement/absent.py",
    "app_control/enforcement/apply.py",
    "app_control/enforcement/apply_window.py",
    "app_control/enforcement/hook.py",
    "app_control/enforcement/hooks.py",
    "app_control/enforcement/on_trial.py",
    "app_control/enforcement/refusals.py",
    "app_control/enforcement/renewal.py",
    "app_control/enforcement/trusted.py",
    "app_control/enforcement/watcher.py",
    "app_control/enforcement/watcher_program.py",
    "app_control/enforcement/watchers.py",
    "fapolicyd/proof.py",
    "host_state/",
    "jit_access/apply_grant.py",
    "memory_scan/apply.py",
    "memory_scan/capture.py",
    "simulation/",
)


class Archive(t.NamedTuple):
    """packed: as ``host_scan`` takes it. digest: the SHA-256 of what is in it, a JSON object of its files by path."""

    packed: str
    digest: str


@functools.lru_cache(maxsize=1)
def load() -> Archive:
    """Return the archive of this installation, from the cache if its files are those it was made from."""
    files = _files(CODE)
    described = [(name, status.st_size, status.st_mtime_ns) for name, (_path, status) in files.items()]
    key = hashlib.sha256(json.dumps([str(CODE), described]).encode("utf-8")).hexdigest()
    # Nobody has to wait until rules are compiled, nor do many rules displace it.
    found = cache.cached(cache.default_directory(os.environ) / "code", key, lambda: make(CODE)._asdict())
    return Archive(**found)


def make(directory: pathlib.Path) -> Archive:
    """Return the archive of a directory's code."""
    files = {name: path for name, (path, _status) in _files(directory).items()}
    sources = {name: _undocumented(path.read_text(encoding="utf-8")) for name, path in files.items()}
    text = json.dumps(sources, sort_keys=True).encode("ascii")
    packed = base64.b64encode(zlib.compress(text, 9)).decode("ascii")
    return Archive(packed, hashlib.sha256(text).hexdigest())


def _undocumented(source: str) -> str:
    """Return source without docstrings, a fifth of the archive. Statements stay on their lines, for tracebacks."""
    lines = source.split("\n")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        first = node.body[0] if node.body else None
        if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant):
            continue
        if isinstance(first.value.value, str) and first.end_lineno is not None:
            lines[first.lineno - 1] = " " * first.col_offset + '""'
            lines[first.lineno : first.end_lineno] = [""] * (first.end_lineno - first.lineno)
    return "\n".join(lines)


def _files(directory: pathlib.Path) -> dict[str, tuple[pathlib.Path, os.stat_result]]:
    paths = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*.py")}
    return {name: (path, path.stat()) for name, path in sorted(paths.items()) if not name.startswith(LEFT_OUT)}
