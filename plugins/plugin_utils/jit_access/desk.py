# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask for, decide about, and open ports of one host: each step is noted in the store, the last before the host acts."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import host
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import requests as jit_requests
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    JitActor,
    JitChange,
    JitQuery,
    JitRequest,
    JitSeen,
    Store,
    StoreError,
    shown_person,
)

Mode = t.Literal["write", "check"]
Options = t.Mapping[str, t.Any]


class NotOpenError(Exception):
    """A request is not open, or nobody knows whether it is; the message says what to do."""


@dataclasses.dataclass
class Outcome:
    """Result of a job: requests as they are now, sentences for people, and warnings."""

    requests: list[JitRequest] = dataclasses.field(default_factory=list)
    messages: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    is_changed: bool = False

    def result(self, failure: str | None = None) -> dict[str, t.Any]:
        """Return the task's result. failure: the message of a step that failed, None where all succeeded."""
        requests = [
            {**dataclasses.asdict(request), "ports": list(request.ports), "sources": list(request.sources)}
            for request in self.requests
        ]
        result: dict[str, t.Any] = {"changed": self.is_changed, "requests": requests, "messages": self.messages}
        if self.warnings:
            result["warnings"] = self.warnings
        if failure is not None:
            result.update(failed=True, msg=failure)
        return result


@dataclasses.dataclass(frozen=True)
class Desk:
    """Make, decide about and open requests for one host.

    url: of the store. is_check: whether nothing is to be kept, nor the host changed.
    """

    url: str | None
    name: str
    by: JitActor
    is_check: bool

    def request(self, options: Options, address: str | None, outcome: Outcome) -> JitRequest:
        """Store a request; RequestError for what is wrong or not allowed."""
        wanted = jit_requests.wanted(options, self.name, self.by, address)
        change = self._write(lambda store: store.jit_request(wanted, now=time.time()))
        self._add(outcome, change)
        verb = "Would be requested" if self.is_check else f"Requested {change.request.id}"
        minutes = change.request.duration // 60
        outcome.messages.append(f"{verb}: {self.shown(change.request)}, for {minutes} minutes.")
        return change.request

    def decide(
        self, request_id: str, state: t.Literal["approved", "denied"], options: Options, outcome: Outcome
    ) -> None:
        """Approve or deny a request; StoreError for who may not."""
        reason = jit_requests.line(options["reason"] or "", "reason", is_needed=state == "denied")
        approvers = [name.strip() for name in options["approvers"] if name.strip()]
        change = self._write(
            lambda store: store.jit_decide(
                request_id,
                state,
                by=self.by,
                reason=reason,
                now=time.time(),
                approvers=approvers,
                self_approval=options["self_approval"],
            )
        )
        self._add(outcome, change)
        found = change.request
        verb = f"Would be {state}:" if self.is_check else state.capitalize()
        asked = shown_person(found.requested_by, found.requested_account, found.requested_login)
        decided = shown_person(found.decided_by, found.decided_account, found.decided_login)
        outcome.messages.append(f"{verb} {found.id} ({self.shown(found)}) of {asked} by {decided}.")

    def open(self, request_id: str, run: host.Run, state_dir: str | None, outcome: Outcome) -> None:
        """Have the host open a request, and note what it says; NotOpenError where it is not open."""
        found = self._get(request_id)
        if found.state in ("opening", "unknown") and not self.is_check:
            found = self._settled(found, run, state_dir)
            if found.state == "open":
                self._say_open(found, outcome)
                return
        # Before the host is asked: whatever happens then, somebody looks for what may be open.
        found = self._write(lambda store: store.jit_opening(request_id, by=self.by, now=time.time())).request
        outcome.is_changed = True
        opened = host.open_ports(run, found, state_dir)
        outcome.warnings += opened.notices
        if opened.seconds is None:
            opened = self._asked_again(found, opened, run, state_dir)
        self._say_open(self._noted(found, opened, outcome), outcome)

    def _noted(self, found: JitRequest, opened: host.Opened, outcome: Outcome) -> JitRequest:
        """Note that the host has opened a request. The ports are open, whatever becomes of the store."""
        seconds, now = opened.seconds, time.time()
        if self.is_check:
            return dataclasses.replace(found, state="open", until=now + (seconds or found.duration))
        try:
            return self._write(
                lambda store: store.jit_open(found.id, by=self.by, now=now, seconds=seconds, grant=found.id)
            ).request
        except StoreError as error:
            outcome.warnings.append(
                f"The ports are open, and that could not be recorded: {error}. The next scan of {self.name} records it."
            )
            return dataclasses.replace(found, state="open", until=now + (seconds or found.duration))

    def _asked_again(self, found: JitRequest, opened: host.Opened, run: host.Run, state_dir: str | None) -> host.Opened:
        """Find out what a host did that did not say it, and note it; NotOpenError where it is not open for sure."""
        if self.is_check:
            raise NotOpenError(f"The request {found.id} would not be opened: {opened.message}")
        if not opened.is_refused:
            looked = host.look(run, state_dir)
            seen = None if looked is None else {item.id: item for item in host.seen(looked) or ()}
            if seen is None or (found.id in seen and seen[found.id].in_kernel is False):
                self._end(lambda store: store.jit_lost(found.id, by=self.by, reason=opened.message, now=time.time()))
                raise NotOpenError(
                    f"It is not known whether the request {found.id} is open, as the host returned no result: "
                    f"{opened.message}. The next scan of {self.name} finds out; jit_open with the same request asks "
                    "the host again, and jit_close closes it."
                )
            there = seen.get(found.id)
            if there is not None and there.seconds_left is not None:
                return host.Opened(min(max(there.seconds_left, 1), found.duration))
            if there is not None:
                self._end(lambda store: store.jit_settle(self.name, [*seen.values()], now=time.time()))
                raise NotOpenError(f"The request {found.id} is open no more ({there.how}): {opened.message}")
        reason = jit_requests.line(f"it could not be opened: {opened.message}"[: jit_requests.TEXT_LIMIT], "reason")
        self._end(lambda store: store.jit_end(found.id, "closed", by=self.by, reason=reason, now=time.time()))
        raise NotOpenError(f"The request {found.id} was not opened: {opened.message}")

    def _settled(self, found: JitRequest, run: host.Run, state_dir: str | None) -> JitRequest:
        """Return a request of which nobody knew whether it is open, as the host says it is."""
        looked = host.look(run, state_dir)
        seen: list[JitSeen] | None = None if looked is None else host.seen(looked)
        if seen is None:
            raise NotOpenError(
                f"It is not known whether the request {found.id} is open, and {self.name} cannot be read: check that "
                "host, and run this again"
            )
        mine = [item for item in seen if item.id == found.id]
        if mine:
            # All of them, as what is not among them is taken to be gone.
            self._write_only(lambda store: store.jit_settle(self.name, seen, now=time.time()))
        return self._get(found.id)

    def _say_open(self, found: JitRequest, outcome: Outcome) -> None:
        outcome.requests.append(found)
        verb = "Would be open" if self.is_check else "Open"
        until = dt.datetime.fromtimestamp(found.until or time.time(), dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
        outcome.messages.append(f"{verb} until {until} UTC: {self.shown(found)}. It closes by itself.")

    def shown(self, found: JitRequest) -> str:
        """Return what a request is about: ``ports 22/tcp of web1 for 192.0.2.7``."""
        return f"{host.shown_ports(vars(found))} of {found.host} for {', '.join(found.sources)}"

    def _get(self, request_id: str) -> JitRequest:
        with contextlib.closing(Store.open(self.url, mode="read")) as store:
            found = store.jit_requests(JitQuery(ids=[request_id]), time.time())
        if not found:
            raise StoreError(f"there is no request '{request_id}' in the store")
        return found[0]

    def _write(self, work: t.Callable[[Store], JitChange]) -> JitChange:
        mode: Mode = "check" if self.is_check else "write"
        with contextlib.closing(Store.open(self.url, mode=mode)) as store:
            return work(store)

    def _write_only(self, work: t.Callable[[Store], t.Any]) -> None:
        with contextlib.closing(Store.open(self.url)) as store:
            work(store)

    def _end(self, work: t.Callable[[Store], t.Any]) -> None:
        """Note how it ended; where that fails it stays ``opening``, which nobody takes for closed."""
        with contextlib.suppress(StoreError):
            self._write_only(work)

    def _add(self, outcome: Outcome, change: JitChange) -> None:
        outcome.requests.append(change.request)
        outcome.is_changed = outcome.is_changed or change.is_changed
