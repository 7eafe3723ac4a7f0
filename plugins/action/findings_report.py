# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what the store holds as one HTML file and one CSV file, and return it as a table for a terminal."""

from __future__ import annotations

import dataclasses
import operator
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmarks, catalogue, collection_version
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import known_names, timestamps
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION, StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    benchmark,
    collector,
    controls_csv,
    coverage,
    from_store,
    model,
    outline,
    output,
    page,
    summary,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, location


class ActionModule(StoreActionBase):
    """Read the store, render, put the file in place."""

    READS_ONLY = True
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **STORE_OPTION,
            "path": {"type": "str", "required": True},
            "controls_path": {"type": "str"},
            "mode": {"type": "raw", "default": "0600"},
            "title": {"type": "str", "default": "Security findings"},
            "hosts": {"type": "list", "elements": "str", "default": []},
            "capabilities": {"type": "list", "elements": "str", "default": []},
            "statuses": {"type": "list", "elements": "str", "choices": list(STATUSES), "default": []},
            "since": {"type": "str"},
            "width": {"type": "int", "default": 120},
            "run": {"type": "str"},
        },
    }

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        known_names.check_hosts(options["hosts"], store, (task_vars.get("groups") or {}).get("all") or ())
        known_names.check_capabilities(options["capabilities"], store)
        with collector.paused():
            return self._write(store, options)

    def _write(self, store: Store, options: dict[str, t.Any]) -> dict[str, t.Any]:
        now = time.time()
        limits = from_store.Limits(
            hosts=tuple(options["hosts"]),
            capabilities=tuple(options["capabilities"]),
            statuses=tuple(options["statuses"]),
            since=timestamps.parse(options["since"], now) if options["since"] else None,
        )
        path = output.located(options["path"])
        controls_path = output.located(options["controls_path"]) if options["controls_path"] else None
        if controls_path == path:
            raise AnsibleActionFail(f"controls_path is the report's own path {path}: name another file")
        try:
            mode = output.file_mode(options["mode"])
            data = from_store.collect(
                store,
                catalogue.load(),
                benchmarks.load(),
                limits,
                title=options["title"],
                version=collection_version.version(),
                now=now,
                url=location.without_password(options["store"]),
            )
            dry = self._task.check_mode
            changed = output.put(path, page.render(data), mode, page.same_report, dry=dry)
            if controls_path:
                table = controls_csv.text(data)
                changed |= output.put(controls_path, table, mode, operator.eq, dry=dry, what="file of the controls")
        except (catalogue.ContentError, output.OutputError) as error:
            raise AnsibleActionFail(str(error)) from None
        run = _controls(store, options["run"])
        return {
            "changed": changed,
            "path": str(path),
            "controls_path": str(controls_path) if controls_path else None,
            "summary": outline.lines(data, options["width"], run),
            **_facts(data),
        }


def _controls(store: Store, run_id: str | None) -> frozenset[outline.Control] | None:
    # In check mode the run is in no store.
    if run_id is None or not store.runs(ids=[run_id]):
        return None
    controls = {(covered.host, covered.capability) for covered in store.coverage(run_id)}
    # Findings about all hosts together, or about the collection itself, are made at the end of the run.
    names = {*catalogue.SHARED, *(capability for _host, capability in controls)}
    return frozenset(controls | {(FLEET, capability) for capability in names})


def _facts(data: model.ReportData) -> dict[str, t.Any]:
    matrix = coverage.matrix(data.coverage, data.findings)
    score = summary.score(data)
    active = summary.severity_counts(finding for finding in data.findings if finding.is_active)
    statuses = [finding.status for finding in data.findings]
    return {
        "score": dataclasses.asdict(score.total) if score else None,
        "benchmarks": {sheet.benchmark.id: _benchmark(sheet) for sheet in benchmark.sheets(data)},
        "counts": {
            "total": len(statuses),
            "by_status": {status: statuses.count(status) for status in STATUSES},
            "open_by_severity": dict(zip(model.SEVERITIES, active, strict=True)),
            "open_at_least": summary.open_at_least(active),
            "hosts": len(matrix.hosts),
            "not_fully_checked": matrix.not_fully_checked,
        },
    }


def _benchmark(sheet: benchmark.Sheet) -> dict[str, t.Any]:
    return {
        "of_judged": sheet.total.of_judged,
        "of_applicable": sheet.total.of_applicable,
        "engines": len(sheet.engines),
        "by_status": dict(zip(_control.STATUSES, sheet.total.counts, strict=True)),
    }
