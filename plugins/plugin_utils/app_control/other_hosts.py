# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say in findings about programs on which other hosts these are."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import HostsWith

HostsWithFunction = t.Callable[[t.Sequence[str], t.Sequence[str]], HostsWith]


def add(findings: t.Sequence[dict[str, t.Any]], hosts_with: HostsWithFunction, host: str) -> None:
    """Add ``other_hosts`` to the evidence of findings: how many have the same content or path, and some names.

    hosts_with: asked once. host: the findings' own.
    """
    entries = [
        (finding, evidence, evidence["data"])
        for finding in findings
        for evidence in finding.get("evidences") or ()
        if isinstance(evidence.get("data"), dict) and "file" in evidence
    ]
    if not entries:
        return
    known = hosts_with(
        sorted({str(data["sha256"]) for _finding, _evidence, data in entries if data.get("sha256")}),
        sorted({str(evidence["file"].get("path")) for _finding, evidence, _data in entries}),
    )
    for finding, evidence, data in entries:
        content = _others(known.by_digest.get(str(data.get("sha256"))), host)
        path = _others(known.by_path.get(str(evidence["file"].get("path"))), host)
        data["other_hosts"] = {"same_content": content, "same_path": path}
        if evidence is finding["evidences"][0]:
            finding["message"] = f"{finding['message']} {_sentence(content, path)}"


def _others(known: tuple[int, tuple[str, ...]] | None, host: str) -> dict[str, t.Any]:
    count, names = known or (0, ())
    others = [name for name in names if name != host]
    # The names are the first ones only, and the host itself may come after them.
    return {"count": count - (host in names), "hosts": others}


def _sentence(content: t.Mapping[str, t.Any], path: t.Mapping[str, t.Any]) -> str:
    if content["count"]:
        return f"Other hosts with this content: {_named(content)}."
    if path["count"]:
        return f"Other hosts with another content at this path: {_named(path)}."
    return "No other host is known to have it."


def _named(hosts: t.Mapping[str, t.Any]) -> str:
    shown = hosts["hosts"][:3]
    more = hosts["count"] - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
