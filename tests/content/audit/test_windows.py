# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detections on Windows: no way of writing silences one, and what administrators do every day raises none."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import fields_of
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.nodes import Node
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import WINDOWS

from tests.content.audit import harness

_LIFE = pathlib.Path(__file__).parent / "life"
_PROCESSES = "process_creation"
# They need what only Sysmon records: the name that a program was built with, or the command line of its parent.
_ONLY_SYSMON = {"program_renamed", "uac_com_elevation"}
# What these rules are about is the very thing that the variants change.
_ABOUT_CASE = {"windows_mixed_case", "encoded_program_on_command_line", "windows_obfuscated_line"}
_ABOUT_CASE |= {"windows_miner_line", "double_extension", "suspicious_place"}
_SCRIPTS = "ps_script"
_TEXTS = {_PROCESSES: "CommandLine", _SCRIPTS: "ScriptBlockText"}
_SEVERITIES = ("informational", "low", "medium", "high", "critical")
# A program that has no arguments: with any text behind it, it is another case, which other rules judge.
_WITHOUT_ARGUMENTS = {
    "rundll32_bare: started to be filled",
    "rundll32_bare: with quotes",
    "rundll32_bare: a parent with the name of the antivirus program",
    "system_process_starts_shell: a shell without a command, started by the host of services",
}
# Texts that ordinary command lines have, and that exceptions of rules looked for.
_ORDINARY_WORDS = (
    r"md5 checksum sha1 etag cmdkey tasklist findstr query perfmon NetTrace LwtNetLog std::"
    r" [System. --gtest action=block /active:no start= auto -status running -startuptype"
    r" automatic /d -30 lastwritetime adddays /add /delete /flushdns a.crl a.cer a.vbs a.js"
    r" a.log -keepversions:3 /maxsize=unbounded autochk userinit explorer.exe \\localhost\ \\127.0.0.1\ ://10.1.1.5/"
    r" \\10.1.1.5\ \Temp\* \Prefetch *.tmp splwow64 \spool\drivers\ printui ntprint.dll"
    r" \Microsoft.NET\Framework\v4.0.30319\csc.exe \AppData\Local\Microsoft\OneDrive\ \AppData\Local\Programs\ a.exe"
    r" \AppPatch\ \Program Files\ -m -bg -mm \Windows\System32\ \Windows\Installer\MSI1.tmp"
    r" zzzzInvokeManagedCustomActionOutOfProc rundll32 shell32.dll,Control"
)


def processes() -> list[harness.Case]:
    """Return the cases of one process that raise an alert."""
    cases = [case for case in harness.load(WINDOWS) if case.raised and len(case.events) == 1]
    return [case for case in cases if case.events[0].source == _PROCESSES]


def raised(events: t.Iterable[harness.Event]) -> set[str]:
    return {found.rule for found in harness.rules(WINDOWS).raised(events)}


def changed(case: harness.Case, change: t.Callable[[str], str]) -> list[harness.Event]:
    """Return the events of a case with another command line."""
    return [
        event._replace(view={**event.view, "CommandLine": change(event.view["CommandLine"])}) for event in case.events
    ]


def _upper(line: str) -> str:
    return line.upper()


def _more_blanks(line: str) -> str:
    program, _, rest = line.partition('" ' if line.startswith('"') else " ")
    end = '"' if line.startswith('"') else ""
    return f"{program}{end}   {rest}" if rest else line


def _quoted(line: str) -> str:
    program, _, rest = line.partition(" ")
    return line if line.startswith('"') else f'"{program}" {rest}'.rstrip()


def _full_path(line: str) -> str:
    program, _, rest = line.partition(" ")
    return line if re.match(r'["\\%]|[A-Za-z]:', program) else f"C:\\Windows\\System32\\{program} {rest}".rstrip()


def _quoted_options(line: str) -> str:
    program, _, rest = line.partition(" ")
    return f"{program} " + re.sub(r"(?<!\S)([-/][A-Za-z]+)(?=\s|$)", r'"\1"', rest)


@pytest.mark.parametrize(
    "change", [_upper, _more_blanks, _quoted, _quoted_options, _full_path], ids=lambda change: change.__name__
)
def test_how_a_command_line_is_written_silences_no_rule(change: t.Callable[[str], str]) -> None:
    silent = [
        case.title
        for case in processes()
        if case.rule not in _ABOUT_CASE
        and "CommandLine" in case.events[0].view
        and harness.sources()[case.rule]["id"] not in raised(changed(case, change))
    ]
    assert silent == []


def silent_with_another_text(case: harness.Case, others: t.Iterable[str]) -> list[str]:
    """Return the texts, each a case's and another one joined, that do not raise the case's alert at its severity."""
    event = case.events[0]
    field = _TEXTS[event.source]
    engine = harness.rules(WINDOWS).engine
    definition = harness.sources()[case.rule]
    alert = definition["bulwark"]["alert"]
    enough = _SEVERITIES[_SEVERITIES.index(definition["level"]) :]

    def is_silent(text: str) -> bool:
        matches = (engine.rule(number) for number in engine.match(event.source, {**event.view, field: text}))
        return not any(rule.alert == alert and rule.severity in enough for rule in matches if not rule.component)

    attack = event.view[field]
    return [text for other in others for text in joined(event, attack, other) if is_silent(text)]


def joined(event: harness.Event, attack: str, other: str) -> list[str]:
    if event.source == _SCRIPTS:
        return [f"{attack}\n# {other}", f"# {other}\n{attack}"]
    texts = [f"{attack} & rem {other}", f"{other} & {attack}", f"{attack}\n{other}", f"{other}\n{attack}"]
    return [*texts, f"{attack} # {other}"] if "powershell" in event.view["Image"].lower() else texts


def with_text(raised: bool) -> list[harness.Case]:
    """Return the cases of one process or one script that say its text."""
    cases = [case for case in harness.load(WINDOWS) if case.raised == raised and len(case.events) == 1]
    return [case for case in cases if _TEXTS.get(case.events[0].source, "") in case.events[0].view]


def test_no_other_text_beside_an_attack_silences_its_rule() -> None:
    ordinary_texts: dict[str, list[str]] = {}
    for case in with_text(raised=False):
        event = case.events[0]
        ordinary_texts.setdefault(case.rule, []).append(event.view[_TEXTS[event.source]])
    silent = {
        case.title: texts
        for case in with_text(raised=True)
        if (texts := silent_with_another_text(case, [*ordinary_texts.get(case.rule, ()), _ORDINARY_WORDS]))
    }
    assert silent.keys() == _WITHOUT_ARGUMENTS, silent


def certain(node: Node, known: t.Container[str], wanted: bool = True) -> Node:
    """Return a condition as hosts decide it for a record of 4688: what that lacks decides against the rule."""
    if node[0] == "not":
        return ["not", certain(node[1], known, not wanted)]
    if node[0] in ("and", "or"):
        return [node[0], [certain(part, known, wanted) for part in node[1]]]
    return node if all(field in known for field in fields_of(node)) else ["or" if wanted else "and", []]


def test_windows_own_record_of_a_process_is_enough_for_nearly_every_rule() -> None:
    compiled = harness.rules(WINDOWS).payload
    enough = set()
    for case in processes():
        view = case.events[0].view
        identity = harness.sources()[case.rule]["id"]
        rules = [
            {**rule, "condition": certain(rule["condition"], view), "prefilter": None, "needs": None}
            for rule in compiled["rules"]
            if rule["id"] == identity
        ]
        plain = [{name: value for name, value in rule.items() if value is not None} for rule in rules]
        if RuleSet({**compiled, "rules": plain, "correlations": []}).match(_PROCESSES, view):
            enough.add(case.rule)
    assert {case.rule for case in processes()} - enough <= _ONLY_SYSMON


def ordinary() -> list[tuple[str, str]]:
    text = (_LIFE / "windows_ordinary.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(parent, line) for parent, _, line in (line.partition(" | ") for line in lines)]


@pytest.mark.parametrize(("parent", "line"), ordinary())
def test_an_ordinary_process_raises_nothing_above_informational(parent: str, line: str) -> None:
    system = parent.endswith(("\\services.exe", "\\svchost.exe", "\\smss.exe", "\\wininit.exe"))
    view = harness.windows_view({"cmd": line, "ParentImage": parent}, _PROCESSES)
    view["User"] = "NT AUTHORITY\\SYSTEM" if system else "CORP\\admin"
    engine = harness.rules(WINDOWS).engine
    matches = [engine.rule(number) for number in engine.match(_PROCESSES, view)]
    assert [rule.title for rule in matches if not rule.component and rule.severity != "informational"] == []
