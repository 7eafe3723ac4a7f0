# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what a host is to let in as a file of variables, for people to review."""

from __future__ import annotations

import contextlib
import datetime as dt
import pathlib
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.options import evidence_spec
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import naming
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import (
    blocking,
    draft,
    exposed,
    known,
    model,
    options,
    recommend,
    sources,
    wording,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import output
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

ARGUMENTS: t.Mapping[str, t.Any] = {
    **STORE_OPTION,
    "result": {"type": "dict", "required": True},
    "path": {"type": "str", "required": True},
    "replace": {"type": "bool", "default": False},
    "use_findings": {"type": "bool", "default": True},
    "threat_lists": {"type": "list", "elements": "raw", "default": []},
    "trusted": {"type": "list", "elements": "raw", "default": []},
    "threats": {"type": "list", "elements": "raw", "default": []},
    "names": {"type": "dict", "default": {}},
    "public_ports": {"type": "list", "elements": "str", "default": list(options.PUBLIC_PORTS)},
    "minimum_days": {"type": "int", "default": options.MINIMUM_DAYS},
    "max_prefixes": {"type": "int", "default": options.MAX_PREFIXES},
    "max_blocked": {"type": "int", "default": 500},
    "locked": {"type": "list", "elements": "dict", "default": []},
    **evidence_spec(),
}
_MODE = 0o600


# It needs no store, as the other actions of the controller do; mypy knows no types of Ansible.
class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """Recommend from what the host has seen and the controller knows; never write over what was there unasked."""

    TRANSFERS_FILES = False
    _requires_connection = False

    @naming.names_variables
    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        answer: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        _validated, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        if not 0 <= given["max_blocked"] <= 4096:
            raise AnsibleActionFail("max_blocked is a number from 0 to 4096")
        try:
            answer.update(self._drafted(given, str((task_vars or {}).get("inventory_hostname", ""))))
        except (ContentError, StoreError, output.OutputError, sources.InputError, ValueError) as error:
            # Ansible repeats in its message that of every error which led to it; this one says it all.
            raise AnsibleActionFail(str(error)) from None
        return t.cast("dict[str, t.Any]", wrap_var(answer))

    def _drafted(self, given: dict[str, t.Any], host: str) -> dict[str, t.Any]:
        now = time.time()
        seen, notes = given["result"], []
        threats, problems = known.threats(given["threat_lists"], dt.datetime.fromtimestamp(now, dt.UTC))
        findings, note = _findings(given)
        notes += [*problems, *([note] if note else [])]
        asked = options.read(
            exposed.listening(seen),
            given["trusted"],
            [*given["threats"], *threats],
            findings,
            given["names"],
            given["public_ports"],
            given["minimum_days"],
            given["max_prefixes"],
            exposed.observed(seen, now),
            **{name: given[name] for name in evidence_spec()},
        )
        reason = exposed.unseen(seen, asked.minimum_days, now)
        result = recommend.recommend(sources.read(seen.get("traffic")), asked, model.load())
        if reason is None and not result["enough_data"]:
            days = wording.counted(result["observed_days"], "day")
            reason = f"Traffic was seen for {days} so far, and network_hardening_minimum_days is {asked.minimum_days}."
        lines = [visible(line) for line in wording.lines(result)]
        told = {"ports": result["ports"], "observed_days": result["observed_days"], "notes": notes}
        if reason is not None:
            return {
                **told,
                "changed": False,
                "lines": [reason],
                "path": None,
                "enough_data": False,
                "preserved": False,
                "changes": [],
            }
        blocked = blocking.blocked(result)
        if blocked:
            lines.append(f"recommended for blocking: {wording.counted(len(blocked), 'source')}")
        about = draft.About(
            host=visible(host),
            file=str(output.located(given["path"])),
            written=dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y-%m-%d"),
            locked=given["locked"],
            most_blocked=given["max_blocked"],
            notes=notes,
        )
        written = self._put(given, draft.text(result, about))
        return {**told, **written, "enough_data": True, "lines": [*lines, *_last_line(written)]}

    def _put(self, given: t.Mapping[str, t.Any], text: str) -> dict[str, t.Any]:
        """Write the file, beside the one that is there unless that says the same or may be replaced."""
        path = output.located(given["path"])
        before = _content(path)
        preserved = before is not None and not given["replace"] and not draft.is_same(before, text)
        # Whatever people have changed in a file is theirs.
        target = path.with_name(f"{path.stem}.new{path.suffix}") if preserved else path
        old = _content(target) or ""
        changed = output.put(
            target, text, _MODE, draft.is_same, dry=self._task.check_mode, what="file of network rules"
        )
        shown = (before if preserved else old) or ""
        changes = [visible(line) for line in draft.differences(before or "", text)] if preserved else []
        difference = {"before": shown, "after": text, "before_header": str(path), "after_header": str(target)}
        return {
            "changed": changed,
            "path": str(target),
            "preserved": preserved,
            "changes": changes,
            **({"diff": difference} if changed or preserved else {}),
        }


def _last_line(written: t.Mapping[str, t.Any]) -> list[str]:
    if written["preserved"]:
        there = f"Other rules were there already and are as they were; compare them with {written['path']}."
        return [*(f"  {line}" for line in written["changes"]), there]
    return [f"Review {written['path']}, which enforces nothing by itself."]


def _findings(given: t.Mapping[str, t.Any]) -> tuple[list[dict[str, t.Any]], str | None]:
    """Return the open findings on addresses; where there is no store, that is a note."""
    if not given["use_findings"]:
        return [], None
    try:
        with contextlib.closing(Store.open(given["store"], mode="read")) as store:
            return known.findings(store), None
    except StoreError as error:
        if given["store"]:
            raise
        return [], f"Open findings were not taken into account: {error}"


def _content(path: pathlib.Path) -> str | None:
    """Return what is in a file, None where there is none; of a link, what it leads to. Raises OutputError."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise output.OutputError(f"{path} cannot be read: {error.strerror or error}") from error
