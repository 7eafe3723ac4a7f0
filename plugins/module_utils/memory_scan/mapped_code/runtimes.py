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

# Names of the files that run programs for Windows and .NET, and archives of HotSpot's classes.
_OF_PROGRAMS = re.compile(rb"wine|ntdll\.so|mono|libcoreclr|libclrjit|libhostfxr|libhostpolicy|dotnet")
_OF_ARCHIVES = re.compile(rb"libjvm\.so")


def is_one(view: View, host: Host) -> bool:
    """Say whether a process is such a program, found out once."""
    key = ("runtimes", view.process.key)
    return bool(host.remember(key, lambda: _is_packaged(view, host) or _is_running(view, host)))


def runs(view: View, host: Host, magic: bytes) -> bool:
    """Say whether a file that begins like this is an image, and the process has what runs such.

    The code in it is for another system, or looks so: nothing can be said of it by what it does.
    """
    if not magic.startswith(formats.IMAGES):
        return False
    wanted = _OF_PROGRAMS if magic.startswith(formats.PROGRAMS) else _OF_ARCHIVES
    key = ("runtimes", view.process.key, wanted.pattern)
    return bool(host.remember(key, lambda: _has_runtime(view, host, wanted)))


def _has_runtime(view: View, host: Host, wanted: re.Pattern[bytes]) -> bool:
    named = [
        mapping
        for mapping in view.maps
        if mapping.executable and not mapping.anonymous and wanted.search(os.path.basename(mapping.path))
    ]
    return bool(named) and (any(_is_as_packaged(view, host, one) for one in named) or _is_running(view, host))


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
    descriptor = view.open_mapped(mapping)
    if descriptor is None:
        return False
    try:
        return host.as_packaged(mapping.path, descriptor) is not None
    finally:
        os.close(descriptor)


def _is_running(view: View, host: Host) -> bool:
    regions = memory_code.regions(view, host)
    return any(engine.runtime for engine in engines.explain(view, host, regions).values()) if regions else False
