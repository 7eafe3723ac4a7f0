# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code where none should be: shellcode, images and other code in memory that no file has (ATT&CK T1620, T1055).

Shellcode is looked for in all of it. What engine a process has only decides whether code that says nothing by itself
is worth a word. How much that is depends on how much the program is trusted, and on whether a thread runs the code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import places
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import shellcode
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.effort import Effort
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.shellcode import Hit
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import (
    callers,
    contents,
    engines,
    images,
    libraries,
    memory_code,
    packed,
    runtimes,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.callers import Caller
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.engines import Engine
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.memory_code import Layout
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import PAGE, Mapping, Memory, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

# Of engines that have made more than this, the rest is not searched: 1 s for each 100 MB.
MOST_SEARCHED = 256 << 20
# Of memory that no engine explains, more is searched.
MOST_UNEXPLAINED = 2 << 30
# What pieces may take together that were made to take long: some 10 s.
_MOST_EFFORT = 5_000_000
_DESCRIBED = 8
_MOST_HITS = 64
_NO_PLACE_FOR_CODE = (memory_code.STACK, memory_code.HEAP)


class _Region(t.NamedTuple):
    """Memory that holds code. hits: shellcode, by address. images: addresses where an ELF image begins."""

    mapping: Mapping
    engine: Engine | None
    hits: tuple[Hit, ...]
    images: tuple[int, ...]


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
        yield _hidden_sign(view, hidden)


def _of_memory(view: View, host: Host, found: t.Sequence[Mapping], everything: bool) -> t.Iterator[Sign]:
    layout = memory_code.Layout(view)
    searched = _searched(view, host, layout, found)
    images_found: list[_Region] = []
    rest: list[_Region] = []
    machine = memory_code.machine(view, host) if searched else 0
    for region in searched:
        (images_found if _is_image(view, layout, region, machine) else rest).append(region)
    plain = [region for region in rest if not region.hits]
    if (images_found or plain) and _is_blind(view):
        view.skip("what makes the code in its memory can't be told: not all of its files can be opened")
        images_found, plain = [region for region in images_found if region.mapping.anonymous], []
    if any(region.engine is not None for region in plain):
        doubtful = [region for region in plain if region.engine is None]
        lasting = _lasting(view, host, doubtful)
        plain = [region for region in plain if region.engine is not None or region in lasting]
    if images_found:
        yield _image_sign(view, images_found)
    by_kind: dict[str, list[_Region]] = {}
    chances = [region for region in rest if region.hits and _is_chance(view, region)]
    if chances:
        yield _chance_sign(view, chances)
    for region in rest:
        if region.hits and region not in chances:
            by_kind.setdefault(shellcode.gravest(region.hits).kind, []).append(region)
    for kind in sorted(by_kind, key=shellcode.KINDS.index):
        yield _shellcode_sign(view, kind, by_kind[kind])
    unexplained = [one.mapping for one in plain if one.engine is None or one.mapping.path == memory_code.STACK]
    mixed = [one for one in unexplained if everything or one.path in _NO_PLACE_FOR_CODE]
    run = callers.of_code(view, machine, unexplained, mixed)
    if everything:
        if run:
            yield _run_sign(view, run)
        yield _everything_sign(view, host, found)
        return
    yield from _places(view, host, plain, run)


def _is_blind(view: View) -> bool:
    """Say whether there are no rights to open a file that code is run from: it may make code, or want it somewhere."""
    return any(view.is_refused(one) for one in view.maps if one.executable and not one.anonymous)


# Searching


def _searched(view: View, host: Host, layout: Layout, found: t.Sequence[Mapping]) -> list[_Region]:
    """Search memory that holds code, first what no engine explains; what is empty is left out."""
    present = [mapping for mapping in found if _has_pages(view, mapping)]
    explained = engines.explain(view, host, present) if present else {}
    machine = memory_code.machine(view, host) if present else 0
    if present and machine not in shellcode.SUPPORTED:
        view.skip("code of this kind of processor can't be searched for shellcode")
    searched: list[_Region] = []
    left = MOST_SEARCHED
    total = Effort(_MOST_EFFORT)
    for mapping in sorted(present, key=lambda mapping: mapping in explained):
        engine = explained.get(mapping)
        hits: dict[tuple[str, int], Hit] = {}
        beginnings: set[int] = set()
        for address, data in contents.pieces(view, mapping, shellcode.OVERLAP):
            if left <= (0 if engine is not None else MOST_SEARCHED - MOST_UNEXPLAINED):
                view.skip("of its code in memory only %d MB were searched" % ((MOST_SEARCHED - left) >> 20))
                break
            if host.seconds_left() <= 0:
                view.skip("the time was up before all of its code in memory was searched")
                break
            left -= len(data)
            effort = Effort(min(shellcode.EFFORT, total.left))
            for hit in shellcode.find(data, address, machine, effort):
                if len(hits) < _MOST_HITS:
                    hits[hit.kind, address + hit.offset] = hit._replace(offset=address + hit.offset)
            total.spend(shellcode.EFFORT - effort.left if effort.is_spent else 0)
            if effort.is_spent:
                view.skip("a part of its code in memory takes too long to be searched for shellcode")
            if total.is_spent:
                break
            beginnings.update(_beginnings(data, address, machine))
        region = _Region(mapping, engine, tuple(hits.values()), tuple(sorted(beginnings)))
        if (engine is None or hits or beginnings) and memory_code.is_copy(view, layout, mapping):
            continue
        searched.append(region)
    return searched


def _has_pages(view: View, mapping: Mapping) -> bool:
    """Say whether there is code, also where it is swapped out: that can be asked for (MADV_PAGEOUT of madvise(2))."""
    pages = view.pages(mapping)
    if pages.swapped:
        view.skip("%d pages of code in memory are swapped out, and were not searched" % pages.swapped)
    return bool(pages.present or pages.swapped) or not memory_code.is_empty(view, mapping)


def _beginnings(data: bytes, address: int, machine: int) -> t.Iterator[int]:
    """Yield where ELF images begin, which is where a page begins."""
    at = data.find(b"\x7fELF")
    while at >= 0:
        if (address + at) % PAGE == 0 and memory_code.is_image(data[at : at + PAGE], machine):
            yield address + at
        at = data.find(b"\x7fELF", at + 1)


# Images


def _is_image(view: View, layout: Layout, region: _Region, machine: int) -> bool:
    """Say whether a region is code of an ELF image that was loaded without the loader."""
    if region.images:
        return True
    mapping = region.mapping
    if region.engine is not None or not memory_code.is_plain(mapping):
        return False
    return layout.has_header(mapping, machine) or memory_code.mimics_library(view, layout, mapping)


def _image_sign(view: View, regions: t.Sequence[_Region]) -> Sign:
    first = regions[0]
    unpacked = packed.code(view)
    own = all(any(one.start <= it.mapping.start and it.mapping.end <= one.end for one in unpacked) for it in regions)
    what = "%d places" % len(regions) if len(regions) > 1 else "memory at %x" % first.mapping.start
    detail = "code of a program or library lies in %s without a file, loaded by something else than the loader" % what
    if own:
        detail = (
            "code of the program lies in %s without a file: its executable is packed (UPX) and has unpacked it" % what
        )
    return Sign(
        "image_in_memory",
        detail,
        tuple(
            facts.describe(
                view,
                region.mapping,
                signature="elf_header" if region.images else None,
                offset=region.images[0] - region.mapping.start if region.images else None,
            )
            for region in regions[:_DESCRIBED]
        ),
        severity="low" if own else None,
        data=_shown(regions),
    )


# Shellcode


def _shellcode_sign(view: View, kind: str, regions: t.Sequence[_Region]) -> Sign:
    gravest = [shellcode.gravest(region.hits) for region in regions]
    detail = "%s at %x in %s" % (gravest[0].name, gravest[0].offset, _named(regions[0].mapping))
    if len(regions) > 1:
        detail += ", and in %d places more" % (len(regions) - 1)
    engine = regions[0].engine
    if engine is not None:
        detail += ", among code that %s makes" % engine.name
    memory = tuple(_hit_memory(view, region, hit) for region, hit in zip(regions[:_DESCRIBED], gravest))
    return Sign("shellcode_%s" % kind, detail, memory, data=_shown(regions))


def _is_chance(view: View, region: _Region) -> bool:
    """Say whether an engine that keeps data among its code has a lone system call there, as data look like by chance.

    In some megabytes the two bytes of the instruction are often, and sometimes a small number is before them. That
    it is loaded just before them takes seven bytes, which is no chance.
    """
    if region.engine is None or not region.engine.mixed:
        return False
    # Only where it was searched: importing takes time.
    from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import x86_calls

    return all(
        " " not in hit.name
        and hit.kind in ("system_calls", "execute")
        and not x86_calls.CLOSE.search(view.read(hit.offset - x86_calls.CLOSEST, x86_calls.CLOSEST))
        for hit in region.hits
    )


def _chance_sign(view: View, regions: t.Sequence[_Region]) -> Sign:
    hit = shellcode.gravest(regions[0].hits)
    engine = regions[0].engine
    detail = "what looks like the system call %s, at %x, lies alone among the data and code of %s" % (
        hit.name,
        hit.offset,
        engine.name if engine is not None else "an engine",
    )
    memory = tuple(_hit_memory(view, region, region.hits[0]) for region in regions[:_DESCRIBED])
    return Sign("call_among_data", detail, memory, data=_shown(regions))


def _hit_memory(view: View, region: _Region, hit: Hit) -> Memory:
    signature = "%s: %s" % (hit.kind, hit.name)
    return facts.describe(view, region.mapping, signature=signature, offset=hit.offset - region.mapping.start)


def _shown(regions: t.Sequence[_Region]) -> dict[str, t.Any]:
    """Return what else was found, as evidence."""
    hits = [hit for region in regions for hit in region.hits]
    names = sorted({region.engine.name for region in regions if region.engine is not None})
    shown: dict[str, t.Any] = {}
    if hits:
        shown["found"] = ["%x %s: %s" % (hit.offset, hit.kind, hit.name) for hit in hits[:_DESCRIBED]]
    if names:
        shown["engines"] = names
    return shown


def _named(mapping: Mapping) -> str:
    return printable(mapping.path) if mapping.path else "memory without a file"


# Code that says nothing by itself


_Run = t.Mapping[Mapping, t.Sequence[Caller]]


def _places(view: View, host: Host, regions: t.Sequence[_Region], run: _Run) -> t.Iterator[Sign]:
    """Yield that code is on the stack or the heap, or where no engine of the process makes any.

    run: which threads are in it.
    """
    trusted = _is_trusted(view, host)
    grave = {mapping: run[mapping] for mapping in run if trusted or mapping.path in _NO_PLACE_FOR_CODE}
    if grave:
        yield _run_sign(view, grave)
    regions = [region for region in regions if region.mapping not in grave]
    stack = [region for region in regions if region.mapping.path == memory_code.STACK]
    heap = [region for region in regions if region.mapping.path == memory_code.HEAP and region.engine is None]
    wanting = memory_code.wants_executable_stack(view, host) if stack else None
    if stack and wanting is not None:
        severity = None if host.owner(wanting.path) else "low"
        detail = "%s says that its stack shall be executable" % printable(wanting.path)
        yield Sign("stack_declared_executable", detail, _memory(view, stack), severity)
    elif stack:
        yield Sign("executable_stack", "its stack is executable, and no file of it asks for that", _memory(view, stack))
    if heap:
        yield Sign("executable_heap", "its heap is executable", _memory(view, heap))
    others = [region for region in regions if region.engine is None and region not in stack and region not in heap]
    if wanting is not None:
        stacks = memory_code.thread_stacks(view, [region.mapping for region in others])
        others = [region for region in others if region.mapping not in stacks]
    if others:
        yield _anonymous_sign(view, others, run, trusted)


def _lasting(view: View, host: Host, regions: t.Sequence[_Region]) -> list[_Region]:
    """Return the regions that are still there and unexplained, and note those that are gone.

    An engine's thread that ends takes its code along: nobody can say any more who had its address. Of code that was
    being made when it was looked at, its maker has the address by now.
    """
    explained = engines.explain(view, host, [region.mapping for region in regions])
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


def _anonymous_sign(view: View, regions: t.Sequence[_Region], run: _Run, trusted: bool) -> Sign:
    size = sum(region.mapping.size for region in regions)
    detail = "code lies in %d kB of %s, and no engine that it has makes code there" % (
        size >> 10,
        _named(regions[0].mapping) if len(regions) == 1 else "%d places in memory without a file" % len(regions),
    )
    severity = "medium" if trusted or any(region.mapping in run for region in regions) else None
    return Sign("anonymous_code", detail, _memory(view, regions), severity, _threads(run))


def _run_sign(view: View, run: _Run) -> Sign:
    mapping, first = next((mapping, found[0]) for mapping, found in run.items())
    detail = "thread %d %s %x in %s, where nothing that the program has makes code" % (
        first.thread,
        "executes code at" if first.executes else "returns to",
        first.address,
        _named(mapping),
    )
    return _caller_sign(view, run, detail)


def _hidden_sign(view: View, run: _Run) -> Sign:
    mapping, first = next((mapping, found[0]) for mapping, found in run.items())
    detail = "thread %d returns to %x in %s, which can't be executed now" % (
        first.thread,
        first.address,
        _named(mapping),
    )
    return _caller_sign(view, run, detail)


def _caller_sign(view: View, run: _Run, detail: str) -> Sign:
    memory = tuple(
        facts.describe(view, mapping, offset=found[0].address - mapping.start)
        for mapping, found in list(run.items())[:_DESCRIBED]
    )
    return Sign("injected_code", detail, memory, None, _threads(run))


def _threads(run: _Run) -> dict[str, t.Any]:
    """Return which threads are in code, as evidence."""
    shown = [
        {"thread": caller.thread, "executes" if caller.executes else "returns_to": "%x" % caller.address}
        for found in run.values()
        for caller in found
    ]
    return {"threads": shown[:_DESCRIBED]} if shown else {}


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


def _memory(view: View, regions: t.Sequence[_Region]) -> tuple[Memory, ...]:
    return tuple(facts.describe(view, region.mapping) for region in regions[:_DESCRIBED])


# Files


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
    regions = [_Region(mapping, None, _written_shellcode(view, host, mapping, machine), ()) for mapping in found]
    guilty = [region for region in regions if region.hits]
    if guilty:
        kind = min((shellcode.gravest(region.hits).kind for region in guilty), key=shellcode.KINDS.index)
        yield _shellcode_sign(view, kind, guilty)
        return
    found = [mapping for mapping in found if not view.is_refused(mapping)]
    if not found:
        return
    own = all(_is_own(view, host, mapping) for mapping in found)
    severity = "informational" if own else "medium" if _is_trusted(view, host) else None
    detail = "%s is mapped for writing and for running code" % _named(found[0])
    names = {mapping.path for mapping in found}
    if len(names) > 1:
        detail += ", and %d files more" % (len(names) - 1)
    yield Sign("writable_code_file", detail, _memory(view, regions), severity)


def _written_shellcode(view: View, host: Host, mapping: Mapping, machine: int) -> tuple[Hit, ...]:
    """Return the shellcode in what a process has written into a mapping, or in all of it where it is no program."""
    file = images.look_at(view, host, mapping)
    if file is not None and runtimes.runs(view, host, file.magic):
        return ()
    pages = view.pages(mapping)
    is_program = file is None or file.image is not None
    found = []
    for address, data in facts.pieces(view, pages.private if is_program else pages.present, shellcode.OVERLAP):
        found += [hit._replace(offset=hit.offset + address) for hit in shellcode.find(data, address, machine)]
        if len(found) > _MOST_HITS:
            break
    return tuple(found)


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
