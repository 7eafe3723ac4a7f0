# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what was found on a host, and what people decide about it."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import not_checked
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import known_names, recording, timestamps
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import (
    STORE_OPTION,
    StoreActionBase,
    person,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    CapabilityResult,
    Judgement,
    Selection,
    Store,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.control_results import VERDICTS

_JUDGING = ("judged", "unjudged")


class ActionModule(StoreActionBase):
    """One method for what a run records, and one for what a person decides."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **STORE_OPTION,
            "state": {
                "type": "str",
                "required": True,
                "choices": ["recorded", "suppressed", "unsuppressed", "resolved", *_JUDGING],
            },
            "run": {"type": "str"},
            "capability": {"type": "str"},
            "result": {"type": "dict"},
            "findings": {"type": "list", "elements": "dict"},
            "coverage": {"type": "list", "elements": "dict"},
            "checkpoint": {"type": "dict"},
            "uids": {"type": "list", "elements": "str"},
            "alert": {"type": "str"},
            "host": {"type": "str"},
            "subject": {"type": "str"},
            "benchmark": {"type": "str"},
            "control": {"type": "str"},
            "verdict": {"type": "str", "choices": list(VERDICTS)},
            "digest": {"type": "str"},
            "reason": {"type": "str"},
            "actor": {"type": "str"},
            "until": {"type": "str"},
            "include_future": {"type": "bool", "default": False},
        },
        "mutually_exclusive": [("result", "findings"), ("result", "coverage"), ("result", "checkpoint")],
        "required_together": [("findings", "coverage")],
        "required_if": [
            ("state", "recorded", ["run", "capability"]),
            ("state", "recorded", ["result", "coverage"], True),
            *(
                requirement
                for state in ("suppressed", "unsuppressed", "resolved")
                for requirement in (
                    ("state", state, ["reason"]),
                    ("state", state, ["uids", "alert", "host", "subject"], True),
                )
            ),
            ("state", "judged", ["host", "benchmark", "control", "verdict", "reason"]),
            ("state", "unjudged", ["host", "benchmark", "control", "reason"]),
        ],
    }

    def check(self, options: dict[str, t.Any]) -> dict[str, t.Any]:
        # YAML reads 5.10 as the number 5.1, which becomes the text of another control.
        if not isinstance(self._task.args.get("control") or "", str):
            raise catalogue.ContentError('write the control in quotes, as "5.10"')
        return options

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if options["state"] == "recorded":
            return self._record(store, options, task_vars)
        if options["state"] in _JUDGING:
            return self._judge(store, options, task_vars)
        return self._decide(store, options, task_vars)

    def _record(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        # Delegated, the capability looked at that host, and so the findings are about it.
        host = host_name(self._task.delegate_to or task_vars["inventory_hostname"])
        run_id, capability = options["run"], options["capability"]
        result = CapabilityResult(capability, options["findings"] or [], options["coverage"], options["checkpoint"])
        if options["result"] is not None:
            result = _from_result(options["result"], capability)
        if self._task.check_mode:
            recording.open_run(store, run_id)
        recorded = store.record(
            run_id,
            host,
            capability,
            result.findings,
            result.coverage,
            time.time(),
            result.checkpoint,
            controls=result.controls,
            containers=result.containers,
            programs=result.programs,
            program_host=result.program_host,
            ended=result.ended,
        )
        counts = dataclasses.asdict(recorded)
        del counts["changes"], counts["refused"]
        return {**recording.shown(recorded.changes), "host": host, "capability": capability, "counts": counts}

    def _decide(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        now = time.time()
        if options["alert"]:
            known_names.check_alerts([options["alert"]], catalogue.load(), store)
        selection = Selection(
            uids=options["uids"] or (), alert=options["alert"], host=options["host"], subject=options["subject"]
        )
        decided: dict[str, t.Any] = {
            "reason": options["reason"],
            "by": options["actor"] or person(task_vars),
            "now": now,
        }
        changed = False
        if options["state"] == "suppressed":
            until = timestamps.parse(options["until"], now, ahead=True) if options["until"] else None
            changes, changed = store.suppress(selection, until=until, future=options["include_future"], **decided)
        elif options["state"] == "unsuppressed":
            changes, changed = store.unsuppress(selection, **decided)
        else:
            changes = store.resolve(selection, **decided)
        shown = recording.shown(changes)
        return {**shown, "changed": changed or shown["changed"]}

    def _judge(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        now = time.time()
        about = (host_name(options["host"]), options["benchmark"], options["control"], options["subject"])
        decided: dict[str, t.Any] = {
            "reason": options["reason"],
            "by": options["actor"] or person(task_vars),
            "now": now,
        }
        if options["state"] == "unjudged":
            judgements = store.take_back_judgement(*about, **decided)
            return {"changed": bool(judgements), **_shown(judgements, "before")}
        until = timestamps.parse(options["until"], now, ahead=True) if options["until"] else None
        judgement, changed = store.judge(
            *about, verdict=options["verdict"], until=until, digest=options["digest"], **decided
        )
        return {"changed": changed, **_shown([judgement], "after" if changed else None)}


def _shown(judgements: t.Sequence[Judgement], side: str | None) -> dict[str, t.Any]:
    """Return judgements, with a difference for diff mode that has them on one side."""
    names = ("host", "benchmark", "control", "subject", "verdict", "reason", "actor", "created", "until")
    lines = "".join(f"{each.host} {each.control} {each.subject}: {each.verdict}\n" for each in judgements)
    return {
        "judgements": [{name: getattr(each, name) for name in names} for each in judgements],
        "diff": {"before": "", "after": "", **({side: lines} if side else {})},
    }


def _from_result(result: t.Mapping[str, t.Any], capability: str) -> CapabilityResult:
    """Return what a registered result has for the store, whatever became of its task."""
    findings = result.get("findings") or []
    for outcome, words in (
        ("unreachable", "the host was unreachable"),
        ("failed", "it failed"),
        ("skipped", "skipped"),
    ):
        if result.get(outcome):
            message = result.get("msg") or result.get("skip_reason") or result.get("skipped_reason")
            # Ansible begins so whatever went wrong.
            reason = (
                f"{words}: {message.removeprefix('Task failed: ')}" if isinstance(message, str) and message else words
            )
            return CapabilityResult(capability, findings, [not_checked(capability, reason)])
    return CapabilityResult(
        capability=capability,
        findings=findings,
        coverage=t.cast("t.Any", result.get("coverage")),
        checkpoint=result.get("checkpoint"),
        controls=result.get("controls") or (),
        containers=result.get("containers") or (),
        programs=result.get("programs") or (),
        program_host=result.get("program_host"),
        ended=result.get("ended") or (),
    )
