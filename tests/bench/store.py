# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store with a fleet of up to 10,000 hosts, in PostgreSQL: what each thing costs, and how that grows.

tests/bench/_scans.py describes what hosts send. At each size, 200 hosts are recorded in a new store and copied there
until it has them all, three older runs of all hosts are added, and a sixteenth of the findings was resolved long ago.
Then, three times, each in a process of its own, one size after the other, as the machine is shared:

- report: read the store and render the page, as findings_report does.
- info: findings_info as it is by default (the first 1,000 findings), and with the coverage of all hosts.
- export: findings_info of all findings.
- prune: remove what was over before this run, which is undone then.
- run: open and close a run of all hosts.
- same: findings_info of the findings with a digest that 100 hosts have, and of the other hosts of one of them.
- record: a further scan of the 200 hosts, times as many as there are of them.

Seconds are processor time, of Python and of the server, and the least of the three. mb is the largest resident memory
of the process. exponents: by how much each grows from the smallest size to the largest; 1 is in proportion to the
hosts.
ours_s and peer_s: 100 hosts recorded, each in one transaction and each result in one of its own.
"""

from __future__ import annotations

import contextlib
import importlib
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
# Hosts that are recorded one by one at each size; the others are copies of these.
RECORDED = 200
ROUNDS = 3
# So many hosts have a finding with the same digest.
SPREAD = 100
_DAY = 86_400.0
_START = 1_760_000_000.0
_OLD_RUNS = 3
_DIGEST = "5eed" * 16
_DESCRIBED = {"playbook": "scan", "user": "alice", "controller": "control1", "version": "1.0.0"}

Figures = dict[str, t.Any]


def run() -> Figures:
    return measure(SIZES, FINDINGS, RECORDED)


def measure(sizes: t.Sequence[int], findings: int, seed: int) -> Figures:
    """Return the figures of fleets of these sizes, each host with so many findings. seed: hosts that are recorded."""
    paths.link_collection()
    sys.path.insert(0, str(paths.COLLECTIONS))
    for module in ("action.findings_info", "plugin_utils.report.from_store", "plugin_utils.report.page"):
        # What a process imports is not what is measured.
        importlib.import_module(f"ansible_collections.bulwark.servers.plugins.{module}")
    with postgresql.running() as server:
        urls = {size: _fleet(server, size, findings, seed) for size in sizes}
        rounds: dict[int, list[dict[str, Figures]]] = {size: [] for size in sizes}
        for number in range(1, ROUNDS + 1):
            for size, url in urls.items():
                rounds[size].append(_at(server, url, size, findings, seed, number))
        ours, peer = (
            _apart(server, _compared, server.empty_database(), seed // 2, findings, way)["s"] for way in (True, False)
        )
    measured = {size: _least(figures) for size, figures in rounds.items()}
    names = list(measured[sizes[0]])
    return {
        "ours_s": ours,
        "peer_s": peer,
        "ratio": round(ours / peer, 3),
        "peak_mb": max(figures["mb"] for figures in measured[sizes[-1]].values()),
        "exponents": {name: _exponent([(size, measured[size][name]["s"]) for size in sizes]) for name in names},
        "hosts": measured,
    }


def _least(rounds: t.Sequence[dict[str, Figures]]) -> dict[str, Figures]:
    """Return of each thing the round in which it took the least: what others do on the machine only adds to it."""
    return {name: min((figures[name] for figures in rounds), key=lambda each: each["s"]) for name in rounds[0]}


def _exponent(points: t.Sequence[tuple[int, float]]) -> float:
    """Return the exponent by which a cost grows from the smallest size to the largest."""
    early, late = points[0], points[-1]
    return round(math.log(late[1] / early[1]) / math.log(late[0] / early[0]), 2)


def _fleet(server: postgresql.Server, size: int, findings: int, seed: int) -> str:
    """Return the address of a store with so many hosts."""
    url = server.empty_database()
    _apart(server, _record, url, seed, findings, 0, _START)
    _grow(url, size // seed)
    _spread(url)
    return url


def _at(server: postgresql.Server, url: str, size: int, findings: int, seed: int, number: int) -> dict[str, Figures]:
    """Return what each thing costs with so many hosts. number: of the round."""

    def apart(work: t.Callable[..., Figures | None], *arguments: t.Any) -> Figures:
        return _apart(server, work, url, *arguments)

    figures = {
        "report": apart(_report, _START + 60),
        "info": apart(_info, {"gather": ["findings", "coverage"]}),
        "export": apart(_info, {"limit": 0}),
        "prune": apart(_prune, _START),
        "run": apart(_run, size),
        "same": apart(_same),
        "record": apart(_record, seed, findings, number, _START + number * _DAY),
    }
    figures["record"]["s"] = round(figures["record"]["s"] * size / seed, 2)
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
    hosts = [_scans.host_name(number) for number in range(size)]
    with contextlib.closing(Store.open(url)) as store:
        run_id = store.start_run(hosts=hosts, capabilities=_scans.CAPABILITIES, now=now, **_DESCRIBED)
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


def _compared(url: str, hosts: int, findings: int, together: bool) -> None:
    _record(url, hosts, findings, 0, _START, together)


def _run(url: str, size: int) -> None:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

    from tests.bench import _scans

    hosts = [_scans.host_name(number) for number in range(size)]
    with contextlib.closing(Store.open(url)) as store:
        now = _START + _DAY / 2
        run_id = store.start_run(hosts=hosts, capabilities=_scans.CAPABILITIES, now=now, **_DESCRIBED)
        store.finish_run(run_id, now + 3600)


# Columns that a copy of a host has anew; %s is its number.
_COPIED = {
    "findings": {"uid": "md5(uid || %s)::uuid::text", "host": "host || '-' || %s"},
    "history": {"uid": "md5(uid || %s)::uuid::text", "host": "host || '-' || %s"},
    "coverage": {"host": "host || '-' || %s"},
    "explained": {"host": "host || '-' || %s"},
    "latest": {"host": "host || '-' || %s"},
    "checkpoints": {"host": "host || '-' || %s"},
    "observables": {"uid": "md5(uid || %s)::uuid::text", "host": "host || '-' || %s"},
}


def _grow(url: str, times: int) -> None:
    """Copy all hosts, add older runs and findings that were resolved long ago; have statistics as the server makes."""
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import location
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

    engine = sa.create_engine(location.parse(url), poolclass=sa.pool.NullPool)
    with engine.begin() as connection:

        def copy(name: str, source: str, **replaced: str) -> None:
            columns = [column.name for column in tables().metadata.tables[f"bulwark_{name}"].c if column.name != "id"]
            if name == "runs":
                columns.append("id")
            names = ", ".join(f'"{column}"' for column in columns)
            values = ", ".join(replaced.get(column, f'"{column}"') for column in columns)
            connection.exec_driver_sql(f"INSERT INTO bulwark_{name} ({names}) SELECT {values} FROM {source}")  # noqa: S608

        for name, replaced in _COPIED.items():
            new = {column: value.replace("%s", "number::text") for column, value in replaced.items()}
            copy(name, f"bulwark_{name}, generate_series(1, {times - 1}) AS number", **new)
        newest = connection.exec_driver_sql("SELECT id FROM bulwark_runs").scalar_one()
        for number in range(1, _OLD_RUNS + 1):
            old = f"'old-{number}'"
            copy("runs", f"bulwark_runs WHERE id = '{newest}'", id=old, started=f"started - {number * 30 * _DAY}")
            for name in ("coverage", "explained"):
                copy(name, f"bulwark_{name} WHERE run_id = '{newest}'", run_id=old)
        resolved = "UPDATE bulwark_findings SET status = 'resolved', status_since = 1 WHERE uid LIKE '0%%'"
        connection.exec_driver_sql(resolved)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


def _spread(url: str) -> None:
    """Let a finding of each of ``SPREAD`` hosts show the same digest, as if they had been recorded so."""
    from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import observables
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import location

    engine = sa.create_engine(location.parse(url), poolclass=sa.pool.NullPool)
    key = observables.key(observables.DIGEST, _DIGEST)
    first = f"""
        SELECT DISTINCT ON (host) uid FROM bulwark_findings WHERE event LIKE '%%"hashes"%%'
        ORDER BY host LIMIT {SPREAD}
    """  # noqa: S608 - a number of ours only
    shown = f'regexp_replace(event, \'("hashes":\\[[^]]*"value":")[0-9a-f]+\', \'\\1{_DIGEST}\')'
    with engine.begin() as connection:
        changed = connection.exec_driver_sql(
            f"UPDATE bulwark_findings SET event = {shown}, observed = '{key}' WHERE uid IN ({first})"  # noqa: S608 - ours
        )
        if changed.rowcount != SPREAD:
            raise RuntimeError(f"{changed.rowcount} hosts have the digest")
        rows = f"SELECT {key}, host, uid FROM bulwark_findings WHERE observed = '{key}'"  # noqa: S608 - a number of ours
        connection.exec_driver_sql(f"INSERT INTO bulwark_observables (key, host, uid) {rows}")
    engine.dispose()


def _same(url: str) -> Figures:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import observables
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store

    with contextlib.closing(Store.open(url, mode="read")) as store:
        found = store.query(Query(observables=observables.keys_of(_DIGEST)))
        shared = store.shared_observables(Query(uids=[found[0].uid]))
    counts = [each.host_count for each in shared if each.value == _DIGEST]
    if (len(found), counts) != (SPREAD, [SPREAD - 1]):
        raise RuntimeError(f"{len(found)} findings and {counts} other hosts have the digest")
    return {"findings": len(found)}


def _report(url: str, now: float) -> Figures:
    from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
    from ansible_collections.bulwark.servers.plugins.plugin_utils.report import collector, from_store, outline, page
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

    with collector.paused():
        with contextlib.closing(Store.open(url, mode="read")) as store:
            data = from_store.collect(
                store, catalogue.load(), {}, from_store.Limits(), title="Findings", version="1.0.0", now=now
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
