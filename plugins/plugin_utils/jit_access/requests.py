# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check what a person asks for before it is stored; the host checks the same again when it opens."""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import words
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import grants, policy
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import timestamps
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitActor, JitRequest, JitWanted

NAME_LIMIT = 256
# As much as the host takes.
TEXT_LIMIT = 1000
# A request that nobody decides about, or that nobody opens, must not stay good for ever.
_LONGEST_VALID = 30 * 86_400
_SECONDS = re.compile("[0-9]{1,9}")


class RequestError(ValueError):
    """A request is wrong or not allowed; the message is one sentence that names the option and what to do."""


def wanted(options: t.Mapping[str, t.Any], host: str, by: JitActor, address: str | None) -> JitWanted:
    """Return the request of a task's options; raise RequestError for what is wrong in it, or the policy refuses.

    address: where whoever asks is known to sit, which is the source where the options name none.
    """
    # A question of a survey that nobody answered is an empty text.
    sources = [source for source in options["sources"] or () if source.strip()] or [address or ""]
    if not sources[0]:
        raise RequestError("the address of the requester is not known here: give 'sources', as in 192.0.2.7")
    asked = _request(
        {
            "requested_for": name(options["requested_for"] or by.name, "requested_for"),
            "requested_by": by.name,
            "reason": line(options["justification"], "justification"),
            "ports": [port for port in options["ports"] if port.strip()],
            "protocol": options["protocol"],
            "sources": sources,
            "duration": seconds(options["duration"], "duration", policy.SHORTEST, policy.LONGEST),
        }
    )
    if options["policy"] is not None:
        _check(asked, options["policy"], host)
    return JitWanted(
        host=host,
        ports=tuple(str(ports) for ports in asked.ports),
        protocol=words.protocol_name(asked.protocols),
        sources=tuple(words.name(source) for source in asked.sources),
        duration=asked.duration,
        requested_by=by.name,
        requested_for=asked.requested_for,
        justification=asked.reason,
        valid_for=seconds(options["valid_for"], "valid_for", policy.SHORTEST, _LONGEST_VALID),
        requested_account=by.account,
        requested_login=by.login,
        requested_asserted=by.asserted,
    )


def digest(found: JitRequest) -> str:
    """Return the SHA-256 of what was approved, which the host keeps with the opening."""
    names = ("id", "host", "ports", "protocol", "sources", "duration", "requested_by", "justification", "decided_by")
    # Hosts keep digests of the first version, which had this key.
    fields = {"for_whom": found.requested_for, **{name: getattr(found, name) for name in names}}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def person(by: JitActor) -> JitActor:
    """Return who does something with names that can be shown; raise RequestError for a name that is none."""
    asserted = by.asserted and line(by.asserted, "actor")
    return dataclasses.replace(by, name=name(by.name, "actor"), asserted=asserted)


def seconds(text: str, option: str, shortest: int, longest: int) -> int:
    """Return seconds for a number of them, or ``90m``, ``3h``, ``1d``; raise RequestError out of bounds."""
    found = int(text) if _SECONDS.fullmatch(text.strip()) else timestamps.span(text)
    if found is None or not shortest <= found <= longest:
        raise RequestError(
            f"'{option}' is '{text}': write {shortest} to {longest} seconds, as a number or as in 90m, 3h, 1d"
        )
    return found


def name(given: str, option: str) -> str:
    """Return the name of a person or grant; raise RequestError where it is none."""
    shown = evidence.line(given.strip(), NAME_LIMIT + 1)
    if not shown or len(shown) > NAME_LIMIT:
        raise RequestError(f"'{option}' is not a name of 1 to {NAME_LIMIT} characters; say which")
    return shown


def line(text: str, option: str, is_needed: bool = True) -> str:
    """Return a reason as one line; raise RequestError where there is none, or too much to read."""
    shown = evidence.line(text.strip(), TEXT_LIMIT + 1)
    if not shown and is_needed:
        raise RequestError(f"'{option}' is empty; say why in a sentence, or name the ticket")
    if len(shown) > TEXT_LIMIT:
        raise RequestError(f"'{option}' has more than {TEXT_LIMIT} characters; say it shorter")
    return shown


def client_address(environment: t.Mapping[str, str]) -> str | None:
    """Return the address from which whoever runs this signed in to the controller; None where that is not known.

    sshd sets it (https://man.openbsd.org/ssh.1#ENVIRONMENT).
    """
    for name in ("SSH_CONNECTION", "SSH_CLIENT"):
        parts = environment.get(name, "").split()
        try:
            found = ipaddress.ip_address(parts[0].partition("%")[0]) if parts else None
        except ValueError:
            continue
        if found is not None:
            mapped = getattr(found, "ipv4_mapped", None)
            return str(mapped or found)
    return None


def _request(fields: t.Mapping[str, t.Any]) -> grants.Request:
    try:
        return grants.request(fields)
    except ValueError as error:
        raise RequestError(str(error)) from None


def _check(asked: grants.Request, ports: t.Sequence[t.Mapping[str, t.Any]], host: str) -> None:
    if not ports:
        raise RequestError(
            f"'policy' is empty, so nothing may be requested; give the ports that are locked on {host}, or leave "
            "it out to have only the host decide"
        )
    try:
        grants.check(policy.parse(ports, ()), asked)
    except policy.PolicyError as error:
        raise RequestError(f"'policy' cannot be used: {error}") from None
    except grants.RefusedError as error:
        raise RequestError(f"the policy of {host} does not allow that: {error}") from None
