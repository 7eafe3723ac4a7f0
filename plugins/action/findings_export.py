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
    option_names,
    outcome,
    preview,
    runner,
    secrets,
    settings,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.progress import Progress
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.settings import Settings
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted
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
        unknown = option_names.problem(self._task.args, self.ARGUMENTS["argument_spec"])
        if unknown is not None:
            raise AnsibleActionFail(redact(unknown))
        try:
            return super().run(tmp, task_vars)
        except AnsibleError as error:
            raise AnsibleActionFail(redact(error.message)) from None

    def check(self, options: dict[str, t.Any]) -> dict[str, t.Any]:
        if options["state"] == "absent":
            if not options["names"] or options["destinations"]:
                raise AnsibleActionFail("state absent removes the destinations of 'names': give 'names' alone")
        elif options["state"] == "present" and not options["destinations"]:
            raise AnsibleActionFail("'destinations' is empty: give at least one destination")
        for name, least, most in (("time_limit", 1, _LONGEST), ("preview", 0, _MOST_PREVIEWS)):
            if not least <= options[name] <= most:
                raise AnsibleActionFail(f"'{name}' is {options[name]}: write {least} to {most}")
        if not timestamps.span(options["behind_after"]):
            raise AnsibleActionFail(
                f"behind_after '{options['behind_after']}' is not a span of time: write minutes, hours, days or weeks"
                " (12h, 1d)"
            )
        return options

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if options["state"] == "absent":
            return _remove(store, options)
        now = time.time()
        try:
            chosen = settings.parse(_wanted(options), task_vars.get("groups") or {}, now)
            _check_names(store, chosen)
        except ExportError as error:
            raise AnsibleActionFail(str(error)) from None
        registered = [
            each.name
            for each in chosen
            if store.register_destination(each.destination, now=now, existing_since=each.since)
        ]
        result: dict[str, t.Any] = {"changed": bool(registered), "registered": registered}
        unverified = [_unverified(each) for each in chosen if _is_open(each)]
        if options["state"] == "present":
            unusable = [f"destination '{each.name}': {each.problem}" for each in chosen if each.problem is not None]
            return result | {"warnings": [*unverified, *unusable]} if unverified or unusable else result
        again = [store.send_again(each.name, now=now) for each in chosen] if options["resend"] else []
        lifted = store.lift_ended_suppressions(now)
        result["changed"] |= any(again) or lifted > 0
        if self._task.check_mode:
            done = self._preview(store, chosen, options, now)
        else:
            done = self._send(store, chosen, options, changed=result["changed"])
        warnings = [*unverified, *done.get("warnings", []), *_left(store, options)]
        return result | done | ({"warnings": warnings} if warnings else {})

    def _preview(
        self, store: Store, chosen: t.Sequence[Settings], options: t.Mapping[str, t.Any], now: float
    ) -> dict[str, t.Any]:
        """Return what would be sent."""
        results = []
        try:
            for each in chosen:
                is_shown = options["preview"] and each.problem is None
                waiting = store.waiting(each.name, options["preview"], now) if is_shown else []
                shown = preview.of_changes(each, waiting) if is_shown else []
                results.append({**_state(store, each, Progress(error=each.problem)), "preview": shown})
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


def _is_open(each: Settings) -> bool:
    """Return whether anybody on the way can read what is sent, for kinds whose encryption is an option."""
    return each.options.get("verify") is False or each.options.get("tls") is False


def _unverified(each: Settings) -> str:
    cause, advice = "verify is false", "remove it, and name the receiver's authority in ca_file"
    if each.options.get("tls") is False:
        cause, advice = "tls is false", "set it to true"
    elif each.destination.address.startswith("http://"):
        cause, advice = "its address begins with http://", "use https://, and remove verify"
    return (
        f"destination '{each.name}': {cause}, so anybody on the way to {each.destination.address} can read and "
        f"change what is sent: {advice}"
    )


def _state(store: Store, each: Settings, progress: Progress) -> dict[str, t.Any]:
    now = time.time()
    return outcome.of_destination(outcome.state_of(store, each.destination, now), progress, now)


def _remove(store: Store, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    now = time.time()
    known = {state.destination.name for state in store.destinations(now)}
    removed = [name for name in dict.fromkeys(options["names"]) if name in known]
    discarded = sum(store.remove_destination(name, discard=options["discard"], now=now) for name in removed)
    return {"changed": bool(removed), "removed": removed, "discarded": discarded}


def _left(store: Store, options: t.Mapping[str, t.Any]) -> list[str]:
    """Return a warning for each destination that changes wait for and that nobody exports to any more."""
    configured = {entry["name"] for entry in options["destinations"]}
    return [
        f"{counted(state.waiting, 'change')} for the destination '{state.destination.name}' cannot be sent: "
        "bulwark_export does not have it any more. Add it again, or remove it with findings_export, state absent and "
        "discard."
        for state in store.destinations(time.time())
        if state.waiting and state.destination.name not in configured
    ]


def _wanted(options: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the destinations that are named, or all: nobody waits for what the others lack."""
    names = [entry["name"] for entry in options["destinations"]]
    for name in options["names"]:
        if name not in names:
            raise ExportError(f"names: there is no destination '{name}'; there are {', '.join(names)}")
    return [entry for entry in options["destinations"] if not options["names"] or entry["name"] in options["names"]]


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
