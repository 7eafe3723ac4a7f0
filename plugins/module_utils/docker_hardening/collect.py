# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a host's engines, judge each control of the benchmark, and return controls, containers and coverage."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control, _crash
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, detection, printable
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline, yield_to_others
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import (
    accounts,
    engines,
    facts,
    files,
    host,
    images,
    insides,
    inventory,
    known_engines,
    processes,
    starters,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import (
    engine_files,
    exceptions,
    judge,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine, Host
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import ENGINES, parse

# Anybody may call a process dockerd.
_MOST_ENGINES = 32
# Seconds of the time budget that are left after the layers of images were read.
_RESERVE = 5.0
# The controller takes names of 1,000 characters, which it does not shorten.
_NAME_LIMIT = 400
_MOST_CONTAINERS = 5_000
_TEXT_LIMIT = 200
_ACL = "system.posix_acl_access"


def collect(params: t.Mapping[str, t.Any], _check_mode: bool) -> dict[str, t.Any]:
    """Return the result of docker_benchmark_info. What can't be looked at is in the coverage with the reason."""
    options = parse(params)
    if options.idle:
        yield_to_others()
    coverage = ScopeCoverage(ENGINES)
    found = read(Deadline(options.time_budget), coverage, options.known_engines)
    controls, unused = judge.judge(found, options)
    _cover_controls(found, controls, coverage)
    containers = _containers(found, coverage)
    coverage.note = " ".join(filter(None, (coverage.note, exceptions.unused_note(unused)))) or None
    return {
        "changed": False,
        "controls": controls,
        "detections": detections(found),
        "containers": containers,
        "engines": [_described(engine) for engine in found.engines],
        "coverage": [coverage.entry()],
    }


def read(deadline: Deadline, coverage: ScopeCoverage, known_names: t.Sequence[str] = ()) -> Host:
    """Return what is known of this host and its engines; coverage: gets what could not be looked at.

    known_names: of the engines that earlier scans found.
    """
    since, is_root = processes.ticks(), os.geteuid() == 0
    if not is_root:
        coverage.skip("engines of other accounts", "the scan does not run as root, and only root sees all engines")
    names = accounts.local_names()
    with contextlib.ExitStack() as stack:
        root = stack.enter_context(contextlib.closing(files.Root("/", names)))
        reader = stack.enter_context(contextlib.closing(engines.Reader(root, names)))
        found = [_named(reading) for reading in _running(reader, deadline, coverage)]
        saw_all = not coverage.skipped_count
        inside = insides.Insides(deadline)
        found = [
            reading._replace(engine=_with_layers(inside.completed(reading.engine), reading, deadline))
            for reading in found
        ]
        installed = reader.installed()
        found = _with_installed(found, installed, root)
        found_names = [reading.engine.name for reading in found]
        for name, reason in known_engines.missing(known_names, found_names, root, installed is not None, saw_all):
            coverage.skip(name, reason)
        unlisted = inside.unlisted([reading.engine for reading in found], since)
        if unlisted:
            number = "1 container runs" if len(unlisted) == 1 else "%d containers run" % len(unlisted)
            reason = "%s that no engine listed, such as %s" % (number, unlisted[0][:12])
            coverage.skip("containers of no known engine", reason)
        _cover([reading.engine for reading in found], coverage)
        known = accounts.Accounts()
        who = _accounts(found, known)
        other = host.other(inside.contained.groups, reader.tables.unix_listeners())
        if other:
            names_of_others = " and ".join(sorted({name for name, _evidence in other}))
            coverage.note = " ".join(
                filter(None, (coverage.note, "Containers outside this benchmark: %s." % names_of_others))
            )
        return Host(
            tuple(reading.engine for reading in found),
            _files(root, found),
            host.audit(),
            who,
            known.problem,
            host.has_apparmor(),
            host.has_selinux(),
            other,
            host.packages(),
            host.boot_time(),
            time.time(),
            is_root,
        )


def _accounts(found: t.Sequence[engines.Reading], known: accounts.Accounts) -> dict[str, tuple[facts.Account, ...]]:
    """Return who may use each socket, by its address; of two with one address, who may use either."""
    who: dict[str, dict[str, facts.Account]] = {}
    for reading in found:
        for listener in reading.engine.listeners:
            if listener.file is not None and listener.file.kind == "socket":
                allowed = known.of(listener.file, _acl(reading.root, listener.file.path))
                who.setdefault(listener.address, {}).update((account.name, account) for account in allowed)
    return {address: tuple(allowed.values()) for address, allowed in who.items()}


def _files(root: files.Root, found: t.Sequence[engines.Reading]) -> dict[str, facts.FileFact]:
    """Return what is in the places that the benchmark names, and in those of single engines."""
    placed: dict[str, facts.FileFact] = {}
    # What sees our files comes first, and its path is not to be taken for that of one that sees others.
    for each in found:
        for path in engine_files.paths(each.engine):
            if path not in placed:
                placed[path] = each.root.fact(path)
    return {**placed, **host.files(root)}


def _running(reader: engines.Reader, deadline: Deadline, coverage: ScopeCoverage) -> list[engines.Reading]:
    found: dict[str, engines.Reading] = {}
    try:
        daemons = processes.daemons()
    except OSError as error:
        coverage.fail("The processes of this host cannot be listed: %s." % error.strerror)
        return []
    containers: dict[str, str] = {}
    for number, daemon in enumerate(daemons):
        subject = "process %d (%s)" % (daemon.pid, printable(daemon.executable))
        if number >= _MOST_ENGINES or deadline.passed():
            reason = deadline.reason if deadline.passed() else "only %d engines are checked" % _MOST_ENGINES
            coverage.skip(subject, reason)
            continue
        # One that hangs leaves time for the others. Their number is anybody's choice, so the first has half of it.
        left = deadline.remaining(0.0)
        share = Deadline(0.0 if left is None else max(0.1, left / min(2, len(daemons) - number)))
        try:
            reading = reader.running(daemon, share)
        except engines.NoEngineError as error:
            coverage.skip(subject, str(error))
            continue
        except Exception as error:  # noqa: BLE001 - what one process makes fail hides no other engine
            if processes.is_alive(daemon):
                coverage.skip(subject, "checking it failed: %s; report this" % _crash.summarize(error))
            continue
        engine = reading.engine._replace(name=_identity(reading, reader, daemon, containers))
        containers.update({container.id: container.name for container in engine.containers or ()})
        before = found.get(engine.name)
        if before is not None and facts.SILENT in (engine.state, before.engine.state):
            coverage.skip(subject, "another process has the address %s" % _short(engine.name))
        if before is not None and engine.state == before.engine.state == facts.RUNNING:
            engine = engine._replace(name=_unused(engine.name, found))
        elif before is not None and before.engine.state == facts.RUNNING:
            continue
        found[engine.name] = reading._replace(engine=engine)
    return list(found.values())


def _unused(name: str, taken: t.Container[str]) -> str:
    """Return a name for a further engine in such a place, so that none hides another."""
    return next(
        longer for longer in ("%s (%d)" % (name, number) for number in itertools.count(2)) if longer not in taken
    )


def _identity(
    reading: engines.Reading, reader: engines.Reader, daemon: processes.Daemon, containers: t.Mapping[str, str]
) -> str:
    """Return the name of an engine: two that see different files may have the same address."""
    name = reading.engine.name
    if daemon.container is not None:
        return "%s%s%s" % (name, known_engines.IN_CONTAINER, containers.get(daemon.container, daemon.container[:12]))
    return name if reader.sees(reading) else name + known_engines.ELSEWHERE


def _with_installed(found: list[engines.Reading], installed: Engine | None, root: files.Root) -> list[engines.Reading]:
    """Return engines with the one that is installed, unless that runs."""
    if installed is None:
        return found
    # Any account may start what is called dockerd, with this address in its command line, and never answer there.
    real = [
        reading
        for reading in found
        if reading.engine.name != installed.name or reading.engine.uid == 0 or reading.engine.state == facts.RUNNING
    ]
    if any(installed.name == reading.engine.name or installed.unit == reading.engine.unit for reading in real):
        return found
    return [*real, engines.Reading(installed, root)]


def _short(name: str) -> str:
    return _control.shortened(printable(name), _NAME_LIMIT)


def _named(reading: engines.Reading) -> engines.Reading:
    """Return an engine with a name that is not too long: whoever starts it, or a container, chooses it."""
    if len(printable(reading.engine.name)) <= _NAME_LIMIT:
        return reading
    return reading._replace(engine=reading.engine._replace(name=_short(reading.engine.name)))


def _with_layers(engine: Engine, reading: engines.Reading, deadline: Deadline) -> Engine:
    if engine.images is None or engine.data_root is None:
        return engine
    left = deadline.remaining(0.0)
    share = Deadline(0.0 if left is None else max(0.1, left - _RESERVE))
    layers = images.Layers(reading.root, engine.data_root.path, engine.info, share)
    return engine._replace(images=tuple(layers.completed(image) for image in engine.images))


def _cover(found: t.Sequence[Engine], coverage: ScopeCoverage) -> None:
    for engine in found:
        if engine.state == facts.SILENT:
            coverage.skip(printable(engine.name), printable(engine.problem or ""))
            continue
        coverage.examined += 1
        for what, why in engine.problems:
            coverage.skip("%s of %s" % (what, printable(engine.name)), why)
    stopped = [printable(engine.name) for engine in found if engine.state == facts.STOPPED]
    if not found and not coverage.skipped_count:
        coverage.note = "No Docker Engine runs or is installed here."
    elif stopped:
        coverage.note = "The engine %s is installed and does not run: it is judged by its files." % stopped[0]


def _cover_controls(found: Host, controls: t.Sequence[t.Mapping[str, t.Any]], coverage: ScopeCoverage) -> None:
    """Say of engines that run how many controls could not be judged, which each control explains by itself."""
    for engine in found.engines:
        name = printable(engine.name)
        unknown = [each for each in controls if each["subject"] == name and each["status"] == _control.NOT_CHECKED]
        if unknown and engine.state == facts.RUNNING:
            reason = "%d could not be judged, such as %s: %s" % (
                len(unknown),
                unknown[0]["control"],
                unknown[0]["reason"].rstrip("."),
            )
            coverage.skip("controls of %s" % name, reason)


def _containers(found: Host, coverage: ScopeCoverage) -> list[dict[str, t.Any]]:
    """Return the containers of all engines, as many as the controller takes."""
    entries = inventory.containers(found.engines, found.now)
    known = starters.commands(starters.read_log()) if entries else []
    if known:
        name_of = accounts.local_names().user
        entries = [{**entry, "started_by": starters.starter(entry, known, name_of)} for entry in entries]
    if len(entries) > _MOST_CONTAINERS:
        left_out = len(entries) - _MOST_CONTAINERS
        coverage.skip("%d containers" % left_out, "only %d containers of all engines are listed" % _MOST_CONTAINERS)
    return entries[:_MOST_CONTAINERS]


def _acl(root: files.Root, path: str) -> bytes:
    """Return the access control list of a file as the kernel has it; nothing where it has none."""
    try:
        pinned, _real, _is_link = root.pin(path)
    except OSError:
        return b""
    try:
        return os.getxattr("/proc/self/fd/%d" % pinned, _ACL)
    except OSError:
        return b""
    finally:
        os.close(pinned)


def detections(found: Host) -> list[dict[str, t.Any]]:
    """Return what is wrong with how engines are configured, apart from any control."""
    returned = []
    for engine in found.engines:
        pending = [setting for _name, setting in sorted(engine.settings.items()) if setting.is_pending]
        if engine.conflicts:
            evidences = [_evidence(engine, name) for name in engine.conflicts]
            returned.append(detection("docker_setting_conflict", printable(engine.name), ENGINES, evidences))
        if pending and engine.state != facts.STOPPED:
            evidences = [_evidence(engine, setting.name) for setting in pending]
            returned.append(detection("docker_restart_pending", printable(engine.name), ENGINES, evidences))
    return returned


def _evidence(engine: Engine, name: str) -> dict[str, t.Any]:
    """Return a setting as evidence; values are left out, as options of log drivers and proxies hold passwords."""
    setting = engine.settings.get(name)
    path = setting.written_in if setting is not None else ""
    return {"data": {"setting": printable(name), "written_in": printable(path)}}


def _described(engine: Engine) -> dict[str, t.Any]:
    """Return what people ask of an engine first; printable."""
    return {
        "name": printable(engine.name),
        "state": engine.state,
        "problem": None if engine.problem is None else printable(engine.problem),
        "pid": engine.pid or None,
        "version": _text(engine.version, "Version") or _text(engine.info, "ServerVersion"),
        "api_version": _text(engine.version, "ApiVersion"),
        "rootless": engine.is_rootless,
        "snap": engine.is_snap,
        "unit": printable(engine.unit),
        "config_file": printable(engine.config.file.path) if engine.config is not None else "",
        "data_root": printable(engine.data_root.path) if engine.data_root is not None else "",
        "listeners": [
            {
                "address": printable(listener.address),
                "source": listener.source,
                "tls": listener.has_tls,
                "verifies_clients": listener.verifies_clients,
            }
            for listener in engine.listeners
        ],
        "containers": None if engine.containers is None else len(engine.containers),
        "images": None if engine.images is None else len(engine.images),
        "swarm": None if engine.swarm is None else engine.swarm.is_active,
    }


def _text(values: facts.Json, name: str) -> str:
    value = values.get(name)
    return printable(value[:_TEXT_LIMIT]) if isinstance(value, str) else ""
