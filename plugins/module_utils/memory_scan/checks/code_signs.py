# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe code where none should be: each function makes the sign of one kind of finding."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks.code_regions import Region
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import shellcode
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.shellcode import Hit
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import packed
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code.callers import Caller
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Memory, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import View

_DESCRIBED = 8


def describe_image(view: View, regions: t.Sequence[Region]) -> Sign:
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


def describe_shellcode(view: View, kind: str, regions: t.Sequence[Region]) -> Sign:
    gravest = [shellcode.gravest(region.hits) for region in regions]
    detail = "%s at %x in %s" % (gravest[0].name, gravest[0].offset, name_of(regions[0].mapping))
    if len(regions) > 1:
        detail += ", and in %d places more" % (len(regions) - 1)
    engine = regions[0].engine
    if engine is not None:
        detail += ", among code that %s makes" % engine.name
    memory = tuple(_hit_memory(view, region, hit) for region, hit in zip(regions[:_DESCRIBED], gravest))
    return Sign("shellcode_%s" % kind, detail, memory, data=_shown(regions))


def describe_lone_call(view: View, regions: t.Sequence[Region]) -> Sign:
    hit = shellcode.gravest(regions[0].hits)
    engine = regions[0].engine
    detail = "what looks like the system call %s, at %x, lies alone among the data and code of %s" % (
        hit.name,
        hit.offset,
        engine.name if engine is not None else "an engine",
    )
    memory = tuple(_hit_memory(view, region, region.hits[0]) for region in regions[:_DESCRIBED])
    return Sign("call_among_data", detail, memory, data=_shown(regions))


def _hit_memory(view: View, region: Region, hit: Hit) -> Memory:
    signature = "%s: %s" % (hit.kind, hit.name)
    return facts.describe(view, region.mapping, signature=signature, offset=hit.offset - region.mapping.start)


def _shown(regions: t.Sequence[Region]) -> dict[str, t.Any]:
    """Return what else was found, as evidence."""
    hits = [hit for region in regions for hit in region.hits]
    names = sorted({region.engine.name for region in regions if region.engine is not None})
    shown: dict[str, t.Any] = {}
    if hits:
        shown["found"] = ["%x %s: %s" % (hit.offset, hit.kind, hit.name) for hit in hits[:_DESCRIBED]]
    if names:
        shown["engines"] = names
    return shown


def name_of(mapping: Mapping) -> str:
    return printable(mapping.path) if mapping.path else "memory without a file"


Run = t.Mapping[Mapping, t.Sequence[Caller]]


def describe_anonymous(view: View, regions: t.Sequence[Region], run: Run, trusted: bool) -> Sign:
    size = sum(region.mapping.size for region in regions)
    detail = "code lies in %d kB of %s, and no engine that it has makes code there" % (
        size >> 10,
        name_of(regions[0].mapping) if len(regions) == 1 else "%d places in memory without a file" % len(regions),
    )
    severity = "medium" if trusted or any(region.mapping in run for region in regions) else None
    return Sign("anonymous_code", detail, describe_memory(view, regions), severity, _threads(run))


def describe_run(view: View, run: Run) -> Sign:
    mapping, first = next((mapping, found[0]) for mapping, found in run.items())
    detail = "thread %d %s %x in %s, where nothing that the program has makes code" % (
        first.thread,
        "executes code at" if first.executes else "returns to",
        first.address,
        name_of(mapping),
    )
    return _caller_sign(view, run, detail)


def describe_hidden(view: View, run: Run) -> Sign:
    mapping, first = next((mapping, found[0]) for mapping, found in run.items())
    detail = "thread %d returns to %x in %s, which can't be executed now" % (
        first.thread,
        first.address,
        name_of(mapping),
    )
    return _caller_sign(view, run, detail)


def _caller_sign(view: View, run: Run, detail: str) -> Sign:
    memory = tuple(
        facts.describe(view, mapping, offset=found[0].address - mapping.start)
        for mapping, found in list(run.items())[:_DESCRIBED]
    )
    return Sign("injected_code", detail, memory, None, _threads(run))


def _threads(run: Run) -> dict[str, t.Any]:
    """Return which threads are in code, as evidence."""
    shown = [
        {"thread": caller.thread, "executes" if caller.executes else "returns_to": "%x" % caller.address}
        for found in run.values()
        for caller in found
    ]
    return {"threads": shown[:_DESCRIBED]} if shown else {}


def describe_memory(view: View, regions: t.Sequence[Region]) -> tuple[Memory, ...]:
    return tuple(facts.describe(view, region.mapping) for region in regions[:_DESCRIBED])
