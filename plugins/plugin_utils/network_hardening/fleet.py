# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sum up what the hosts of a fleet saw of the same sources, once for all of them.

The sum is text that no template looks into, so that it costs a host the reading of it, and not one of every other host.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import typing as t
import zlib

_PREFIX = "bulwark-fleet-1:"
# Sources that more than one host saw; those that most hosts saw come first.
MOST_SOURCES = 200_000
_LARGEST = 64 * 1024 * 1024


class FleetError(Exception):
    """The input is no result of a host, or no sum; the message says what to give."""


class _Host(t.NamedTuple):
    """Sources of one host: that came, that signed in, and that were only refused."""

    seen: frozenset[str]
    signed_in: frozenset[str]
    refused_only: frozenset[str]


def _host(traffic: t.Any, signed_in: t.Any) -> _Host:
    """Return what one host saw. traffic: what traffic_info returned; signed_in: sign_in_sources_info, or None.

    Both come from the host: what is no source is left out.
    """
    came: dict[str, bool] = {}
    for entry in _entries(traffic, "traffic"):
        source = _address(entry.get("source"))
        if source and entry.get("direction", "in") == "in":
            came[source] = came.get(source, False) or bool(entry.get("answered"))
    sign_ins = {_address(entry.get("source")) for entry in _entries(signed_in, "sign_ins")} - {""}
    failed = {_address(entry.get("source")) for entry in _entries(signed_in, "refused")} - {""} - sign_ins
    refused = failed | {source for source, answered in came.items() if not answered}
    return _Host(frozenset({*came, *sign_ins, *failed}), frozenset(sign_ins), frozenset(refused - sign_ins))


def _entries(result: t.Any, key: str) -> t.Iterator[t.Mapping[str, t.Any]]:
    found = result.get(key) if isinstance(result, t.Mapping) else None
    for entry in found if isinstance(found, list | tuple) else ():
        if isinstance(entry, t.Mapping):
            yield entry


def _address(value: t.Any) -> str:
    try:
        return str(ipaddress.ip_address(value)) if isinstance(value, str) and len(value) <= 64 else ""
    except ValueError:
        return ""


def sum_up(results: t.Iterable[tuple[t.Any, t.Any]]) -> str:
    """Return the sum over hosts. results: of each host what traffic_info and sign_in_sources_info returned."""
    total: dict[str, list[int]] = {}
    for traffic, signed_in in results:
        host = _host(traffic, signed_in)
        for source in host.seen:
            numbers = total.setdefault(source, [0, 0, 0])
            numbers[0] += source in host.signed_in
            numbers[1] += 1
            numbers[2] += source in host.refused_only
    # What one host alone saw, no other host has seen.
    shared = sorted((source for source in total if total[source][1] > 1), key=lambda one: (-total[one][1], one))
    content = json.dumps({source: total[source] for source in shared[:MOST_SOURCES]}, separators=(",", ":"))
    return _PREFIX + base64.b64encode(zlib.compress(content.encode("ascii"))).decode("ascii")


def elsewhere(text: t.Any, traffic: t.Any, signed_in: t.Any) -> list[dict[str, t.Any]]:
    """Return what other hosts saw of the sources of one host, whose own results are given. Raises FleetError."""
    total = _read(text)
    own = _host(traffic, signed_in)
    found = []
    for source in sorted(own.seen):
        if source not in total:
            continue
        signed, seen, refused = total[source]
        others = {
            "hosts_signed_in": signed - (source in own.signed_in),
            "hosts_seen": seen - 1,
            "hosts_refused_only": refused - (source in own.refused_only),
        }
        if others["hosts_seen"] > 0:
            found.append({"source": source, **{name: max(0, number) for name, number in others.items()}})
    return found


def _read(text: t.Any) -> dict[str, list[int]]:
    if not isinstance(text, str) or not text.startswith(_PREFIX):
        raise FleetError("this is not a sum of a fleet; give what the filter bulwark.servers.network_fleet returns")
    try:
        unpacked = zlib.decompressobj().decompress(base64.b64decode(text[len(_PREFIX) :], validate=True), _LARGEST)
        content = json.loads(unpacked)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise FleetError("the sum of the fleet is damaged; make it anew with bulwark.servers.network_fleet") from error
    return t.cast("dict[str, list[int]]", content)
