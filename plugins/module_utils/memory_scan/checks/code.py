# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code where none should be: shellcode, images and other code in memory that no file has (ATT&CK T1620, T1055).

Shellcode is looked for in all of it. What engine a process has only decides whether code that says nothing by itself
is worth a word. How much that is depends on how much the program is trusted, and on whether a thread runs the code.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import code_regions, code_signs
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks.code_regions import Region
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import places
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import shellcode
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import (
    callers,
    engines,
    images,
    libraries,
    memory_code,
    runtimes,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.memory_code import Layout
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

_NO_PLACE_FOR_CODE = (memory_code.STACK, memory_code.HEAP)
# Seconds. A busy machine lets whoever makes code wait while it is looked at.
_PAUSE = 0.1
# Where an engine may be the maker. One of 300 looks at a Node.js that compiles all the time needs the first of them.
_LONG_PAUSES = (0.3, 1.0)


def check(view: View, host: Host) -> t.Iterator[Sign]:
    """Yield what is wrong with a process's code, each kind once."""
    if view.process.is_kernel_thread:
        return
    everything = memory_code.everything_is_executable(view)
    found = memory_code.regions(view, host)
    if found:
        yield from _of_memory(view, host, found, everything)
    if not everything:
        yield from _of_files(view, host)
    hidden = callers.of_data(view, memory_code.machine(view, host))
    if hidden:
        yield code_signs.describe_hidden(view, hidden)


def _of_memory(view: View, host: Host, found: t.Sequence[Mapping], everything: bool) -> t.Iterator[Sign]:
    layout = memory_code.Layout(view)
    searched = code_regions.search(view, host, layout, found)
    images_found: list[Region] = []
    rest: list[Region] = []
    machine = memory_code.machine(view, host) if searched else 0
    for region in searched:
        (images_found if _is_image(view, layout, region, machine) else rest).append(region)
    plain = [region for region in rest if not region.hits]
    if (images_found or plain) and _is_blind(view):
        view.skip("it is not known what generates the code in its memory: not all of its files can be opened")
        images_found, plain = [region for region in images_found if region.mapping.anonymous], []
    if any(region.engine is not None for region in plain):
        doubtful = [region for region in plain if region.engine is None]
        lasting = _lasting(view, host, doubtful)
        plain = [region for region in plain if region.engine is not None or region in lasting]
    if images_found:
        yield code_signs.describe_image(view, images_found)
    by_kind: dict[str, list[Region]] = {}
    chances = [region for region in rest if region.hits and code_regions.is_chance(view, region)]
    if chances:
        yield code_signs.describe_lone_call(view, chances)
    for region in rest:
        if region.hits and region not in chances:
            by_kind.setdefault(shellcode.gravest(region.hits).kind, []).append(region)
    for kind in sorted(by_kind, key=shellcode.KINDS.index):
        yield code_signs.describe_shellcode(view, kind, by_kind[kind])
    unexplained = [one.mapping for one in plain if one.engine is None or one.mapping.path == memory_code.STACK]
    mixed = [one for one in unexplained if everything or one.path in _NO_PLACE_FOR_CODE]
    run = callers.of_code(view, machine, unexplained, mixed)
    if everything:
        if run:
            yield code_signs.describe_run(view, run)
        yield _everything_sign(view, host, found)
        return
    yield from _places(view, host, plain, run)


def _is_blind(view: View) -> bool:
    """Say whether there are no rights to open a file that code is run from: it may make code, or want it somewhere."""
    return any(view.is_refused(one) for one in view.maps if one.executable and not one.anonymous)


def _is_image(view: View, layout: Layout, region: Region, machine: int) -> bool:
    """Say whether a region is code of an ELF image that was loaded without the loader."""
    if region.images:
        return True
    mapping = region.mapping
    if region.engine is not None or not memory_code.is_plain(mapping):
        return False
    return layout.has_header(mapping, machine) or memory_code.mimics_library(view, layout, mapping)


def _places(view: View, host: Host, regions: t.Sequence[Region], run: code_signs.Run) -> t.Iterator[Sign]:
    """Yield that code is on the stack or the heap, or where no engine of the process makes any.

    run: which threads are in it.
    """
    trusted = _is_trusted(view, host)
    grave = {mapping: run[mapping] for mapping in run if trusted or mapping.path in _NO_PLACE_FOR_CODE}
    if grave:
        yield code_signs.describe_run(view, grave)
    regions = [region for region in regions if region.mapping not in grave]
    stack = [region for region in regions if region.mapping.path == memory_code.STACK]
    heap = [region for region in regions if region.mapping.path == memory_code.HEAP and region.engine is None]
    wanting = memory_code.wants_executable_stack(view, host) if stack else None
    if stack and wanting is not None:
        severity = None if host.owner(wanting.path) else "low"
        detail = "%s says that its stack shall be executable" % printable(wanting.path)
        yield Sign("stack_declared_executable", detail, code_signs.describe_memory(view, stack), severity)
    elif stack:
        yield Sign(
            "executable_stack",
            "its stack is executable, and no file of it asks for that",
            code_signs.describe_memory(view, stack),
        )
    if heap:
        yield Sign("executable_heap", "its heap is executable", code_signs.describe_memory(view, heap))
    others = [region for region in regions if region.engine is None and region not in stack and region not in heap]
    if wanting is not None:
        stacks = memory_code.thread_stacks(view, [region.mapping for region in others])
        others = [region for region in others if region.mapping not in stacks]
    if others:
        yield code_signs.describe_anonymous(view, others, run, trusted)


class _ViewNow:
    """A process with its mappings as they are now, and everything else as the view has it."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.maps = view.maps_again()

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._view, name)


def _lasting(view: View, host: Host, regions: t.Sequence[Region]) -> list[Region]:
    """Return the regions that are still there and unexplained, and note those that are gone.

    An engine's thread that ends takes its code along: nobody can say any more who had its address. Of code that was
    being made when it was looked at, its maker has the address by now, maybe in memory that it has only since then.
    """
    for pause in (0.0, _PAUSE, *_LONG_PAUSES):
        if not regions or (pause and host.seconds_left() <= pause):
            break
        if pause in _LONG_PAUSES and not engines.is_shaped(view, host, [region.mapping for region in regions]):
            break
        time.sleep(pause)
        now = t.cast("View", _ViewNow(view))
        explained = engines.explain(now, host, [region.mapping for region in regions])
        regions = [region for region in regions if region.mapping not in explained]
    mappings = [region.mapping for region in regions]
    there = {one for one in mappings if view.pages(one).swapped or not memory_code.is_empty(view, one)}
    lasting = [region for region in regions if region.mapping in there]
    if len(lasting) < len(regions):
        view.skip("%d places with code were gone before it was clear what had made it" % (len(regions) - len(lasting)))
    return lasting


def _is_trusted(view: View, host: Host) -> bool:
    """Say whether a program is a package's, or lies where only packages' programs do, as in a container.

    Its file may be gone, as after an upgrade. Who makes a program look so has it judged the harder.
    """
    process = view.process
    path = process.executable
    return path is not None and (places.is_packaged(path) or libraries.package_of_executable(host, process) is not None)


def _everything_sign(view: View, host: Host, found: t.Sequence[Mapping]) -> Sign:
    """Return that all is executable: mere information of a package's old program, and not of one that asks for less."""
    severity = None
    if _is_trusted(view, host):
        severity = "medium" if memory_code.wants_executable_stack(view, host) is None else "informational"
    detail = "all of its memory is executable, in %d places: it asked the kernel for that, or is an old program" % (
        len(found)
    )
    first = [mapping for mapping in found if mapping.path in (memory_code.STACK, memory_code.HEAP)][:2] or found[:1]
    memory = tuple(facts.describe(view, mapping) for mapping in first)
    return Sign("everything_executable", detail, memory, severity)


def _of_files(view: View, host: Host) -> t.Iterator[Sign]:
    """Yield that files are mapped for writing and running code at once."""
    found = [
        mapping
        for mapping in view.maps
        if mapping.executable and mapping.writable and engines.kind_of(mapping) is None and not mapping.anonymous
    ]
    if not found:
        return
    machine = memory_code.machine(view, host)
    regions = [Region(mapping, None, code_regions.find_written(view, host, mapping, machine), ()) for mapping in found]
    guilty = [region for region in regions if region.hits]
    if guilty:
        kind = min((shellcode.gravest(region.hits).kind for region in guilty), key=shellcode.KINDS.index)
        yield code_signs.describe_shellcode(view, kind, guilty)
        return
    found = [mapping for mapping in found if not view.is_refused(mapping)]
    if not found:
        return
    own = all(_is_own(view, host, mapping) for mapping in found)
    severity = "informational" if own else "medium" if _is_trusted(view, host) else None
    detail = "%s is mapped for writing and for running code" % code_signs.name_of(found[0])
    names = {mapping.path for mapping in found}
    if len(names) > 1:
        detail += ", and %d files more" % (len(names) - 1)
    yield Sign("writable_code_file", detail, code_signs.describe_memory(view, regions), severity)


def _is_own(view: View, host: Host, mapping: Mapping) -> bool:
    """Say whether a file is a program's own: of its package, or what a runtime in the process runs.

    What is run in its place need not be what the file has, so that any package's is not enough, unless it asks for it.
    """
    file = images.look_at(view, host, mapping)
    if file is not None and runtimes.runs(view, host, file.magic):
        return True
    owner, program = host.owner(mapping.path), libraries.package_of_executable(host, view.process)
    if owner is None:
        return False
    asks = file is not None and file.writable_code
    return asks or (program is not None and owner.split()[:1] == program.split()[:1])
