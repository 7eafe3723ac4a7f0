# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check what is asked of the playbooks jit_open and jit_close before anything is done: options, and ids of requests.

The messages name the variables of the playbooks, which are the options with ``jit_`` before them.
"""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import spelling
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import host_name
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitQuery, JitRequest, Store, StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_states import MAYBE_OPEN

STEPS = ("all", "request", "approve", "deny", "open")
# Those that go on with requests that are there.
OF_REQUESTS = ("approve", "deny", "open")
_NEEDED: t.Mapping[str, tuple[str, ...]] = {
    "all": ("ports", "justification"),
    "request": ("ports", "justification"),
    "approve": ("request",),
    "deny": ("request", "reason"),
    "open": ("request",),
}


class StepError(Exception):
    """Something is missing or cannot be done; the message is a sentence that names the variable and what to do."""


def check(options: t.Mapping[str, t.Any], is_limited: bool) -> None:
    """Raise StepError for what is missing. is_limited: whether the job is limited to some hosts."""
    step = options["step"]
    needed = _NEEDED[step]
    missing = [
        f"jit_{name}"
        for name in needed
        if not (listed(options[name]) if name in ("ports", "request") else options[name])
    ]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        names = " and ".join(f"jit_{name}" for name in needed)
        raise StepError(f"{' and '.join(missing)} {verb} missing: jit_step={step} needs {names}.")
    if step not in OF_REQUESTS and not options["host"] and not is_limited:
        raise StepError("jit_host is missing; name the hosts whose ports are to be opened, or limit the job to them.")
    if step == "all" and not options["self_approval"]:
        raise StepError(
            "Nothing was requested, as nobody may approve their own request: run this with jit_step=request, let "
            "somebody else run it with jit_step=approve, and then run it with jit_step=open. If people may open ports "
            "by themselves, set jit_self_approval=true."
        )


def check_close(ids: t.Sequence[str], is_named: bool) -> None:
    """Raise StepError where nothing says what is to be closed. is_named: whether hosts are."""
    if not ids and not is_named:
        raise StepError(
            "jit_request and jit_host are missing; give the ids of the requests to close, or name the hosts on which "
            "to close everything."
        )


def listed(names: t.Sequence[str]) -> list[str]:
    """Return what is not empty; a question of a survey that nobody answered is an empty text."""
    return list(dict.fromkeys(name.strip() for name in names if name.strip()))


def of_host(url: str | None, ids: t.Sequence[str], name: str, hosts: t.Sequence[str]) -> list[str]:
    """Return which requests are about a host; raise StepError for those that nobody can go on with.

    hosts: all of the job.
    """
    found = _requests(url, ids)
    unknown = [request for request in ids if request not in found]
    if unknown:
        raise StepError(f"There is no request {' and '.join(unknown)} in the store.")
    known = {host_name(host) for host in hosts}
    elsewhere = sorted({request.host for request in found.values() if request.host not in known})
    if elsewhere:
        raise StepError(
            f"Requests are for {' and '.join(elsewhere)}, not among the hosts of this job; correct jit_host "
            "or the limit."
        )
    if len({request.host for request in found.values()}) < len(found):
        raise StepError("jit_request names several requests for one host; use one after the other.")
    return [request.id for request in found.values() if request.host == name]


def to_close(url: str | None, ids: t.Sequence[str], name: str, hosts: t.Sequence[str], is_named: bool) -> list[str]:
    """Return which ids are to be closed on a host; raise StepError for those that are of no host of the job.

    An id that no request has may be of an opening that the store does not know: it is tried where hosts are named, and
    everywhere when the store cannot be read.
    """
    try:
        found = _requests(url, ids) if ids else {}
    except StoreError:
        return list(ids)
    known = {host_name(host) for host in hosts}
    lost = [request for request in ids if (found[request].host not in known if request in found else not is_named)]
    if lost:
        raise StepError(
            f"Nothing is open by {' and '.join(lost)} on the hosts of this job; jit_requests_info shows the state of "
            "the request."
        )
    return [request for request in ids if request not in found or found[request].host == name]


def similar_people(url: str | None, person: str, name: str) -> list[str]:
    """Return a warning if openings on a host are for people whose names resemble that of a person without any."""
    try:
        with contextlib.closing(Store.open(url, mode="read")) as store:
            open_ones = store.jit_requests(JitQuery(hosts=[host_name(name)], states=MAYBE_OPEN), time.time())
    except StoreError:
        # The host was asked, and said that nothing is open.
        return []
    people = sorted({request.requested_for for request in open_ones} - {person})
    advice = spelling.advice(person, people, "")
    return [f"Nothing was open for {person} on {name}: {advice}"] if advice else []


def handed_on(requests: t.Iterable[JitRequest]) -> dict[str, t.Any]:
    """Return what the next job of an AWX workflow gets as variables, as ``set_stats`` does; hosts add up."""
    return {"data": {"jit_request": [found.id for found in requests]}, "per_host": False, "aggregate": True}


def own_store(path: str) -> str:
    """Return the warning of who makes a request in a store that is only theirs."""
    return (
        f"The request is in {path}, the store of this account alone, where nobody else sees it: set bulwark_store (or "
        "BULWARK_STORE) to a database that the people who approve and open use, too."
    )


def _requests(url: str | None, ids: t.Sequence[str]) -> dict[str, JitRequest]:
    with contextlib.closing(Store.open(url, mode="read")) as store:
        found = store.jit_requests(JitQuery(ids=ids), time.time())
    return {request.id: request for request in found}
