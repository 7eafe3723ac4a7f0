# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at who connects to a host, whom it connects to, and what it listens on."""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, not_checked
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, exposure, policy_info, words
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import OwnTable
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows.fields import Flow
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import (
    apply,
    imports,
    kernel,
    listening,
    reader,
    rules,
    settings,
    sockets,
    state,
)
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.reader import Report
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.settings import Settings
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.sockets import Sockets
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.state import Book

TRAFFIC, LISTENING, IMPORTS = "traffic", "listening", "imports"
# Entries in the result: those of who was answered, on most days.
MOST_TRAFFIC = 50_000
# Of these, as JSON; a scan takes 16 MiB from a look.
_MOST_BYTES = 12 << 20
NOTHING = (
    "No recorder runs on this host: set network_hardening_directions, and deploy the recorder with the playbook "
    "bulwark.servers.protect."
)


def scopes(params: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    """Return what is looked at with these options."""
    return (TRAFFIC, LISTENING, IMPORTS) if params.get("imports") else (TRAFFIC, LISTENING)


def collect(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Return the result of traffic_info. What can't be looked at is in the coverage with the reason."""
    check_options(params, ("state_dir",), {"lock_timeout": 0, "max_traffic": 0})
    apply.check_kept(params["keep_days"])
    try:
        words.networks(params["local"], "local")
    except ValueError as error:
        raise UsageError(str(error)) from error
    for item in params["imports"]:
        if not os.path.isabs(item["path"]):
            raise UsageError("imports: '%s' is relative; give an absolute path" % item["path"])
    result: dict[str, t.Any] = {
        "changed": False,
        "recorder": None,
        "since": None,
        "traffic": [],
        "traffic_count": None,
        "incomplete_since": None,
        "addresses": [],
        "detections": [],
    }
    here = sockets.read()
    nft = Nft()
    result["listening"], listened = listening.look(here, exposure.look(nft), LISTENING)
    try:
        result["addresses"] = sockets.addresses()
        coverage = _recorded(params, check_mode, nft, here, result)
    except (HostError, StateError, OSError) as error:
        reason = "%s." % str(error).rstrip(".")
        coverage = [not_checked(scope, reason) for scope in scopes(params) if scope != LISTENING]
    return {**result, "coverage": [*coverage, listened]}


def _recorded(
    params: t.Mapping[str, t.Any], check_mode: bool, nft: Nft, here: Sockets, result: dict[str, t.Any]
) -> list[dict[str, t.Any]]:
    """Fill the result with what was recorded and return the coverage."""
    policy_info.check_root()
    create = not check_mode and bool(params["imports"])
    with enforcing.directory(params, state.CAPABILITY, create=create) as where:
        if where is None or check_mode:
            return _read(params, None, where, nft, here, result)
        with where.locked(state.LOCK, params["lock_timeout"]):
            return _read(params, where, where, nft, here, result)


def _read(
    params: t.Mapping[str, t.Any],
    kept: StateDirectory | None,
    where: StateDirectory | None,
    nft: Nft,
    here: Sockets,
    result: dict[str, t.Any],
) -> list[dict[str, t.Any]]:
    """kept: where what is read is kept, None where nothing is."""
    recorded, book = state.read_settings(where), state.read(where)
    result["recorder"] = recorded.fields() if recorded else None
    coverage = [_kernel(nft, book, here, recorded, kept is not None)]
    if params["imports"]:
        coverage.append(_imported(params, book, recorded, result["addresses"]))
    apply.trim(book, params["keep_days"])
    if kept is not None and (recorded is not None or book.read is not None or book.imports):
        state.write(kept, book)
    _fill(result, book, coverage[0])
    return coverage


def _kernel(nft: Nft, book: Book, here: Sockets, recorded: Settings | None, mark: bool) -> dict[str, t.Any]:
    coverage = ScopeCoverage(TRAFFIC)
    if recorded is None:
        coverage.fail(NOTHING)
        return coverage.entry()
    try:
        seen = kernel.look(nft)
        if seen is None:
            coverage.fail(
                "The kernel has no table inet %s any more, so nothing is recorded: somebody removed it; "
                "deploy it again with bulwark.servers.protect." % rules.NAME
            )
            return coverage.entry()
        compared = OwnTable(nft, rules.NAME).compare(rules.rules(recorded))
        report = reader.read(nft, book, seen, here, recorded, mark)
    except FirewallError as error:
        coverage.fail("%s." % str(error).rstrip("."))
        return coverage.entry()
    coverage.examined = sum(map(len, seen.found.values()))
    if compared.problem is not None:
        coverage.skip("table inet %s" % rules.NAME, "it does not record as it should: %s" % compared.problem)
    _tell(coverage, report, recorded, book)
    return coverage.entry()


def _tell(coverage: ScopeCoverage, report: Report, recorded: Settings, book: Book) -> None:
    """Note in the coverage what was not recorded."""
    if report.restored:
        coverage.skip(
            "table inet %s" % rules.NAME, "it was made from a copy; what came before this reading is not counted"
        )
    elif report.lost_since is not None:
        since = _time(report.lost_since)
        coverage.skip("table inet %s" % rules.NAME, "it was recreated after %s; its counts since then are lost" % since)
    if report.before is not None and book.read is not None and book.read - report.before > recorded.timeout:
        since = _time(report.before)
        coverage.skip(
            "sources", "the kernel forgets after %d days, and was last read at %s" % (recorded.timeout_days, since)
        )
    for comment, packets in sorted(report.no_place.items()):
        what = "%d packets found no room in its sets; raise size (network_hardening_size)" % packets
        if comment.startswith(rules.CROWDED):
            what = (
                "%d packets of UDP may not be the first of their connections; raise size (network_hardening_size)"
                % packets
            )
        coverage.skip(comment.partition(": ")[2], what)
    if report.dropped:
        coverage.skip("state", "%d sources found no room among %d" % (report.dropped, reader.MOST_ENTRIES))
    coverage.note = "Forwarded traffic, such as to containers, is not recorded."


def _imported(
    params: t.Mapping[str, t.Any], book: Book, recorded: Settings | None, addresses: t.Sequence[str]
) -> dict[str, t.Any]:
    coverage = ScopeCoverage(IMPORTS)

    def is_known(flow: Flow, direction: str, begun: float) -> bool:
        """Say whether the recorder has counted it itself."""
        return (
            recorded is not None
            and book.since is not None
            and begun >= book.since
            and direction in recorded.directions
            and (direction != settings.IN or (flow.port, flow.protocol) not in recorded.unrecorded)
        )

    asked = imports.Asked(addresses, params["local"], time.time(), is_known)
    book.imports = imports.update(book.imports, params["imports"], asked, coverage)
    if not coverage.examined:
        coverage.fail(
            "No flow was read from any file of network_hardening_imports; the coverage has the reason for each file."
        )
    return coverage.entry()


def _fill(result: dict[str, t.Any], book: Book, traffic: dict[str, t.Any]) -> None:
    found = [{**entry.result(key), "origin": "recorder"} for key, entry in book.entries.items()]
    found += [{**entry, "origin": "import"} for one in book.imports for entry in one.entries]
    found.sort(key=lambda one: (-bool(one["answered"]), -len(one["days"]), -one["last_seen"], one["source"]))
    result["traffic"] = _fitting(found)
    result["traffic_count"] = len(found)
    result["since"] = book.since if book.resumed is None else book.resumed
    result["incomplete_since"] = book.full
    left = len(found) - len(result["traffic"])
    if left and traffic["status"] != "not_checked":
        traffic["status"] = "partial"
        traffic["skipped_count"] += 1
        traffic["skipped"].append({"subject": "result", "reason": "%d entries are left out of it" % left})


def _fitting(found: t.Sequence[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the first entries, as many as an answer has room for: who comes from many addresses must not fill it."""
    room = _MOST_BYTES
    for number, entry in enumerate(found[:MOST_TRAFFIC]):
        room -= len(json.dumps(entry))
        if room < 0:
            return list(found[:number])
    return list(found[:MOST_TRAFFIC])


def _time(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))
