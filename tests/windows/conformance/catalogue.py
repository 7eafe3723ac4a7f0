# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edges of the Windows API in the collection, and the checks that look at each."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
import re
import typing as t

# Nothing of tests.support: who has a Windows host needs no environment for tests.
KIT = pathlib.Path(__file__).resolve().parent
ROOT = KIT.parents[2]
CSHARP = KIT / "csharp"
_MODULES = ROOT / "plugins" / "modules"
_UTILITIES = ROOT / "plugins" / "module_utils" / "windows"
_API = _UTILITIES / "api"
_NAMESPACE = "ansible_collections.bulwark.servers.plugins.module_utils.windows"

_TYPE = re.compile(r"\t(?P<access>public|internal) (?:static |sealed )*(?P<kind>class|interface|struct|enum) \w+")
_INTERFACE_MEMBER = re.compile(r"\t\t[\w.\[\]]+(?:<[^>]*>)? (?P<name>\w+)(?:\(| \{)")
_CLASS_MEMBER = re.compile(
    r"\t\tpublic (?P<static>static )?[\w.\[\]]+(?:<[^>]*>)? (?P<name>\w+)(?:\(| \{|$)", re.MULTILINE
)
_CHECK = re.compile(r'new Check\(\s*"(?P<id>\w+)",\s*"(?P<edge>[\w.]+)",\s*"(?P<comparison>[^"]+)",')
_USED = re.compile(rf"^(?:#AnsibleRequires -CSharpUtil|using) {re.escape(_NAMESPACE)}\.([\w.]+);?$", re.MULTILINE)
# It only closes a handle.
_NO_EDGE = ("Dispose",)


@dataclasses.dataclass(frozen=True)
class Check:
    """A check. edge: FILE.MEMBER of the API or the name of a module. comparison: the second way to see the fact."""

    id: str
    edge: str
    comparison: str


# Checks of whole modules; ``record`` has their judgement.
MODULE_CHECKS = (
    Check("facts_build", "win_platform_facts", "the build in the registry"),
    Check("baseline_taken", "win_file_integrity", "a fresh directory and a fresh key"),
    Check("baseline_same", "win_file_integrity_info", "nothing was changed"),
    Check("baseline_changes", "win_file_integrity_info", "files and a value were changed, deleted, renamed"),
    Check("baseline_accepted", "win_file_integrity", "no change is left after it was accepted"),
    Check("baseline_large", "win_file_integrity_info", "1,000 files with paths of 1,000 characters were made"),
    Check("baseline_removed", "win_file_integrity", "Directory.Exists of .NET"),
    Check("first_look", "win_file_integrity", "an untouched host: nothing is suspicious, and everything is read"),
    Check("first_look_same", "win_file_integrity_info", "the same host, some seconds later"),
    Check("policy_preview", "win_audit_policy", "every setting of the collection can be read, and none is changed"),
    Check("policy_deployed", "win_audit_policy", "fresh directories and keys get audit entries, and the next run none"),
    Check("policy_reported", "win_audit_policy_info", "these entries, and that the event log service runs"),
    Check("policy_removed", "win_audit_policy", "the entries are gone, as win_audit_policy_info has it"),
    Check("events_read", "win_audit_events_info", "the start of PowerShell, which Windows records for the kit itself"),
    Check("sign_ins_read", "win_sign_in_info", "sign-ins of the last day, with the kit's own"),
    Check("simulated", "win_attack_simulation", "every simulation is done, and leaves nothing"),
    Check("simulated_alerts", "win_attack_simulation", "the alerts, as win_audit_events_info finds them"),
    Check("scan", "win_file_integrity_info", "the baseline, read in one task after other modules"),
)


@functools.cache
def edges() -> tuple[str, ...]:
    """Return every edge: public members of the files below ``windows/api``, and the PowerShell modules."""
    modules = [file.stem for file in sorted(_MODULES.glob("win_*.ps1"))]
    # What has no member does all by its constructor. A file without a public type serves its neighbours alone.
    members = [
        f"{file.stem}.{name}"
        for file in sorted(_API.glob("*.cs"))
        if re.search(r"^\tpublic ", _text(file), re.MULTILINE)
        for name in _members(_text(file)) or [file.stem]
    ]
    return (*modules, *members)


def _members(source: str) -> list[str]:
    """Return the names of what other files can call in a C# file, each once, in their order."""
    names: dict[str, None] = {}
    holder = None
    for line in source.splitlines():
        begin = _TYPE.match(line)
        if begin is not None:
            holder = begin
        elif holder is not None:
            is_interface = holder["kind"] == "interface"
            member = (_INTERFACE_MEMBER if is_interface else _CLASS_MEMBER).match(line)
            # Static members of an internal class are its neighbours' alone.
            is_hidden = holder["access"] == "internal" and "static" in (line.split() or [""])
            if member is not None and not is_hidden and member["name"] not in _NO_EDGE:
                names[member["name"]] = None
    return list(names)


@functools.cache
def checks() -> tuple[Check, ...]:
    """Return every check: those of the modules, and those in C# in the order of the files."""
    matches = (match for file in sorted(CSHARP.glob("*Checks.cs")) for match in _CHECK.finditer(_text(file)))
    return (*MODULE_CHECKS, *(Check(**match.groupdict()) for match in matches))


@functools.cache
def sources() -> t.Mapping[str, str]:
    """Return a digest of the code behind each module and each file of the API, by the first part of edges."""
    digests = {file.stem: _digest([file]) for file in sorted(_API.glob("*.cs"))}
    for file in sorted(_MODULES.glob("win_*.ps1")):
        digests[file.stem] = _digest(sorted(_with_used(file)))
    return digests


def _with_used(module: pathlib.Path) -> set[pathlib.Path]:
    """Return the file of a module and those of all utilities that it sends to the host."""
    files: set[pathlib.Path] = set()
    waiting = [module]
    while waiting:
        file = waiting.pop()
        if file not in files:
            files.add(file)
            waiting += [_UTILITIES.joinpath(*name.split(".")).with_suffix(".cs") for name in _USED.findall(_text(file))]
    return files


def source_of(edge: str) -> str:
    """Return the key of ``sources`` for an edge."""
    return edge.partition(".")[0]


def _digest(files: t.Iterable[pathlib.Path]) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def _text(file: pathlib.Path) -> str:
    return file.read_text(encoding="utf-8")
