# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a product by the state that the system shows and the health that it reports. Pure.

One cause is one finding. A product that does not run has no other finding, as everything else follows from that; one in
passive mode is not reported for its real-time protection as well.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import detection, printable
from ansible_collections.bulwark.servers.plugins.module_utils.edr.command_trust import Program
from ansible_collections.bulwark.servers.plugins.module_utils.edr.entry import (
    PROTECTION,
    SYSTEM,
    Entry,
)
from ansible_collections.bulwark.servers.plugins.module_utils.edr.judge_health import (
    HEALTH_SCOPE,
    Detection,
    about,
    day,
    judge_health,
)
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import PASSIVE, Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.options import ANY, Options
from ansible_collections.bulwark.servers.plugins.module_utils.edr.system_state import (
    DELETED,
    INTACT,
    REPLACED,
    Pretender,
    Process,
    Seen,
    Unit,
)

# The products that are there, and whether they run; what each of them says about itself.
PROTECTION_SCOPE = "protection"
SCOPES = (PROTECTION_SCOPE, HEALTH_SCOPE)

_MOST_EVIDENCES = 10


class Product(t.NamedTuple):
    """A product of the host with all that is known of it. health: None if it says nothing about itself.

    programs: its commands. daemons: what its processes run.
    """

    entry: Entry
    seen: Seen
    health: Health | None
    programs: t.Sequence[Program] = ()
    daemons: t.Sequence[Program] = ()


def missing(products: t.Sequence[Product], expected: t.Sequence[str]) -> list[str]:
    """Return those of the expected products that the host lacks, ``any`` if it has none at all."""
    there = {product.entry.id for product in products}
    protects = any(product.entry.kind != SYSTEM for product in products)
    return [name for name in expected if (not protects if name == ANY else name not in there)]


def judge_missing(
    names: t.Sequence[str], products: t.Sequence[Product], titles: t.Mapping[str, str]
) -> list[Detection]:
    """Return a detection for each name of ``missing``.

    ``any`` is the default, so that it is less severe than a product that somebody has asked for.
    """
    running = [product.entry.title for product in products if is_running(product)]
    has = "The system has %s." % ", ".join(running) if running else "Nothing else watches the host either."
    return [
        detection(
            "edr_missing",
            name,
            PROTECTION_SCOPE,
            [{"data": {"expected": name, "present": running}}],
            severity="low" if name == ANY else None,
            message="%s %s"
            % (
                "No endpoint protection is installed." if name == ANY else "%s is not installed." % titles[name],
                has,
            ),
        )
        for name in names
    ]


def is_running(product: Product) -> bool | None:
    """Return whether a product works at all, by its processes or by the kernel; None if that is unknown."""
    if not product.entry.programs:
        return product.health.running if product.health is not None else None
    return product.seen.is_running


def judge(product: Product, options: Options, now: float) -> list[Detection]:
    """Return the detections about one product. now: seconds since the epoch."""
    detections = _untrusted(product) + _foreign_daemons(product)
    if product.entry.kind == SYSTEM and product.entry.id not in options.expected:
        return detections
    running = is_running(product)
    masked = product.seen.masked
    if masked is not None:
        detections.append(_masked(product, masked, running))
    elif running is False:
        detections.append(_stopped(product, options.expected))
    if not any(program.problem for program in product.daemons):
        detections += _changed_programs(product)
    if running is not False and product.health is not None:
        detections += judge_health(product.entry, product.health, options, now)
    return detections


def judge_pretender(pretender: Pretender) -> Detection:
    """Return the detection of a process that has the name of a product's daemon and is another program."""
    return detection(
        "edr_pretender",
        pretender.program,
        PROTECTION_SCOPE,
        [_process_evidence(Process(pretender.pid, pretender.program, INTACT), pretender.name)],
        message="A process of the account %d is called %s, as a daemon of endpoint protection, and runs %s."
        % (pretender.uid, pretender.name, pretender.program),
        # Somebody may have built the product in a directory of their own.
        severity=None if pretender.hides else "medium",
    )


def conflicting(products: t.Sequence[Product]) -> list[Detection]:
    """Return a detection if several products scan in real time: each slows down and hinders the other."""
    active = sorted(
        product.entry.title
        for product in products
        # Elastic's sensor protects with Defend. What only watches has no real-time protection.
        if product.entry.kind != SYSTEM
        and product.health is not None
        and product.health.real_time
        and product.health.mode != PASSIVE
    )
    if len(active) < 2:
        return []
    message = "%s scan in real time, and may block each other." % " and ".join(active)
    return [detection("edr_conflict", "any", HEALTH_SCOPE, [{"data": {"products": active}}], message=message)]


def _untrusted(product: Product) -> list[Detection]:
    wrong = [program for program in product.programs if program.problem]
    if not wrong:
        return []
    message = "%s: %s was not run, as %s." % (
        product.entry.title,
        printable(wrong[0].path),
        wrong[0].problem,
    )
    evidences = [{"file": {"name": _base(each.real), "path": printable(each.real), "type_id": 1}} for each in wrong]
    return [about(product.entry, "edr_command_untrusted", PROTECTION_SCOPE, message, evidences[:_MOST_EVIDENCES])]


def _foreign_daemons(product: Product) -> list[Detection]:
    """Return detections of daemons that differ from their package or that others can change: they may do nothing."""
    # A daemon that is the command as well has a finding as such.
    commands = {program.real for program in product.programs if program.problem}
    wrong = [program for program in product.daemons if program.problem and program.real not in commands]
    if not wrong:
        return []
    message = "%s runs %s, but %s." % (product.entry.title, printable(wrong[0].path), wrong[0].problem)
    evidences = [{"file": {"name": _base(each.real), "path": printable(each.real), "type_id": 1}} for each in wrong]
    shown = evidences[:_MOST_EVIDENCES]
    return [about(product.entry, "edr_program_changed", PROTECTION_SCOPE, message, shown, severity="high")]


def _masked(product: Product, unit: Unit, running: bool | None) -> Detection:
    since = " since %s" % day(unit.since) if unit.since is not None else ""
    state = "" if running is None else "It still runs." if running else "It does not run."
    message = "%s cannot start: its unit %s is masked%s. %s" % (product.entry.title, unit.name, since, state)
    evidence = {"data": {"unit": unit.name, "masked_since": unit.since, "running": running}}
    return about(product.entry, "edr_masked", PROTECTION_SCOPE, message.rstrip(), [evidence], first_time=unit.since)


def _stopped(product: Product, expected: t.Container[str]) -> Detection:
    """Return that it does not run.

    A package such as osquery also has tools that people use without the daemon: if no boot starts a sensor or scanner,
    and nobody expects it, that is less serious.
    """
    seen, entry = product.seen, product.entry
    if seen.processes:
        message = "%s is frozen: a signal or its control group has stopped its processes." % entry.title
        evidences = [_process_evidence(process) for process in seen.processes[:_MOST_EVIDENCES]]
        return about(entry, "edr_stopped", PROTECTION_SCOPE, message, evidences)
    what = ["package %s %s" % pair for pair in sorted(seen.packages.items())] or [
        printable(path) for path in seen.paths
    ]
    optional = entry.kind != PROTECTION and entry.id not in expected and seen.is_disabled
    message = "%s is installed (%s) and does not run%s." % (
        entry.title,
        ", ".join(what[:3]) or "by its unit",
        ", as no boot starts it" if seen.is_disabled else "",
    )
    evidence = {"data": {"packages": dict(seen.packages), "paths": [printable(path) for path in seen.paths[:3]]}}
    severity = "medium" if optional else None
    return about(entry, "edr_stopped", PROTECTION_SCOPE, message, [evidence], severity=severity)


def _changed_programs(product: Product) -> list[Detection]:
    deleted = [process for process in product.seen.processes if process.state == DELETED]
    replaced = [process for process in product.seen.processes if process.state == REPLACED]
    changed = deleted or replaced
    if not changed:
        return []
    words = "that is deleted" if deleted else "that was replaced after it had started"
    message = "%s runs a program %s: %s." % (product.entry.title, words, changed[0].program)
    return [
        about(
            product.entry,
            "edr_program_changed",
            PROTECTION_SCOPE,
            message,
            [_process_evidence(process) for process in changed[:_MOST_EVIDENCES]],
            severity="high" if deleted else "medium",
        )
    ]


def _process_evidence(process: Process, name: str | None = None) -> dict[str, t.Any]:
    base = _base(process.program)
    return {
        "process": {
            "pid": process.pid,
            "name": name or base,
            "file": {"name": base, "path": process.program, "type_id": 1},
        }
    }


def _base(path: str) -> str:
    return printable(path.rpartition("/")[2]) or path
