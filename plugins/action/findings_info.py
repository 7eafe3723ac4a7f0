# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answer from the store what was found, how far runs looked, and what happened since."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils import (
    benchmark_score,
    benchmarks,
    catalogue,
    change_ids,
    finding_commands,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import known_names, timestamps
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION, StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation import queries
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import observables
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import Device
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    Accepted,
    BenchmarkRun,
    ControlState,
    Finding,
    Investigation,
    Judgement,
    Query,
    Store,
    location,
)

_GATHERED = (
    *("findings", "coverage", "explanations", "runs", "history", "suppressions", "seals"),
    *("controls", "benchmarks", "benchmark_runs", "judgements", "containers"),
    *("shared_observables", "simulations", "investigations", "investigation_queries"),
)
# Each is looked for as every type of value.
_MOST_OBSERVABLES = 50
_MOST_RELATED = 20
# The uid of no finding.
_NONE = "none"


class ActionModule(StoreActionBase):
    """Ask only what was asked for: the coverage of ten thousand hosts takes its time and memory."""

    READS_ONLY = True
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **STORE_OPTION,
            "gather": {
                "type": "list",
                "elements": "str",
                "choices": list(_GATHERED),
                "default": ["findings"],
            },
            "hosts": {"type": "list", "elements": "str", "default": []},
            "capabilities": {"type": "list", "elements": "str", "default": []},
            "alerts": {"type": "list", "elements": "str", "default": []},
            "subjects": {"type": "list", "elements": "str", "default": []},
            "uids": {"type": "list", "elements": "str", "default": []},
            "statuses": {"type": "list", "elements": "str", "choices": list(STATUSES), "default": []},
            "severity": {"type": "str", "choices": list(SEVERITIES)},
            "simulated": {"type": "bool"},
            "since": {"type": "str"},
            "until": {"type": "str"},
            "limit": {"type": "int", "default": 1000},
            "offset": {"type": "int", "default": 0},
            "run": {"type": "str"},
            "observables": {"type": "list", "elements": "str", "default": []},
            "related_to": {"type": "list", "elements": "str", "default": []},
            "explained_by": {"type": "list", "elements": "str", "default": []},
            "benchmarks": {"type": "list", "elements": "str", "default": []},
            "controls": {"type": "list", "elements": "str", "default": []},
            "control_statuses": {
                "type": "list",
                "elements": "str",
                "choices": list(_control.STATUSES),
                "default": [],
            },
        },
    }

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if options["limit"] < 0 or options["offset"] < 0:
            raise AnsibleActionFail("'limit' and 'offset' are 0 or more")
        now = time.time()
        options["uids"] = known_names.find_uids(options["uids"], store)
        query = _related(_query(options, now), options, store)
        known_names.check_alerts(query.alerts, catalogue.load(), store)
        known_names.check_hosts(query.hosts, store, (task_vars.get("groups") or {}).get("all") or ())
        known_names.check_capabilities(query.capabilities, store)
        known_names.check_run(options["run"], store)
        known_names.check_subjects(query.subjects, store, query)
        if options["benchmarks"] or options["controls"]:
            known_names.check_controls(options["benchmarks"], options["controls"], benchmarks.load())
        gather: dict[str, t.Callable[[], t.Sequence[t.Any]]] = {
            "findings": lambda: store.query(query, now),
            "coverage": lambda: store.coverage(
                options["run"], hosts=options["hosts"], capabilities=options["capabilities"]
            ),
            "explanations": lambda: store.explanations(
                by=options["explained_by"],
                hosts=query.hosts,
                capabilities=query.capabilities,
                run_id=options["run"],
                since=query.since,
                until=query.until,
                limit=query.limit,
                offset=query.offset,
            ),
            "runs": lambda: store.runs(query.limit, ids=[options["run"]] if options["run"] else ()),
            "history": lambda: store.history(query, now),
            "suppressions": store.suppressions,
            "seals": lambda: store.seal_log(
                hosts=query.hosts, since=query.since, until=query.until, limit=query.limit, offset=query.offset
            ),
            **_of_benchmarks(store, options, query),
            "shared_observables": lambda: store.shared_observables(query, now),
            "simulations": lambda: _simulations(store, query),
            "investigations": lambda: _investigations(store, query),
            "investigation_queries": lambda: [
                event
                for each in _investigations(store, query)
                for event in queries.stored(each.result, Device(each.host), each.at)
            ],
        }
        shown = location.without_password(options["store"])
        return {
            "changed": False,
            "counts": dataclasses.asdict(store.counts(query, now)),
            **{
                name: [item if isinstance(item, dict) else _fields(item, shown) for item in gather[name]()]
                for name in options["gather"]
            },
        }


def _simulations(store: Store, query: Query) -> list[dict[str, t.Any]]:
    names = ("id", "host", "started", "ended", "by", "alerts", "findings")
    return [
        {name: getattr(each, name) for name in names}
        for each in store.simulations(query.hosts, limit=query.limit, offset=query.offset)
    ]


def _investigations(store: Store, query: Query) -> list[Investigation]:
    return store.investigations(findings=query.uids, hosts=query.hosts, limit=query.limit, offset=query.offset)


def _related(query: Query, options: t.Mapping[str, t.Any], store: Store) -> Query:
    """Return a query narrowed to findings that show some values, and to those that show what some findings show."""
    values: t.Sequence[str] = options["observables"]
    if len(values) > _MOST_OBSERVABLES:
        raise AnsibleActionFail(f"'observables' has {len(values)} values; give at most {_MOST_OBSERVABLES}")
    common = [value for value in values if observables.is_common_somehow(value)]
    if common:
        raise AnsibleActionFail(
            f"'observables' has {common[0]}, which nearly every host has, so that it connects no findings; "
            "use 'subjects', or a digest, address or path that is rarer"
        )
    keys = {key for value in values for key in observables.keys_of(value)}
    uids: t.Sequence[str] = options["related_to"]
    if len(uids) > _MOST_RELATED:
        raise AnsibleActionFail(f"'related_to' has {len(uids)} uids; give at most {_MOST_RELATED}")
    if uids:
        shared = set(store.observable_keys(uids))
        keys = keys & shared if values else shared
        if not keys:
            # Nothing is asked for that any finding shows, which an empty list would not say.
            return dataclasses.replace(query, uids=[_NONE])
    return dataclasses.replace(query, observables=sorted(keys), without=uids)


def _of_benchmarks(
    store: Store, options: t.Mapping[str, t.Any], query: Query
) -> dict[str, t.Callable[[], t.Sequence[t.Any]]]:
    """Return what asks the store about benchmarks, by what is gathered."""
    limited: dict[str, t.Any] = {"hosts": query.hosts, "limit": query.limit, "offset": query.offset}
    about: dict[str, t.Any] = {**limited, "capabilities": query.capabilities, "subjects": query.subjects}
    names: t.Sequence[str] = options["benchmarks"]
    period: dict[str, t.Any] = {"run_id": options["run"], "since": query.since, "until": query.until}
    return {
        "controls": lambda: store.controls(
            **about, benchmarks=names, controls=options["controls"], statuses=options["control_statuses"]
        ),
        "benchmarks": lambda: store.benchmark_runs(**about, benchmarks=names, newest=True),
        "benchmark_runs": lambda: store.benchmark_runs(**about, **period, benchmarks=names),
        "judgements": lambda: store.judgements(**limited, benchmarks=names),
        "containers": lambda: store.containers(**about),
    }


def _fields(item: t.Any, store: str | None) -> dict[str, t.Any]:
    """Return what the store said, as a mapping. Events and coverage are passed on and not copied, unlike by asdict.

    store: its URL, for the commands of findings.
    """
    values = ((field.name, getattr(item, field.name)) for field in dataclasses.fields(item))
    fields = {
        name: dataclasses.asdict(value) if isinstance(value, (Accepted, Judgement)) else value for name, value in values
    }
    if isinstance(item, ControlState):
        return {**fields, **_content(item)}
    if isinstance(item, Finding):
        case = finding_commands.Case.of(item, store)
        return {
            **fields,
            "changes": change_ids.change_ids(item.event) if case.state else [],
            "state": case.state,
            "actions": [command._asdict() for command in finding_commands.commands(case)],
        }
    return {**fields, "score": _score(item)} if isinstance(item, BenchmarkRun) else fields


def _content(state: ControlState) -> dict[str, t.Any]:
    """Return what the benchmark says of a control, None for what this collection does not have."""
    benchmark = benchmarks.load().get(state.benchmark)
    control = benchmark.controls.get(state.control) if benchmark is not None else None
    content = {name: getattr(control, name, None) for name in ("title", "section", "level", "profile", "question")}
    return content if state.status == _control.MANUAL else {**content, "question": None}


def _score(run: BenchmarkRun) -> dict[str, float | None]:
    """Return the scores of a benchmark in percent."""
    scores = {"of_judged": benchmark_score.of_judged, "of_applicable": benchmark_score.of_applicable}
    shares = {name: score(run.weights) for name, score in scores.items()}
    return {name: None if share is None else round(100 * share, 1) for name, share in shares.items()}


def _query(options: t.Mapping[str, t.Any], now: float) -> Query:
    names = ("hosts", "capabilities", "alerts", "subjects", "uids", "statuses", "severity", "offset", "simulated")
    return Query(
        **{name: options[name] for name in names},
        since=timestamps.parse(options["since"], now) if options["since"] else None,
        until=timestamps.parse(options["until"], now) if options["until"] else None,
        limit=options["limit"] or None,
    )
