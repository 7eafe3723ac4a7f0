# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on a host by which apt and dpkg run ``hook``: an archive of Python code, and a line for each of them."""

from __future__ import annotations

import ast
import importlib.util
import io
import os
import shlex
import typing as t
import zipfile

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import module_source, state

PROGRAM = "hook.pyz"
APT_FIRST = "/etc/apt/apt.conf.d/00bulwark-app-control"
APT_LAST = "/etc/apt/apt.conf.d/zz-bulwark-app-control"
DPKG = "/etc/dpkg/dpkg.cfg.d/bulwark-app-control"
PATHS: tuple[str, ...] = (APT_FIRST, APT_LAST, DPKG)

_INTERPRETER = "/usr/bin/python3"
_PYTHON = _INTERPRETER + " -I -B"
_COLLECTION = "ansible_collections.bulwark.servers.plugins.module_utils"
_ENTRY = _COLLECTION + ".app_control.enforcement.hook"
_MAIN = "import sys\nfrom %s import main\nsys.exit(main(sys.argv[1:]))\n" % _ENTRY
_HEAD = "Written by bulwark.servers, which removes it with the policy of fapolicyd.\n"
# Debconf runs scripts of the new packages in its own hook, and needrestart programs in its own.
_APT_FIRST = """\
// {head}DPkg::Pre-Install-Pkgs {{ "{program} apt {state_dir}"; }};
DPkg::Tools::Options::{python} "";
DPkg::Tools::Options::{python}::Version "3";
"""
_APT_LAST = """\
// {head}DPkg::Post-Invoke {{ "{program} finish {state_dir}"; }};
"""
# Under apt, which sets the variable, apt's hooks have done it. dpkg runs a shell, whose parent it is.
_DPKG = """\
# {head}pre-invoke=[ -n "$DPKG_FRONTEND_LOCKED" ] || BULWARK_DPKG=$PPID {program} dpkg {state_dir}
post-invoke=[ -n "$DPKG_FRONTEND_LOCKED" ] || {program} finish {state_dir}
"""
_OLDEST = (1980, 1, 1, 0, 0, 0)


class File(t.NamedTuple):
    """A file to deploy. mode: 0644 or 0600."""

    content: bytes
    mode: int


def files(state_dir: str) -> dict[str, File]:
    """Return the files to deploy by their paths, the program first.

    state_dir: of the collection on the host. The same code makes the same bytes.
    """
    program = program_path(state_dir)
    words = {
        "head": _HEAD,
        "python": _INTERPRETER,
        "program": "%s %s" % (_PYTHON, shlex.quote(program)),
        "state_dir": shlex.quote(state_dir),
    }
    return {
        program: File(_archive(), 0o600),
        APT_FIRST: File(_APT_FIRST.format(**words).encode(), 0o644),
        APT_LAST: File(_APT_LAST.format(**words).encode(), 0o644),
        DPKG: File(_DPKG.format(**words).encode(), 0o644),
    }


def program_path(state_dir: str) -> str:
    """Return the path of the program, which nobody but root can write or read."""
    return os.path.join(os.path.normpath(state_dir), state.CAPABILITY, PROGRAM)


def _archive() -> bytes:
    sources = {"__main__.py": _MAIN.encode()}
    wanted = [_ENTRY]
    while wanted:
        name = wanted.pop()
        path = _path(name)
        if path is None or path in sources:
            continue
        sources[path] = _source(name)
        wanted.extend(_imports(sources[path]))
        wanted.append(name.rpartition(".")[0])
    archive = io.BytesIO()
    # Not compressed: other versions of zlib would make other bytes of the same code.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as written:
        for path, source in sorted(sources.items()):
            member = zipfile.ZipInfo(path, _OLDEST)
            written.writestr(member, source)
    return archive.getvalue()


def _path(name: str) -> str | None:
    """Return the path of a module in the archive, None for what is no module of the collection."""
    if not name:
        return None
    path = name.replace(".", "/")
    if _COLLECTION.startswith(name + "."):
        return path + "/__init__.py"
    if not (name + ".").startswith(_COLLECTION + "."):
        return None
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None  # What is imported is no module but a name in one.
    if spec is None:
        return None
    return path + ("/__init__.py" if spec.submodule_search_locations is not None else ".py")


def _source(name: str) -> bytes:
    if _COLLECTION.startswith(name + "."):
        return b""
    return module_source.read(name)


def _imports(source: bytes) -> t.Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from ("%s.%s" % (node.module, alias.name) for alias in node.names)
