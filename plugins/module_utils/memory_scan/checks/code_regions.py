# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Search memory that holds code for shellcode and images, first the memory that no engine explains."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import shellcode
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.effort import Effort
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.shellcode import Hit
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import (
    contents,
    engines,
    images,
    memory_code,
    runtimes,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.engines import Engine
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.memory_code import Layout
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import PAGE, Mapping
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

# Of engines that have made more than this, the rest is not searched: 1 s for each 100 MB.
_MOST_SEARCHED = 256 << 20
# Of memory that no engine explains, more is searched.
_MOST_UNEXPLAINED = 2 << 30
# What pieces may take together that were made to take long: some 10 s.
_MOST_EFFORT = 5_000_000
_MOST_HITS = 64


class Region(t.NamedTuple):
    """Memory that holds code. hits: shellcode, by address. images: addresses where an ELF image begins."""

    mapping: Mapping
    engine: Engine | None
    hits: tuple[Hit, ...]
    images: tuple[int, ...]


def search(view: View, host: Host, layout: Layout, found: t.Sequence[Mapping]) -> list[Region]:
    """Search memory that holds code, first what no engine explains; what is empty is left out."""
    present = [mapping for mapping in found if _has_pages(view, mapping)]
    explained = engines.explain(view, host, present) if present else {}
    machine = memory_code.machine(view, host) if present else 0
    if present and machine not in shellcode.SUPPORTED:
        view.skip("code of this kind of processor can't be searched for shellcode")
    searched: list[Region] = []
    left = _MOST_SEARCHED
    total = Effort(_MOST_EFFORT)
    for mapping in sorted(present, key=lambda mapping: mapping in explained):
        engine = explained.get(mapping)
        hits: dict[tuple[str, int], Hit] = {}
        beginnings: set[int] = set()
        for address, data in contents.pieces(view, mapping, shellcode.OVERLAP):
            if left <= (0 if engine is not None else _MOST_SEARCHED - _MOST_UNEXPLAINED):
                view.skip("only %d MB of its in-memory code were searched" % ((_MOST_SEARCHED - left) >> 20))
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
        region = Region(mapping, engine, tuple(hits.values()), tuple(sorted(beginnings)))
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


def is_chance(view: View, region: Region) -> bool:
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


def find_written(view: View, host: Host, mapping: Mapping, machine: int) -> tuple[Hit, ...]:
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
