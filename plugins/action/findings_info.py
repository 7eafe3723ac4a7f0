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
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmark_score, benchmarks, catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import known_names, timestamps
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION, StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    Accepted,
    BenchmarkRun,
    ControlState,
    Judgement,
    Query,
    Store,
)

_GATHERED = (
    *("findings", "coverage", "explanations", "runs", "history", "suppressions", "seals"),
    *("controls", "benchmarks", "benchmark_runs", "judgements", "containers"),
)


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
            "since": {"type": "str"},
            "until": {"type": "str"},
            "limit": {"type": "int", "default": 1000},
            "offset": {"type": "int", "default": 0},
            "run": {"type": "str"},
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
        query = _query(options, now)
        known_names.check_alerts(query.alerts, catalogue.load(), store)
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
        }
        return {
            "changed": False,
            "counts": dataclasses.asdict(store.counts(query, now)),
            **{name: [_fields(item) for item in gather[name]()] for name in options["gather"]},
        }


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


def _fields(item: t.Any) -> dict[str, t.Any]:
    """Return what the store said, as a mapping. Events and coverage are passed on and not copied, unlike by asdict."""
    values = ((field.name, getattr(item, field.name)) for field in dataclasses.fields(item))
    fields = {
        name: dataclasses.asdict(value) if isinstance(value, (Accepted, Judgement)) else value for name, value in values
    }
    if isinstance(item, ControlState):
        return {**fields, **_content(item)}
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
    names = ("hosts", "capabilities", "alerts", "subjects", "uids", "statuses", "severity", "offset")
    return Query(
        **{name: options[name] for name in names},
        since=timestamps.parse(options["since"], now) if options["since"] else None,
        until=timestamps.parse(options["until"], now) if options["until"] else None,
        limit=options["limit"] or None,
    )
