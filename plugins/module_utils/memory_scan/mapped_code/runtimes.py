# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that load libraries which came with what they run.

They often unpack these into a temporary place and remove them at once (JNI of Java, add-ons of Node, wheels of Python),
or have just built them (rustc, R, Emacs). Anybody can give a file the name of one: it is one where the file is its
package's, as the package's digest says, or where its engine runs and has made code.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import (
    engines,
    formats,
    images,
    libraries,
    memory_code,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

_PROGRAMS = re.compile(
    rb"(?:java|python|pypy|node|ruby|perl|php|R|julia|mono|dotnet|lua|luajit|guile|tclsh|wish|beam\.smp|emacs|octave|"
    rb"deno|bun|electron|rustc|cargo|ghc|ocaml|sbcl|wine|wine64|wine-preloader|wine64-preloader)(?:[-.\d].*)?\Z"
)
# libffmpeg.so alone comes with Electron, whose programs have names of their own.
_LIBRARIES = re.compile(
    rb"lib(?:jvm|python|coreclr|mono|monosgen|R|ruby|perl|node|julia|php)(?:[-.\d][^/]*)?\.so[^/]*\Z|libffmpeg\.so\Z"
)


class _Runner(t.NamedTuple):
    """What runs files of a kind. names: of its own files. engines: by id, those of which one makes code in it."""

    names: re.Pattern[bytes]
    engines: frozenset[str]


# Of programs for Windows and .NET, and of archives of Java's classes.
_OF_PROGRAMS = _Runner(
    re.compile(rb"wine|ntdll\.so|mono|libcoreclr|libclrjit|libhostfxr|libhostpolicy|dotnet"),
    frozenset(("wine", "mono", "coreclr")),
)
_OF_ARCHIVES = _Runner(re.compile(rb"libjvm\.so"), frozenset(("hotspot", "openj9")))


def is_one(view: View, host: Host) -> bool:
    """Say whether a process is such a program, found out once."""
    key = ("runtimes", view.process.key)
    return bool(host.remember(key, lambda: _is_packaged(view, host) or bool(_running(view, host))))


def runs(view: View, host: Host, magic: bytes) -> bool:
    """Say whether a file that begins like this is an image, and the process has what runs such.

    The code in it is for another system, or looks so: nothing can be said of it by what it does.
    """
    if not magic.startswith(formats.IMAGES):
        return False
    wanted = _OF_PROGRAMS if magic.startswith(formats.PROGRAMS) else _OF_ARCHIVES
    key = ("runtimes", view.process.key, wanted)
    return bool(host.remember(key, lambda: _has_runtime(view, host, wanted)))


def _has_runtime(view: View, host: Host, wanted: _Runner) -> bool:
    named = [
        mapping
        for mapping in view.maps
        if mapping.executable and not mapping.anonymous and wanted.names.search(os.path.basename(mapping.path))
    ]
    if any(_is_as_packaged(view, host, one) for one in named):
        return True
    return bool(named) and not wanted.engines.isdisjoint(_running(view, host))


def _is_packaged(view: View, host: Host) -> bool:
    for mapping in view.maps:
        if mapping.executable and not mapping.anonymous and not mapping.deleted:
            names = _PROGRAMS if images.is_executable(view, mapping) else _LIBRARIES
            if names.match(os.path.basename(mapping.path)) and _is_as_packaged(view, host, mapping):
                return True
    return False


def _is_as_packaged(view: View, host: Host, mapping: Mapping) -> bool:
    """Say whether a mapped file is its package's, as far as the package says what is in it."""
    file = images.look_at(view, host, mapping)
    if file is None or libraries.package_of(host, mapping.path, file.status) is None:
        return False
    if not host.has_digests(mapping.path):
        return True
    return images.is_as_packaged(view, host, mapping) is True


def _running(view: View, host: Host) -> frozenset[str]:
    """Return the engines, by id, of runtimes that have made code in a process."""

    def find() -> frozenset[str]:
        regions = memory_code.regions(view, host)
        made = engines.explain(view, host, regions).values() if regions else ()
        return frozenset(engine.id for engine in made if engine.runtime)

    found: frozenset[str] = host.remember(("runtimes", "running", view.process.key), find)
    return found
