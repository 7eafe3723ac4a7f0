# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what people decide about findings and controls."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import known_names, recording, timestamps
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import (
    STORE_OPTION,
    StoreActionBase,
    person,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import format_time, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    Judgement,
    Query,
    Selection,
    StatusChange,
    Store,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.control_results import VERDICTS

_MOST_MESSAGES = 20
_UNCHANGED = "Nothing changed: this was already the case."
_LIFTED = "Future findings are no longer suppressed."
_JUDGING = ("judged", "unjudged")


class ActionModule(StoreActionBase):
    """One method for decisions about findings, and one for those about controls."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **STORE_OPTION,
            "state": {
                "type": "str",
                "required": True,
                "choices": ["suppressed", "unsuppressed", "resolved", *_JUDGING],
            },
            "uids": {"type": "list", "elements": "str"},
            "alert": {"type": "str"},
            "host": {"type": "str"},
            "subject": {"type": "str"},
            "benchmark": {"type": "str"},
            "control": {"type": "str"},
            "verdict": {"type": "str", "choices": list(VERDICTS)},
            "digest": {"type": "str"},
            "reason": {"type": "str", "required": True},
            "actor": {"type": "str"},
            "until": {"type": "str"},
            "include_future": {"type": "bool", "default": False},
        },
        "required_if": [
            *(
                ("state", state, ["uids", "alert", "host", "subject"], True)
                for state in ("suppressed", "unsuppressed", "resolved")
            ),
            ("state", "judged", ["host", "benchmark", "control", "verdict"]),
            ("state", "unjudged", ["host", "benchmark", "control"]),
        ],
    }

    def check(self, options: dict[str, t.Any]) -> dict[str, t.Any]:
        # YAML reads 5.10 as the number 5.1, which becomes the text of another control.
        if not isinstance(self._task.args.get("control") or "", str):
            raise catalogue.ContentError('write the control in quotes, as "5.10"')
        return options

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if options["state"] in _JUDGING:
            return self._judge(store, options, task_vars)
        return self._decide(store, options, task_vars)

    def _decide(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        now = time.time()
        if options["alert"]:
            known_names.check_alerts([options["alert"]], catalogue.load(), store)
        if options["subject"] and options["state"] != "unsuppressed":
            known_names.check_literal(options["subject"], store)
        if options["uids"] is not None and not options["uids"]:
            # A list that somebody computed. Without it, what else is given would select more.
            raise known_names.UnknownNameError("'uids' is empty, so no finding is selected: name some, or leave it out")
        if options["include_future"] and options["host"] and options["state"] == "suppressed":
            inventory = (task_vars.get("groups") or {}).get("all") or ()
            known_names.check_hosts([options["host"]], store, inventory, may_be_new=True)
        uids = known_names.find_uids(options["uids"] or (), store)
        selection = Selection(uids=uids, alert=options["alert"], host=options["host"], subject=options["subject"])
        decided: dict[str, t.Any] = {
            "reason": options["reason"],
            "by": options["actor"] or person(task_vars),
            "now": now,
        }
        changed = False
        until = timestamps.parse(options["until"], now, ahead=True) if options["until"] else None
        if options["state"] == "suppressed":
            changes, changed = store.suppress(selection, until=until, future=options["include_future"], **decided)
        elif options["state"] == "unsuppressed":
            changes, changed = store.unsuppress(selection, **decided)
        else:
            changes = store.resolve(selection, **decided)
        if not changes and not options["include_future"]:
            self._refuse_nothing(store, selection)
        shown = recording.shown(changes)
        messages = [_message(change) for change in changes[:_MOST_MESSAGES]]
        if len(changes) > len(messages):
            messages.append(f"and {len(changes) - len(messages):,} more")
        if messages and options["state"] == "suppressed":
            end = f"The suppression ends at {format_time(until)} UTC" if until else "The suppression has no end"
            messages.append(f"{end}; reason: {visible(options['reason'], 200)}")
        if changed:
            messages.append("This also applies to future findings." if options["state"] == "suppressed" else _LIFTED)
        return {**shown, "changed": changed or shown["changed"], "messages": messages or [_UNCHANGED]}

    def _refuse_nothing(self, store: Store, selection: Selection) -> None:
        """Raise UnknownNameError if a decision is about no finding, as with a name that is misspelt."""
        about = Query(
            uids=selection.uids,
            alerts=[selection.alert] if selection.alert else (),
            hosts=[selection.host] if selection.host else (),
            subjects=[selection.subject] if selection.subject else (),
            limit=1,
        )
        if not store.query(about, with_events=False):
            raise known_names.explain_nothing(dataclasses.replace(about, limit=None), store)

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


def _message(change: StatusChange) -> str:
    subject, host = visible(change.subject, 200), visible(change.host, 80)
    return f"{host}: {change.alert} about {subject} is {change.after} (was {change.before})"


def _shown(judgements: t.Sequence[Judgement], side: str | None) -> dict[str, t.Any]:
    """Return judgements, with a difference for diff mode that has them on one side."""
    names = ("host", "benchmark", "control", "subject", "verdict", "reason", "actor", "created", "until")
    lines = "".join(f"{each.host} {each.control} {each.subject}: {each.verdict}\n" for each in judgements)
    return {
        "judgements": [{name: getattr(each, name) for name in names} for each in judgements],
        "diff": {"before": "", "after": "", **({side: lines} if side else {})},
    }
