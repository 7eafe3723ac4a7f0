# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look which endpoint protection a host has and how well it works; return detections and coverage."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _crash, _payload
from ansible_collections.bulwark.servers.plugins.module_utils._finding import (
    ScopeCoverage,
    printable,
    unprintable,
)
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline, yield_to_others
from ansible_collections.bulwark.servers.plugins.module_utils.edr import (
    command_trust,
    discovery,
    entry,
    health_sources,
    judge,
    product_history,
)
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.options import Options, parse
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import Outputs, UnreadableError
from ansible_collections.bulwark.servers.plugins.module_utils.edr.readers import READERS
from ansible_collections.bulwark.servers.plugins.module_utils.edr.system_state import INTACT, Seen

_MOST_PRETENDERS = 100


def collect(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Return the result of edr_info. What can't be looked at is in the coverage with the reason."""
    options = parse(params)
    entries = entry.parse(_payload.unpack(params["_content"]))
    if options.idle:
        yield_to_others()
    protection, health = (ScopeCoverage(scope) for scope in judge.SCOPES)
    discovered = discovery.discover(entries)
    for subject, reason in discovered.problems:
        protection.skip(subject, reason)
    products = _ask_all(entries, discovered.seen, options, health)
    protection.examined, health.examined = len(entries), len(products)
    detections = _judge_all(products, options, time.time())
    lacking = judge.missing(products, options.expected)
    memory = product_history.Memory(params, check_mode, protection)
    detections += memory.update(entries, products, options.expected, not discovered.problems)
    if any(subject == discovery.PACKAGES for subject, _reason in discovered.problems):
        for name in lacking:
            protection.skip(name, "no sign of it was seen, but the installed packages are not known")
    else:
        titles = {each.id: each.title for each in entries}
        detections += judge.judge_missing(lacking, products, titles)
    left_out = len(discovered.pretenders) - _MOST_PRETENDERS
    if left_out > 0:
        protection.skip("%d processes" % left_out, "they have names of products, too, and only 100 are reported")
    # The worst first, so that a flood of others hides none.
    pretenders = sorted(discovered.pretenders, key=lambda each: (each.trusted, not each.hides))
    for pretender in pretenders[:_MOST_PRETENDERS]:
        if pretender.trusted:
            reason = "it is called %s, but is no known program of that product" % pretender.name
            protection.skip(pretender.program, reason)
        else:
            detections.append(judge.judge_pretender(pretender))
    result = {
        "changed": False,
        "products": [_shown(product) for product in products],
        "missing": lacking,
        "detections": detections,
        "coverage": [protection.entry(), health.entry()],
    }
    return {**result, "checkpoint": memory.checkpoint} if memory.checkpoint is not None else result


def _ask_all(
    entries: t.Sequence[entry.Entry], seen: t.Mapping[str, Seen], options: Options, coverage: ScopeCoverage
) -> list[judge.Product]:
    """Return the products that are there with their health. Only root runs commands: others may not ask anyway."""
    deadline = Deadline(options.time_budget)
    there = [each for each in entries if each.id in seen]
    needs_package = {
        path: bool(seen[each.id].packages) and not each.self_updating
        for each in there
        for command in each.commands
        for path in command.programs
    }
    is_root = os.geteuid() == 0
    programs = command_trust.verify(list(needs_package), needs_package.__getitem__) if is_root else {}
    daemons = _daemons(there, seen) if is_root else {}
    products = []
    for each in there:
        own = [programs[path] for command in each.commands for path in command.programs if path in programs]
        if each.commands and not is_root:
            coverage.skip(each.id, "%s can be queried by root only" % each.title)
            health: Health | None = None
        else:
            health = _health(each, seen[each.id], programs, options.command_timeout, deadline, coverage)
        running = [daemons[process.program] for process in seen[each.id].processes if process.program in daemons]
        products.append(
            judge.Product(each, seen[each.id], health, list(dict.fromkeys(own)), list(dict.fromkeys(running)))
        )
    return products


def _daemons(there: t.Sequence[entry.Entry], seen: t.Mapping[str, Seen]) -> dict[str, command_trust.Program]:
    """Return the programs that run as daemons, by printable path. One that updates itself is not as it was shipped."""
    paths = {
        os.fsdecode(unprintable(process.program)): process.program
        for each in there
        if not each.self_updating
        for process in seen[each.id].processes
        if process.state == INTACT and not process.contained
    }
    return {paths[path]: program for path, program in command_trust.verify(list(paths), lambda _path: False).items()}


def _health(
    each: entry.Entry,
    seen: Seen,
    programs: t.Mapping[str, command_trust.Program],
    timeout: float,
    deadline: Deadline,
    coverage: ScopeCoverage,
) -> Health | None:
    if each.id not in READERS:
        return None
    if each.programs and seen.is_running is False:
        # Its commands would wait for it, or start it. That it does not run is known.
        return Health(product=each.id, running=False)
    if all(process.contained for process in seen.processes) and seen.processes:
        coverage.skip(each.id, "%s runs in a container, so its health is not queried" % each.title)
        return Health(product=each.id, running=True)
    outputs = health_sources.ask(each, seen, programs, timeout, deadline)
    problems = list(outputs.problems)
    health = _read(each.id, outputs.outputs, problems)
    problems += health.unread
    if each.kind == entry.PROTECTION and health.real_time is None and not problems:
        problems.append("it does not report whether real-time protection is on")
    for problem in problems:
        coverage.skip(each.id, "%s: %s" % (each.title, printable(problem)))
    version = health.version or next(iter(seen.packages.values()), None)
    return health._replace(version=version, running=seen.is_running if each.programs else health.running)


def _read(product: str, outputs: Outputs, problems: list[str]) -> Health:
    """Return the health that the reader makes of the outputs, without those that it can't read."""
    try:
        return READERS[product](outputs)
    except UnreadableError as error:
        problems.append(str(error))
        readable = {name: output for name, output in outputs.items() if name != error.source}
    except Exception as error:  # noqa: BLE001 - a hostile output costs the health of one product, with the reason
        problems.append("reading its outputs failed: %s. Report this." % _crash.summarize(error))
        readable = {}
    if len(readable) == len(outputs):
        return Health(product=product)
    return _read(product, readable, problems)


def _judge_all(products: t.Sequence[judge.Product], options: Options, now: float) -> list[dict[str, t.Any]]:
    detections = [each for product in products for each in judge.judge(product, options, now)]
    return detections + judge.conflicting(products)


def _shown(product: judge.Product) -> dict[str, t.Any]:
    """Return a product as the result has it; None is not known."""
    health = product.health or Health(product=product.entry.id)
    shown = {name: _plain(value) for name, value in health._asdict().items() if name != "unread"}
    shown["title"] = product.entry.title
    shown["kind"] = product.entry.kind
    shown["running"] = judge.is_running(product)
    shown["version"] = shown["version"] or next(iter(product.seen.packages.values()), None)
    return shown


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, str):
        return printable(value)
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
