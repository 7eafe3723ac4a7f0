# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OCSF event of a change as JSON, made of the stored JSON without decoding it.

The store writes compact JSON whose members have the order of ``ocsf.finding``. What a change replaces is at places
that the patterns below find; everything else, evidences and descriptions above all, is copied as text. Before the last
of these places, the members and their order are this collection's, whatever a host said: it only fills in texts, whose
quotes are escaped, so that no text has ``,"name":`` in it. ``finding_event.complete`` does the same to a decoded event.
What the observables follow from is decoded, as the store has none of them.
"""

from __future__ import annotations

import functools
import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events, observables
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.json_event import JsonEvent
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.finding_event import Seen, milliseconds

_TEXT = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_WORD = r'"[^"\\]*+"'
_NUMBER = r"-?\d+"
_HEAD = re.compile(
    rf'\{{"category_uid":\d+,"category_name":{_WORD},"class_uid":(?P<class_uid>\d+),"class_name":(?P<class_name>{_WORD}),'
    rf'(?P<times>"time":{_NUMBER},(?P<period>"start_time":{_NUMBER},"end_time":{_NUMBER},"count":\d+)),'
    rf'"severity_id":(?P<severity_id>\d+),"severity":{_WORD},"message":{_TEXT},"finding_info":\{{"uid":(?P<uid>{_WORD}),'
)
_TIMES = re.compile(
    rf'"created_time":{_NUMBER},"first_seen_time":{_NUMBER},"last_seen_time":{_NUMBER},"modified_time":{_NUMBER}'
    # Those of a security product's alert, see ``SecurityProduct.apply``.
    rf'(?P<alert>(?:,"uid_alt":{_TEXT})?(?:,"src_url":{_TEXT})?)\}},"device":'
)
_METADATA = re.compile(
    rf'"logged_time":{_NUMBER}(?P<loggers>(?:,"loggers":\[\{{"name":{_WORD},"product":'
    rf'\{{"name":{_WORD},"vendor_name":{_WORD},"version":{_WORD}\}}\}}\])?),"uid":{_WORD}\}},'
    rf'"unmapped":\{{(?P<about>"capability":{_TEXT},"alert":{_TEXT},'
    rf'"scope":{_TEXT},"subject":{_TEXT},"lifecycle":"(?P<lifecycle>\w+)","kind":"(?P<kind>\w+)"),"status":{_WORD}'
)
_STATUS = re.compile(
    rf'"activity_id":\d+,"activity_name":{_WORD},"type_uid":\d+,"type_name":{_WORD},"status_id":\d+,"status":{_WORD}'
    r'(?:,"is_alert":(?:true|false))?\}'
)
_METADATA_NAME = ',"metadata":'
_UNMAPPED, _EVIDENCES = '"unmapped":', '"evidences":['
_decode = json.JSONDecoder().raw_decode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def complete(
    observed: str,
    status: str,
    activity: str,
    time: float,
    reason: str | None,
    seen: Seen,
    change: str | None,
    unmapped: t.Mapping[str, str],
) -> JsonEvent | None:
    """Return an observed event as ``finding_event.complete`` does, with further members of ``unmapped``.

    None for one that has to be decoded: of a recommendation that is resolved, as the result of its control changes,
    too, and of an event that this collection has written in another way before, or with observables.
    """
    head = _HEAD.match(observed)
    times = head and _TIMES.match(observed, observed.find('"created_time":', head.end()))
    about = times and _METADATA.match(observed, observed.find('"logged_time":', times.end()))
    last = about and _STATUS.fullmatch(observed, observed.rfind('"activity_id":'))
    if (
        not (head and times and about and last)
        or '"observables":' in observed
        or (status == "resolved" and about["kind"] == "recommendation")
    ):
        return None
    at, first, latest = milliseconds(time), milliseconds(seen.first), milliseconds(seen.last)
    finding, kind = head["uid"][1:-1], about["kind"]
    uid = events.change_uid(finding, status, activity, at, change)
    period = head["period"]
    if about["lifecycle"] == "state":
        period = f'"start_time":{first},"end_time":{latest},"count":{seen.runs}'
    parts = (
        observed[: head.start("times")],
        f'"time":{at},{period}',
        observed[head.end("times") : times.start()],
        f'"created_time":{first},"first_seen_time":{first},"last_seen_time":{latest},"modified_time":{at}',
        observed[times.start("alert") : about.start()],
        f'"logged_time":{at}{about["loggers"]},"uid":"{uid}"}},"unmapped":{{{about["about"]},"status":"{status}",',
        _members(tuple(unmapped.items())),
        observed[about.end() : last.start()],
        _observables(observed, observed.index(_UNMAPPED, about.start()) + len(_UNMAPPED), last.start()),
        _status(int(head["class_uid"]), head["class_name"][1:-1], kind, status, activity, reason),
    )
    earlier = len(parts[0]) + len(parts[1]) - head.end("times")
    later = earlier + len(parts[3]) - (times.start("alert") - times.start())
    values = {
        "class_uid": head.start("class_uid"),
        "time": head.start("times") + len('"time":'),
        "severity_id": head.start("severity_id") + earlier,
        "device": times.end() + later,
        "metadata": observed.index(_METADATA_NAME, times.end()) + len(_METADATA_NAME) + later,
    }
    return JsonEvent("".join(parts), values)


def _observables(observed: str, start: int, end: int) -> str:
    """Return the member ``observables`` with a comma, if any.

    start: of the value of ``unmapped``; end: of the members that say the status.
    """
    if observed.find(_EVIDENCES, start, end) < 0:
        return ""
    unmapped, further = _decode(observed, start)
    # What follows begins with a comma, and ends with one.
    members = json.loads(f"{{{observed[further + 1 : end - 1]}}}")
    shown = observables.of_event({**members, "unmapped": unmapped})
    return f'"observables":{_encode(observables.to_ocsf(shown))},' if shown else ""


@functools.lru_cache(maxsize=256)
def _status(class_uid: int, class_name: str, kind: str, status: str, activity: str, reason: str | None) -> str:
    """Return the last members of an event, and its end. Most changes of a run share them."""
    return _encode(events.status_members(class_uid, class_name, kind, status, activity, reason))[1:]


@functools.lru_cache(maxsize=256)
def _members(members: tuple[tuple[str, str], ...]) -> str:
    """Return members of an object as JSON. Most changes of a run share them."""
    return _encode(dict(members))[1:-1]
