# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store with a fleet that grows to 10,000 hosts, in PostgreSQL: what each thing costs, and how that grows.

tests/bench/_scans.py describes what the hosts answer. At each size all hosts are scanned once more, three older runs of
all of them are in the store, and a sixteenth of the findings was resolved long ago. Then, each in a process of its own:

- record: open a run, record every host, close the run.
- report: read the store and render the page, as findings_report does.
- info: findings_info as it is by default (the first 1,000 findings), and with the coverage of all hosts.
- export: findings_info of all findings.
- prune: remove what was over before this run, which is undone then.

Seconds are processor time, of Python and of the server: the machine is shared. mb is the largest resident memory of
the process. exponents: by how much each grows from one size to the next, the greater of both; 1 is in proportion to the
hosts. ours_s and peer_s: 100 hosts recorded, each in one transaction and each result in one of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import math
import multiprocessing
import resource
import sys
import time
import typing as t

import sqlalchemy as sa

from tests.support import paths, postgresql

SIZES = (1_000, 3_000, 10_000)
FINDINGS = 10
_DAY = 86_400.0
_START = 1_760_000_000.0
_COMPARED = 100
_OLD_RUNS = 3

Figures = dict[str, t.Any]


def run() -> Figures:
    return measure(SIZES, FINDINGS)


def measure(sizes: t.Sequence[int], findings: int) -> Figures:
    """Return the figures of fleets of these sizes, each host with so many findings."""
    paths.link_collection()
    sys.path.insert(0, str(paths.COLLECTIONS))
    for module in ("action.findings_info", "plugin_utils.report.from_store", "plugin_utils.report.page"):
        # What a process imports is not what is measured.
        importlib.import_module(f"ansible_collections.bulwark.servers.plugins.{module}")
    with postgresql.running() as server:
        fleet = _Fleet(server, server.empty_database(), findings)
        measured = {size: fleet.at(size) for size in sizes}
        ours, peer = (_apart(server, _compared, server.empty_database(), findings, way)["s"] for way in (True, False))
    names = list(next(iter(measured.values())))
    return {
        "ours_s": ours,
        "peer_s": peer,
        "ratio": round(ours / peer, 3),
        "peak_mb": max(figures["mb"] for figures in measured[sizes[-1]].values()),
        "exponents": {name: _exponent([(size, measured[size][name]["s"]) for size in sizes]) for name in names},
        "hosts": measured,
    }


def _exponent(points: t.Sequence[tuple[int, float]]) -> float:
    """Return the greatest exponent by which a cost grows from one size to the next."""
    steps = itertools.pairwise(points)
    return round(max(math.log(late[1] / early[1]) / math.log(late[0] / early[0]) for early, late in steps), 2)


class _Fleet:
    """A store that the scans of a growing fleet fill."""

    def __init__(self, server: postgresql.Server, url: str, findings: int) -> None:
        self._server, self._url, self._findings = server, url, findings
        self._rounds = 0

    def at(self, size: int) -> dict[str, Figures]:
        """Scan so many hosts, and return what each thing costs then."""
        now = _START + self._rounds * _DAY
        figures = {"record": self._apart(_record, size, self._findings, self._rounds, now)}
        self._rounds += 1
        _age(self._url, now)
        figures |= {
            "report": self._apart(_report, now + 60),
            "info": self._apart(_info, {"gather": ["findings", "coverage"]}),
            "export": self._apart(_info, {"limit": 0}),
            "prune": self._apart(_prune, now),
        }
        return figures

    def _apart(self, work: t.Callable[..., Figures | None], *arguments: t.Any) -> Figures:
        return _apart(self._server, work, self._url, *arguments)


def _apart(server: postgresql.Server, work: t.Callable[..., Figures | None], *arguments: t.Any) -> Figures:
    """Run something in a process of its own; return its seconds, its memory and what else it says."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    before = server.processor_seconds
    process = context.Process(target=_send, args=(sending, work, arguments))
    process.start()
    sending.close()
    try:
        figures: Figures = receiving.recv()
    except EOFError:
        raise RuntimeError(f"{work.__name__} failed") from None
    finally:
        process.join()
    served = server.processor_seconds - before
    return {**figures, "s": round(figures["s"] + served, 3), "server_s": round(served, 2)}


def _send(sending: t.Any, work: t.Callable[..., Figures | None], arguments: t.Sequence[t.Any]) -> None:
    started, clock = time.process_time(), time.monotonic()
    extra = work(*arguments) or {}
    # What the bench itself does is not what is measured.
    spent = time.process_time() - started - extra.pop("own_s", 0)
    wall = time.monotonic() - clock - extra.pop("own_wall_s", 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sending.send({"s": spent, "wall_s": round(wall, 2), "mb": round(peak), **extra})


def _record(url: str, size: int, findings: int, round_number: int, now: float, together: bool = True) -> Figures:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

    from tests.bench import _scans

    own, own_wall = 0.0, 0.0
    described = {"playbook": "scan", "user": "alice", "controller": "control1", "version": "1.0.0"}
    hosts = [_scans.host_name(number) for number in range(size)]
    with contextlib.closing(Store.open(url)) as store:
        run_id = store.start_run(hosts=hosts, capabilities=_scans.CAPABILITIES, now=now, **described)
        for number in filter(_scans.answers, range(size)):
            started, clock = time.process_time(), time.monotonic()
            results = _scans.results(number, findings, round_number, now)
            own, own_wall = own + time.process_time() - started, own_wall + time.monotonic() - clock
            if together:
                recorded = store.record_host(run_id, hosts[number], results, now)
                if any(result.refused for result in recorded):
                    raise RuntimeError(f"a result of {hosts[number]} was refused: {recorded}")
            else:
                for result in results:
                    store.record(run_id, hosts[number], now=now, **vars(result))
        store.finish_run(run_id, now + 3600)
    return {"own_s": own, "own_wall_s": own_wall}


def _compared(url: str, findings: int, together: bool) -> None:
    _record(url, _COMPARED, findings, 0, _START, together)


def _age(url: str, now: float) -> None:
    """Have older runs of all hosts and findings that were resolved long ago, and statistics as the server makes."""
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import location

    engine = sa.create_engine(location.parse(url), poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        newest = connection.exec_driver_sql("SELECT id FROM bulwark_runs ORDER BY started DESC LIMIT 1").scalar_one()
        connection.exec_driver_sql("DELETE FROM bulwark_coverage WHERE run_id LIKE 'old-%%'")
        connection.exec_driver_sql("DELETE FROM bulwark_runs WHERE id LIKE 'old-%%'")
        for number in range(_OLD_RUNS):
            connection.exec_driver_sql(
                'INSERT INTO bulwark_runs SELECT %s, started - %s, finished, playbook, "user", controller, version'
                " FROM bulwark_runs WHERE id = %s",
                (f"old-{number}", (number + 1) * _DAY * 30, newest),
            )
            for table, columns in (
                ("coverage", "host, capability, status, entries, recorded"),
                ("explained", 'host, capability, position, scope, "by", count, examples'),
            ):
                connection.exec_driver_sql(
                    f"INSERT INTO bulwark_{table} SELECT %s, {columns} FROM bulwark_{table} WHERE run_id = %s",  # noqa: S608
                    (f"old-{number}", newest),
                )
        connection.exec_driver_sql(
            "UPDATE bulwark_findings SET status = 'resolved', status_since = %s WHERE uid LIKE '0%%'",
            (now - 90 * _DAY,),
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


def _report(url: str, now: float) -> Figures:
    from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
    from ansible_collections.bulwark.servers.plugins.plugin_utils.report import from_store, outline, page
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

    with contextlib.closing(Store.open(url, mode="read")) as store:
        data = from_store.collect(
            store, catalogue.load(), from_store.Limits(), title="Findings", version="1.0.0", now=now
        )
    text = page.render(data)
    outline.lines(data, 120, None)
    return {"file_mb": round(len(text.encode()) / 1e6, 1)}


def _info(url: str, options: Figures) -> Figures:
    from ansible.utils.unsafe_proxy import wrap_var
    from ansible_collections.bulwark.servers.plugins.action.findings_info import ActionModule
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

    specified = ActionModule.ARGUMENTS["argument_spec"]
    given = {name: option.get("default") for name, option in specified.items()} | options
    with contextlib.closing(Store.open(url, mode="read")) as store:
        result = wrap_var(ActionModule.act(object.__new__(ActionModule), store, given, {}))
    return {"findings": len(result["findings"])}


def _prune(url: str, before: float) -> Figures:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

    with contextlib.closing(Store.open(url, mode="check")) as store:
        return {"removed": store.prune(before)}
