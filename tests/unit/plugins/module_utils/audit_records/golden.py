# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our fields of a record by the names that go-libaudit has for them, so that both can be compared.

What changes here are names and forms, never what was read: SELinux contexts are taken apart, results have one name,
what says that there is no value is left out. ``exit`` and addresses are decoded by the collection.
"""

from __future__ import annotations

import signal
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode

_UNKNOWN = ("?", "?,", "(null)", "")
_UNSET = ("auid", "ses", "old-auid")
_RESULTS = {"yes": "success", "1": "success", "success": "success", "no": "fail", "0": "fail", "failed": "fail"}
_CONTEXT = ("user", "role", "domain", "level", "category")
_FAMILIES = {"inet": "ipv4", "inet6": "ipv6"}


def fields(kind: str, body: bytes) -> dict[str, str]:
    """Return a record's fields as go-libaudit names them."""
    found = {name: value for name, value in decode.body_fields(body).items() if value not in _UNKNOWN}
    architecture = found.get("arch", "").encode()
    if kind == "SOCKADDR":
        address = decode.address(found["saddr"].encode())
        named = {"family": address["family"], "addr": address.get("ip", ""), "port": address.get("port", "")}
        named["family"] = _FAMILIES.get(named["family"], named["family"])
        named["path"] = address.get("path", "")
        if "ip" not in address and not address.get("path"):
            named["saddr"] = found["saddr"]
        return {name: value for name, value in named.items() if value}
    if kind == "EXECVE":
        arguments = decode.arguments([body], 1 << 20)
        found.update((f"a{number}", value) for number, value in enumerate(arguments))
    if kind == "PROCTITLE":
        found["proctitle"] = " ".join(decode.title_arguments(body.partition(b"=")[2]))
    _rename(found)
    if "syscall" in found:
        found["syscall"] = activity.syscall_name(architecture, found["syscall"].encode())
        found["arch"] = activity.architecture_name(architecture)
    if "exit" in found:
        found["exit"] = decode.exit_name(found["exit"])
    if kind == "SECCOMP" and found.get("sig", "").isdigit():
        found["sig"] = signal.Signals(int(found["sig"])).name
    found.pop("key", None)
    return found


def _rename(found: dict[str, str]) -> None:
    """Give fields that records of many kinds have the names and forms of theirs."""
    for name in _UNSET:
        if found.get(name) == decode.UNSET_ID:
            found[name] = "unset"
    for name in ("res", "success"):
        if name in found:
            found["result"] = _RESULTS[found.pop(name)]
    for name in ("subj", "obj"):
        if ":" in found.get(name, ""):
            parts = found.pop(name).split(":", 4)
            found.update((f"{name}_{part}", value) for part, value in zip(_CONTEXT, parts, strict=False))
    if "subj" in found:
        # AppArmor's have one part.
        found["subj_user"] = found.pop("subj")


def without_noise(data: t.Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in data.items() if value not in _UNKNOWN}
