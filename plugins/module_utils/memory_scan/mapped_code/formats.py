# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that runtimes map executable although they are no ELF files: what they begin with, and whose they are.

A file begins with whatever its maker likes, so that alone says only what it may be.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

# Programs for Windows and .NET, and archives of HotSpot's classes.
_PROGRAMS = b"MZ"
_ARCHIVES = (b"\xa2\xba\x0b\xf0", b"\xa8\xba\x0b\xf0")
# The mark that perf(1) looks for of a runtime that writes down what it compiles.
_RECORDS = (b"DTiJ", b"JiTD")
FOREIGN = (_PROGRAMS, *_ARCHIVES, *_RECORDS)
IMAGES = (_PROGRAMS, *_ARCHIVES)
# Names of the files that the runtimes of these are.
_OF_PROGRAMS = re.compile(rb"wine|ntdll\.so|mono|libcoreclr|libclrjit|libhostfxr|libhostpolicy|dotnet")
_OF_ARCHIVES = re.compile(rb"libjvm\.so")


def is_of_runtime(view: View, host: Host, magic: bytes) -> bool:
    """Say whether a file that begins like this is an image, and the process has what runs such.

    The code in it is for another system, or looks so: nothing can be said of it by what it does.
    """
    if not magic.startswith(IMAGES):
        return False
    wanted = _OF_PROGRAMS if magic.startswith(_PROGRAMS) else _OF_ARCHIVES
    key = ("formats", view.process.key, wanted.pattern)
    return t.cast("bool", host.remember(key, lambda: _has_code_of(view, wanted)))


def _has_code_of(view: View, wanted: t.Pattern[bytes]) -> bool:
    return any(
        mapping.executable and not mapping.anonymous and wanted.search(os.path.basename(mapping.path))
        for mapping in view.maps
    )
