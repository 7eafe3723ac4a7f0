# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a case of Windows written as YAML into a change, and has it judged in C# with the default watches.

A case names one entry and its states before (``was``) and now (``now``); without one of them it was created or deleted.
``first`` judges the state now without a change. A ``value`` has its data as text, and optionally a ``type``; a ``key``
and a ``file`` have mappings of attributes. What else the host has is in ``facts``, as RecordedFacts of
RecordedFacts.cs takes them; ``bytes`` there are texts of a REG_SZ, ``hex:`` or ``actions:``. ``likes`` are other
programs, ``recorded`` hives in the baseline, ``watch`` is one of the user.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import pathlib
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import content, windows_watches

from tests.unit.windows import driver

CASES = pathlib.Path(__file__).parent / "windows_cases.yml"
_HERE = pathlib.Path(__file__).parent
_SCRIPTS = (_HERE / "WindowsScript.cs", _HERE.parents[1] / "unit/windows/RecordedFacts.cs")
_UTILITIES = (
    "Classifier",
    "Definitions",
    "Owners",
    "RegistryJudge",
    "Signatures",
    "Updates",
)

_NT = "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
_ACCOUNT = "HKU\\S-1-5-21-1-2-3-1105"
# What cases write for the beginnings of paths.
_SHORT = {
    "CACHE": f"{_NT}\\Schedule\\TaskCache",
    "NT": _NT,
    "SERVICES": "HKLM\\SYSTEM\\CurrentControlSet\\Services",
    "CONTROL": "HKLM\\SYSTEM\\CurrentControlSet\\Control",
    "CERTIFICATES": "HKLM\\SOFTWARE\\Microsoft\\SystemCertificates",
    "ANN": _ACCOUNT,
    "ANN_Classes": f"{_ACCOUNT}_Classes",
}
# The thumbprint of a certificate whose bytes are "foo".
_FOO = hashlib.sha1(b"foo", usedforsecurity=False).hexdigest()


@dataclasses.dataclass(frozen=True)
class Case:
    """One case of one alert. becomes: the alert, ``explained``, ``claimed``, ``nothing`` or ``unwatched``."""

    alert: str
    fields: t.Mapping[str, t.Any]
    becomes: str
    severity: str | None

    @property
    def title(self) -> str:
        return f"{self.alert}: {self.fields['why']}"


@functools.cache
def load() -> tuple[Case, ...]:
    """Return all cases: under each alert, what raises it and what does not."""
    cases: list[Case] = []
    for alert, groups in _whole(catalogue.read(CASES)).items():
        cases += [Case(alert, fields, alert, fields["severity"]) for fields in groups["raised"]]
        cases += [
            Case(alert, fields, fields["becomes"], fields.get("severity")) for fields in groups.get("not_raised", ())
        ]
    return tuple(cases)


def _whole(data: t.Any) -> t.Any:
    """Return data with whole paths and thumbprints."""
    if isinstance(data, dict):
        return {_whole(key): _whole(item) for key, item in data.items()}
    if isinstance(data, list):
        return [_whole(item) for item in data]
    if not isinstance(data, str):
        return data
    first, divider, rest = data.replace("FOO", _FOO).partition("\\")
    return f"{_SHORT.get(first, first)}{divider}{rest}" if divider else first


@functools.cache
def verdicts() -> dict[str, dict[str, t.Any]]:
    """Return what the C# makes of all cases, by their titles."""
    names = [f"file_integrity.{name}" for name in _UTILITIES]
    outcomes = driver.Driver(*names, sources=_SCRIPTS).run([_call(case.fields) for case in load()])
    for case, outcome in zip(load(), outcomes, strict=True):
        assert outcome.error is None, (case.title, outcome)
    return {case.title: outcome.result for case, outcome in zip(load(), outcomes, strict=True)}


def _call(fields: t.Mapping[str, t.Any]) -> driver.Case:
    facts = {**fields.get("facts", {})}
    facts["bytes"] = {path: _bytes(data) for path, data in facts.get("bytes", {}).items()}
    likes = [{"kind": "file", **like} for like in fields.get("likes", ())]
    before, after = _entry(fields, "was"), _entry(fields, "now")
    own = [{"name": "shop", **fields["watch"]}] if "watch" in fields else []
    watches = content.merge_watches(content.load_watches(content.WINDOWS), [], own, content.WINDOWS)
    first = fields.get("first", False)
    recorded, roots = fields.get("recorded", []), list(windows_watches.load_microsoft_roots())
    return driver.call("WindowsScript.Verdict", watches, facts, likes, recorded, before, after, first, roots)


def _entry(fields: t.Mapping[str, t.Any], side: str) -> dict[str, t.Any] | None:
    if side not in fields:
        return None
    kind = next(kind for kind in ("value", "key", "file") if kind in fields)
    attributes = fields[side]
    if kind == "value" and attributes is None:
        attributes = {"type": fields["type"], "size": 200, "sha256": "0" * 64}
    elif kind == "value":
        data = str(attributes)
        digest = hashlib.sha256(base64.b64decode(_bytes(data))).hexdigest()
        attributes = {"type": fields.get("type", "REG_SZ"), "data": data, "size": 2 * len(data) + 2, "sha256": digest}
    return {"kind": kind, "path": fields[kind], "attributes": attributes}


def _bytes(data: str) -> str:
    """Return in base64 the data of a REG_SZ, of hexadecimal digits, or of the Actions of a task that runs a command."""
    kind, _, rest = data.partition(":")
    if kind == "hex":
        raw = bytes.fromhex(rest)
    elif kind == "actions":
        raw = actions(rest)
    else:
        raw = f"{data}\0".encode("utf-16-le")
    return base64.b64encode(raw).decode()


def actions(command: str, arguments: str = "", directory: str = "") -> bytes:
    """Return the value Actions of a task with one program: version 3, principal, kind, id, strings and flags."""
    texts = [text.encode("utf-16-le") for text in ("LocalSystem", "", command, arguments, directory)]
    context, number, *strings = [struct.pack("<I", len(text)) + text for text in texts]
    return struct.pack("<H", 3) + context + struct.pack("<H", 0x6666) + number + b"".join(strings) + bytes(2)
