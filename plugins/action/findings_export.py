# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Register destinations of the export, and send what waits for them."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import known_names, timestamps
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION, StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import (
    behind,
    outcome,
    preview,
    runner,
    secrets,
    settings,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.progress import Progress
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.settings import Settings
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

# A week: no export takes so long, and what a thread can wait for has an end. A preview is in memory as a whole.
_LONGEST = 604_800
_MOST_PREVIEWS = 10_000


class ActionModule(StoreActionBase):
    """Check everything, then register everything, then send; a receiver's failure is a result and no error."""

    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {
            **STORE_OPTION,
            "state": {"type": "str", "choices": ["exported", "present", "absent"], "default": "exported"},
            "destinations": settings.arguments(),
            "names": {"type": "list", "elements": "str", "default": []},
            "discard": {"type": "bool", "default": False},
            "resend": {"type": "bool", "default": False},
            "run": {"type": "str"},
            "time_limit": {"type": "int", "default": 300},
            "behind_after": {"type": "str", "default": "1d"},
            "strict": {"type": "bool", "default": False},
            "preview": {"type": "int", "default": 10},
        },
    }

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run with messages that have no secret, also those about options that are wrong."""
        redact = secrets.Redactor(settings.raw_secrets(self._task.args.get("destinations")))
        try:
            return super().run(tmp, task_vars)
        except AnsibleError as error:
            raise AnsibleActionFail(redact(error.message)) from None

    def check(self, options: dict[str, t.Any]) -> dict[str, t.Any]:
        if options["state"] == "absent":
            if not options["names"] or options["destinations"]:
                raise AnsibleActionFail("state absent removes the destinations of 'names': give 'names' alone")
        elif not options["destinations"]:
            raise AnsibleActionFail("'destinations' is empty: give at least one destination")
        for name, least, most in (("time_limit", 1, _LONGEST), ("preview", 0, _MOST_PREVIEWS)):
            if not least <= options[name] <= most:
                raise AnsibleActionFail(f"'{name}' is {options[name]}: write {least} to {most}")
        if not timestamps.span(options["behind_after"]):
            raise AnsibleActionFail(
                f"behind_after '{options['behind_after']}' is no span of time: write minutes, hours, days or weeks"
                " (12h, 1d)"
            )
        return options

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if options["state"] == "absent":
            return _remove(store, options)
        now = time.time()
        try:
            chosen = _chosen(settings.parse(options["destinations"], task_vars.get("groups") or {}, now), options)
            _check_names(store, chosen)
        except ExportError as error:
            raise AnsibleActionFail(str(error)) from None
        registered = [
            each.name
            for each in chosen
            if store.register_destination(each.destination, now=now, existing_since=each.since)
        ]
        result: dict[str, t.Any] = {"changed": bool(registered), "registered": registered}
        unverified = [_unverified(each) for each in chosen if each.options.get("verify") is False]
        if unverified:
            result["warnings"] = unverified
        if options["state"] == "present":
            return result
        again = [store.send_again(each.name, now=now) for each in chosen] if options["resend"] else []
        lifted = store.lift_ended_suppressions(now)
        result["changed"] |= any(again) or lifted > 0
        if self._task.check_mode:
            return result | self._preview(store, chosen, options, now)
        sent = self._send(store, chosen, options, changed=result["changed"])
        return result | sent | ({"warnings": [*unverified, *sent.get("warnings", [])]} if unverified else {})

    def _preview(
        self, store: Store, chosen: t.Sequence[Settings], options: t.Mapping[str, t.Any], now: float
    ) -> dict[str, t.Any]:
        """Return what would be sent."""
        results = []
        try:
            for each in chosen:
                waiting = store.waiting(each.name, options["preview"], now) if options["preview"] else []
                results.append({**_state(store, each, Progress()), "preview": preview.of_changes(each, waiting)})
        except ExportError as error:
            raise AnsibleActionFail(str(error)) from None
        return {
            "changed": any(result["waiting"] for result in results),
            "destinations": results,
            "summary": [outcome.line(result) for result in results],
        }

    def _send(
        self, store: Store, chosen: t.Sequence[Settings], options: t.Mapping[str, t.Any], *, changed: bool
    ) -> dict[str, t.Any]:
        started = time.monotonic()
        dropped = {state.destination.name: state.dropped for state in store.destinations(time.time())}

        def export(destinations: t.Sequence[Settings]) -> dict[str, Progress]:
            left = max(1.0, started + options["time_limit"] - time.monotonic())
            return runner.run(destinations, lambda: Store.open(options["store"]), left)

        done = export(chosen)
        seconds = t.cast("int", timestamps.span(options["behind_after"]))
        if behind.record(store, options["run"], seconds, time.time()):
            changed = True
            # The others are to hear of it in time.
            well = [each for each in chosen if done[each.name].error is None]
            done |= {name: outcome.merged(done[name], more) for name, more in export(well).items()}
        results = [_state(store, each, done[each.name]) for each in chosen]
        problems = [problem for problem in map(outcome.problem, results) if problem]
        is_changed = any(
            result["sent"] or result["refused"] or result["dropped"] > dropped.get(result["name"], 0)
            for result in results
        )
        reported: dict[str, t.Any] = {"warnings": problems} if problems else {}
        if problems and options["strict"]:
            reported = {"failed": True, "msg": " ".join(problems)}
        return {
            "changed": changed or is_changed,
            "destinations": results,
            "summary": [outcome.line(result) for result in results],
            **reported,
        }


def _unverified(each: Settings) -> str:
    return (
        f"destination '{each.name}': verify is false, so anybody on the way to {each.destination.address} can read and "
        "change what is sent: remove it, and name the receiver's authority in ca_file"
    )


def _state(store: Store, each: Settings, progress: Progress) -> dict[str, t.Any]:
    return outcome.of_destination(outcome.state_of(store, each.destination, time.time()), progress)


def _remove(store: Store, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    now = time.time()
    known = {state.destination.name for state in store.destinations(now)}
    removed = [name for name in dict.fromkeys(options["names"]) if name in known]
    discarded = sum(store.remove_destination(name, discard=options["discard"], now=now) for name in removed)
    return {"changed": bool(removed), "removed": removed, "discarded": discarded}


def _chosen(parsed: t.Sequence[Settings], options: t.Mapping[str, t.Any]) -> list[Settings]:
    names = [each.name for each in parsed]
    for name in options["names"]:
        if name not in names:
            raise ExportError(f"names: there is no destination '{name}'; there are {', '.join(names)}")
    return [each for each in parsed if not options["names"] or each.name in options["names"]]


def _check_names(store: Store, chosen: t.Iterable[Settings]) -> None:
    """Raise for a filter that names what there is not: nothing would ever be sent, and nobody would notice."""
    for each in chosen:
        wanted = each.destination.filter
        try:
            known_names.check_alerts(wanted.alerts, catalogue.load(), store)
        except known_names.UnknownNameError as error:
            raise ExportError(f"destination '{each.name}': alerts: {error}") from None
        known = [*capabilities.load(), *catalogue.SHARED]
        for name in wanted.capabilities:
            if name not in known:
                raise ExportError(
                    f"destination '{each.name}': capabilities: there is no '{name}'; there are {', '.join(known)}"
                )
