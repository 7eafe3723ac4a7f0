# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries that were brought into a process from outside, and who holds on to it from outside."""

from __future__ import annotations

import os
import re
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import (
    programs,
    standing,
    surroundings,
    tracers,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.surroundings import UnknownError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import (
    images,
    libraries,
    needs,
    preload_file,
    runtimes,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.images import File
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.needs import Unneeded
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

# What only root can put files into, so that nothing there is anybody else's.
_SYSTEM = (b"/usr/", b"/lib/", b"/lib32/", b"/lib64/", b"/libx32/", b"/bin/", b"/sbin/")
# Where packages of other kinds keep what they preload, read-only: snap, flatpak, Nix, Guix.
_BUNDLED = (b"/snap/", b"/app/", b"/var/lib/flatpak/", b"/nix/store/", b"/gnu/store/")
# Where administrators install what no package of the host's has.
_INSTALLED = (b"/opt/", b"/usr/local/", b"/srv/")
_ORDINARY_USERS = 1000
_NOBODY = 65534
_PRELOADING = (b"LD_PRELOAD", b"LD_AUDIT")
# The same as options of the loader, where that is what was started (ld.so(8)).
_PRELOAD_OPTIONS = (b"--preload", b"--audit")
_SEPARATORS = re.compile(rb"[: ]+")

_LIMIT = 8


class _About(t.NamedTuple):
    """A library and what is known of it. preloaded: whether somebody says that it is to be loaded first.

    runtime: whether the program is one that loads what came with its own programs.
    """

    mapping: Mapping
    preloaded: bool
    runtime: bool
    unneeded: Unneeded

    @property
    def is_unneeded(self) -> bool:
        key = needs.key(self.mapping)
        return key in self.unneeded.unpackaged or key in self.unneeded.altered


def check(view: View, host: Host) -> t.Iterator[Sign]:
    """Yield what was brought into a process, one sign of each kind."""
    traced = _traced(view, host)
    if traced is not None:
        yield traced
    process = view.process
    named = _named(process)
    listed = preload_file.of_namespace(host, process)
    found: dict[tuple[str, str | None], list[Mapping]] = {}
    loaded = libraries.mapped(view)
    runtime = runtimes.is_one(view, host)
    unneeded = needs.find(view, host, loaded)
    for mapping in loaded:
        file = images.look_at(view, host, mapping)
        unopened = file is None and not mapping.deleted and not view.is_refused(mapping)
        if unopened and _leads_nowhere(process, host, mapping):
            found.setdefault(("library_detached", None), []).append(mapping)
        name = os.path.basename(mapping.path)
        preloaded = name in named or name in listed
        about = _About(mapping, preloaded, runtime, unneeded)
        if mapping.path.startswith(_SYSTEM) and not (preloaded or mapping.deleted or about.is_unneeded):
            continue
        judged = None if file is None or file.image is None else _judged(view, host, file, about)
        if judged is not None:
            if judged[0] == "library_preloaded_unpackaged" and name in listed:
                judged = ("library_preloaded", "medium")
            found.setdefault(judged, []).append(mapping)
    for (subtype, severity), mappings in found.items():
        yield _sign(view, subtype, severity, mappings)


def _leads_nowhere(process: Process, host: Host, mapping: Mapping) -> bool:
    """Say whether the path of a file that can't be opened is none of it: its file system was taken from its place."""
    around = surroundings.of(host)
    try:
        there = around.status(mapping.path, process.pid if standing.elsewhere(process, around) else None)
    except UnknownError:
        return False
    return there is None or there.st_ino != mapping.inode


def check_host(host: Host, skip: t.Callable[[str], None]) -> t.Iterator[tuple[str, Sign]]:
    """Yield what every program that starts is made to load. skip: takes what could not be looked at."""
    path = os.fsdecode(preload_file.PATH)
    if os.path.exists(path) and not os.access(path, os.R_OK):
        skip("%s can't be read; run as root (become: true, or sudo make scan)" % path)
    yield from preload_file.check(host, skip)


def _named(process: Process) -> frozenset[bytes]:
    """Return the names of the files that the loader was told to load first, by the environment or its own options."""
    lists = [process.environment.get(variable, b"") for variable in _PRELOADING]
    if programs.is_loader(process):
        given = process.arguments
        lists += [value for option, value in zip(given[1:], given[2:]) if option in _PRELOAD_OPTIONS]
    return frozenset(os.path.basename(path) for one in lists for path in _SEPARATORS.split(one) if path)


def _judged(view: View, host: Host, file: File, about: _About) -> tuple[str, str | None] | None:
    """Return the subtype, and the severity where it isn't the subtype's; None where nothing is wrong with a file."""
    mapping, runtime = about.mapping, about.runtime
    if mapping.path.startswith(images.MEMORY_FILE):
        return "library_in_memory", None
    if mapping.deleted:
        return _of_deleted(view, host, mapping, file, runtime)
    if needs.key(mapping) in about.unneeded.altered:
        return "library_altered", None
    if libraries.package_of(host, mapping.path, file.status) is not None:
        return None
    temporary = libraries.is_temporary(mapping.path)
    if about.preloaded:
        if temporary or libraries.is_loose(file) or libraries.is_foreign(view, file):
            return "library_preloaded", None
        bundled = view.process.container is not None or mapping.path.startswith(_BUNDLED)
        return "library_preloaded_unpackaged", "informational" if bundled else None
    if temporary:
        return _of_temporary(view, host, mapping, file, runtime)
    if needs.key(mapping) in about.unneeded.early and os.path.basename(mapping.path) not in preload_file.of_host(host):
        # Of what packages ship in a container nothing is known here.
        return "library_preloaded_unnamed", None if libraries.is_hosts(host, mapping, file.status) else "low"
    if libraries.is_loose(file):
        return "library_of_others", "low"
    if libraries.is_foreign(view, file):
        return "library_of_others", None
    return ("library_unpackaged", None) if _is_unexpected(view, host, about) else None


def _is_unexpected(view: View, host: Host, about: _About) -> bool:
    """Say whether a package's program, of the system's accounts, has a library that came from somewhere else.

    It may be one that was brought while it runs. Administrators install what programs need where no package does.
    """
    process = view.process
    if about.runtime or process.container is not None or _ORDINARY_USERS <= process.users[1] != _NOBODY:
        return False
    installed = about.mapping.path.startswith((*_INSTALLED, *_BUNDLED)) and not about.is_unneeded
    return not installed and libraries.package_of_executable(host, process) is not None


def _of_deleted(view: View, host: Host, mapping: Mapping, file: File, runtime: bool) -> tuple[str, str | None] | None:
    if libraries.was_replaced(view, host, mapping):
        return None
    if libraries.is_foreign(view, file):
        return "library_removed", None
    if libraries.is_temporary(mapping.path):
        return ("library_without_file", "informational") if runtime else ("library_removed", None)
    # In a container it is the container's packages that were upgraded, which nobody here knows of.
    explained = view.process.container is not None or libraries.has_follower(view, host, mapping)
    return "library_without_file", "informational" if explained else None


def _of_temporary(view: View, host: Host, mapping: Mapping, file: File, runtime: bool) -> tuple[str, str | None]:
    loose = libraries.is_loose(file) or libraries.is_foreign(view, file)
    if loose or mapping.path.startswith(b"/dev/"):
        return "library_from_temporary_place", None
    if runtime:
        return "library_in_temporary_place", "informational"
    if libraries.package_of_executable(host, view.process) is not None:
        return "library_from_temporary_place", "medium"
    # What unpacks itself does so into a directory of its own.
    directory = os.path.dirname(mapping.path) + b"/"
    return "library_in_temporary_place", None if directory in libraries.TEMPORARY else "informational"


def _sign(view: View, subtype: str, severity: str | None, mappings: t.Sequence[Mapping]) -> Sign:
    detail = "it has loaded %s" % _shown(mappings[0])
    if len(mappings) > 1:
        detail += ", and %d more like it" % (len(mappings) - 1)
    memory = tuple(facts.describe(view, mapping) for mapping in mappings[:_LIMIT])
    data: dict[str, t.Any] = {"files": [_file(view, mapping) for mapping in mappings[:_LIMIT]]}
    if view.process.environment:
        data["loader_environment"] = {printable(name): printable(it) for name, it in view.process.environment.items()}
    return Sign(subtype, detail, memory, severity, data)


def _file(view: View, mapping: Mapping) -> dict[str, t.Any]:
    """Return what tells a file from others, as evidence."""
    shown: dict[str, t.Any] = {"path": _shown(mapping)}
    descriptor = view.open_mapped(mapping)
    if descriptor is not None:
        try:
            status = os.fstat(descriptor)
            shown.update(size=status.st_size, owner=status.st_uid, mode="%04o" % stat.S_IMODE(status.st_mode))
            shown["sha256"] = images.sha256(descriptor)
        finally:
            os.close(descriptor)
    return shown


def _shown(mapping: Mapping) -> str:
    return printable(mapping.path) + (" (deleted)" if mapping.deleted else "")


def _traced(view: View, host: Host) -> Sign | None:
    tracer = tracers.of(view, host)
    if tracer is None:
        return None
    data: dict[str, t.Any] = {"tracer": view.process.tracer}
    if tracer.unread is not None:
        view.skip("what traces it, process %d: %s" % (view.process.tracer, tracer.unread))
        return Sign("traced", "it is traced by process %d" % view.process.tracer, data=data)
    if tracer.process is None or tracer.process.executable is None:
        return Sign(
            "traced_by_unknown", "it is traced by process %d, which can't be seen" % view.process.tracer, data=data
        )
    path, process = tracer.process.executable, tracer.process
    data["tracer_path"] = printable(path)
    detail = "it is traced by process %d, %s" % (process.pid, printable(path))
    if tracer.is_debugger:
        return Sign("traced", detail, data=data)
    if path.startswith(images.MEMORY_FILE) or process.executable_deleted or libraries.is_temporary(path):
        return Sign("traced_by_unknown", detail, severity="high", data=data)
    # A packaged interpreter does what it is told; a program that traces another of itself does so for its own ends.
    if tracer.package is not None or process.container is not None or path == view.process.executable:
        return Sign("traced", detail, severity="low", data=data)
    return Sign("traced_by_unknown", detail, data=data)
