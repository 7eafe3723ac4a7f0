# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Windows hosts have to record for each alert, and the page of Defender for Cloud's alerts for Windows.

``tools/alert_reference.py`` writes the page. A rule can be raised in several ways: each is a set of names, all of which
a host needs. A name is a group of ``win_audit_policy`` or one of the others here. The host finds out the same by
``module_utils/windows/events/Requirements.cs``; a test compares both.
"""

from __future__ import annotations

import functools
import itertools
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import Alert

NAME = "alert_reference_windows"
Ways = frozenset[frozenset[str]]

SYSMON = "Sysmon"
FILE_INTEGRITY = "file integrity"
OWN_AUDITING = "audit entries of your own"
# Followed by the name of a channel that Windows writes without any setting, or of a subcategory in no group.
LOG = "log "
SUBCATEGORY = "subcategory "
NOTHING: Ways = frozenset((frozenset(),))

_SYSTEM = {"EventID", "Channel", "Computer", "Provider_Name"}
_OF_PROCESS = _SYSTEM | {"Image", "User", "ProcessId", "LogonId"}
_STARTED = _OF_PROCESS | {"IntegrityLevel", "ParentImage", "ParentProcessId", "ParentUser"}
_OF_FILE = _OF_PROCESS | {"FileName", "TargetFilename"}
_OF_VALUE = _OF_PROCESS | {"EventType", "TargetObject", "Details"}
_ENDS = {f"{end}{name}" for end in ("Source", "Destination") for name in ("Ip", "Port", "IsIpv6")}
# The categories that Windows itself has records of: the groups that record them, with the fields they have.
_BUILTIN: t.Final[t.Mapping[str, tuple[tuple[frozenset[str], t.Container[str]], ...]]] = {
    "process_creation": (
        (frozenset(("processes",)), _STARTED),
        (frozenset(("processes", "command_lines")), _STARTED | {"CommandLine"}),
    ),
    "file_access": ((frozenset(("object_changes",)), _OF_FILE),),
    "file_delete": ((frozenset(("object_changes",)), _OF_FILE),),
    "file_event": ((frozenset(("object_changes",)), _OF_FILE),),
    "network_connection": (
        (frozenset(("connections",)), _SYSTEM | _ENDS | {"Image", "ProcessId", "Protocol", "Initiated"}),
    ),
    "registry_delete": ((frozenset(("object_changes",)), _OF_VALUE),),
    "registry_event": ((frozenset(("object_changes",)), _OF_VALUE),),
    "registry_set": ((frozenset(("object_changes",)), _OF_VALUE),),
}
# The categories that are no events of Sysmon.
_NOT_SYSMON = {"file_access", "ps_script", "ps_module", "ps_classic_script", "sign_in"}
_ONE_WAY = {
    "ps_script": "powershell_script_blocks",
    "ps_module": "powershell_modules",
    "ps_classic_script": f"{LOG}Windows PowerShell",
    "sign_in": "sign_ins",
    "Microsoft-Windows-DNS-Client/Operational": "name_lookups",
}
# The rules for sign-ins that are about another event than those of ``sign_ins``.
_OTHER_EVENTS = {"windows_account_locked": "accounts"}
# The subcategories of the events of the Security log that rules ask for; None for what is always recorded. A rule for
# another event needs a line here.
_SUBCATEGORIES: t.Final[t.Mapping[str, str | None]] = {
    "1102": None,
    "4624": "Logon",
    "4656": "Kernel Object",
    "4662": "Directory Service Access",
    "4663": "Kernel Object",
    "4698": "Other Object Access Events",
    "4702": "Other Object Access Events",
    "4719": None,
    "4720": "User Account Management",
    "4722": "User Account Management",
    "4728": "Security Group Management",
    "4732": "Security Group Management",
    "4738": "User Account Management",
    "4742": "Computer Account Management",
    "4756": "Security Group Management",
    "4765": "User Account Management",
    "4766": "User Account Management",
    "4769": "Kerberos Service Ticket Operations",
    "4781": "User Account Management",
    "4794": "User Account Management",
    "4799": "Security Group Management",
    "4826": "Other Policy Change Events",
}
# The rules for files and keys that the paths of object_changes may not have: one that each is about.
OBJECTS: t.Final[t.Mapping[str, str]] = {
    "account_hidden_in_registry": r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon\SpecialAccounts",
    "browser_data_by_program": r"C:\Users\bob\AppData\Local\Google\Chrome\User Data\Default\Login Data",
    "credential_dump_file": r"C:\Windows\Temp\lsass.dmp",
    "port_forwarded_in_registry": r"HKLM\SYSTEM\CurrentControlSet\Services\PortProxy\v4tov4\tcp",
    "uac_registry": r"HKCU\Software\Classes\ms-settings\shell\open\command",
    "web_script_written_windows": r"C:\inetpub\wwwroot\a.aspx",
    "window_position_hidden": r"HKCU\Console\taskeng.exe",
    "windows_encrypted_step": r"D:\Data\plan.docx.locked",
}
_PROGRAMS: Ways = frozenset((frozenset((SYSMON,)), frozenset(("processes", "command_lines"))))
# The alerts of entries of threat lists, which are no files of rules.
THREAT_LISTS: t.Final[t.Mapping[str, Ways]] = {
    "threat_list_address": _PROGRAMS | {frozenset(("connections",)), frozenset(("sign_ins",))},
    "threat_list_domain": _PROGRAMS | {frozenset(("name_lookups",)), frozenset(("sign_ins",))},
    "threat_list_hash": _PROGRAMS,
    "threat_list_name": frozenset(
        (frozenset((SYSMON,)), frozenset(("processes",)), frozenset(("object_changes", OWN_AUDITING)))
    ),
}
# Only the user's rules raise it.
_YOURS = "audit_sigma_match"

_HEAD = """\
.. SPDX-License-Identifier: GPL-3.0-or-later
.. SPDX-FileCopyrightText: bulwark.servers contributors

.. _{prefix}{name}:

Alerts on Windows hosts
=======================

You see here what a Windows host must record for each alert, and which alerts of Microsoft Defender for Cloud these are.

.. contents::
   :local:
"""
_NEEDS = """\
Each entry lists the ways to see the alert. One of them is enough; each further way shows more.

- ``processes`` and other names in this script are groups of settings, which
  :ansplugin:`bulwark.servers.win_audit_policy#module` deploys. :ref:`Windows hosts <{prefix}windows>` describes them.
  ``kerberos`` and ``directory`` are only for domain controllers. Sign-ins that a domain controller judges need
  ``kerberos``, too.
- *Sysmon* has to be installed, with a configuration that records these events. See
  :ref:`event logs of Windows hosts <{prefix}windows_events>`.
- A *log* is written by Windows without any setting.
- A *subcategory* is in no group. Name it in the option ``subcategories`` of ``win_audit_policy``.
- *Audit entries of your own*: the group does not audit these files or keys. Name them in its option ``paths``, or add
  an entry to their access list (SACL).
- *File integrity* compares files and the registry with the baseline. It needs no event.
- *No setting*: the scan compares the logs, the settings or its own state with those of the last scan.
"""
_PUBLISHED = """\
The first column has each alert that Defender for Cloud publishes for Windows machines. Alerts that it sums up over a
day (*seen multiple times*) are one finding with a count here, and have no row of their own. {detected} of {all} have a
detection. {rest} have none, with the reason.
"""


class Row(t.NamedTuple):
    """An alert of Defender for Cloud: ours with their detections, or the reason why there is none."""

    name: str
    alerts: tuple[Alert, ...]
    rules: tuple[str, ...]
    reason: str


def ways_of(source: str, condition: t.Any, name: str = "", values: t.Collection[str] = ()) -> Ways:
    """Return the ways in which one compiled rule can be raised, none of which is part of another.

    source: the view that the rule is for. name: of the rule. values: fields that a correlation counts values of.
    """
    if source == "Security":
        found = {_of_event(event) for event in _event_ids(condition)}
    elif source in _ONE_WAY:
        found = {frozenset((_OTHER_EVENTS.get(name, _ONE_WAY[source]),))}
    elif "/" in source or source[:1].isupper():
        found = {frozenset((f"{LOG}{source}",))}
    else:
        found = set() if source in _NOT_SYSMON else {frozenset((SYSMON,))}
        own = {OWN_AUDITING} if name in OBJECTS and not is_audited(OBJECTS[name]) else set()
        found |= {
            groups | own
            for groups, fields in _BUILTIN.get(source, ())
            if _is_possible(condition, True, fields) and all(value in fields for value in values)
        }
    return frozenset(way for way in found if not any(other < way for other in found))


def by_rule(payload: t.Mapping[str, t.Any], names: t.Mapping[str, str]) -> dict[str, Ways]:
    """Return the ways of each rule of a compiled set by its name. names: by the ids of the rules."""
    rules = [*payload["rules"], *payload["correlations"]]
    found: dict[str, Ways] = {}

    def ways(number: int, values: t.Collection[str] = ()) -> Ways:
        rule = rules[number]
        if "parts" not in rule:
            return ways_of(rule["source"], rule["condition"], names[rule["id"]], values)
        counted = rule.get("values", ())
        parts = [frozenset(itertools.chain(*(ways(each, counted) for each in part))) for part in rule["parts"]]
        if not rule["type"].startswith("temporal"):
            return frozenset(itertools.chain(*parts))
        every = {frozenset(itertools.chain(*chosen)) for chosen in itertools.product(*parts)}
        return frozenset(way for way in every if not any(other < way for other in every))

    for number, rule in enumerate(rules):
        name = names[rule["id"]]
        found[name] = found.get(name, frozenset()) | ways(number)
    return found


def by_alert(
    alerts: t.Iterable[Alert], rules: t.Mapping[str, t.Iterable[str]], ways: t.Mapping[str, Ways]
) -> dict[str, Ways]:
    """Return the ways of each alert for Windows. rules: the names of the rules that raise it."""
    found: dict[str, Ways] = {}
    for alert in alerts:
        if "windows" not in alert.platforms:
            continue
        own = frozenset(itertools.chain(*(ways[rule] for rule in rules.get(alert.id, ()))))
        # What no rule raises, code does: by the baseline, or by what the logs themselves are like.
        other = frozenset((frozenset((FILE_INTEGRITY,)),)) if alert.capability == "file_integrity" else NOTHING
        found[alert.id] = own or THREAT_LISTS.get(alert.id, other)
    return found


def shown(ways: Ways, alert: str = "") -> str:
    """Return the ways of an alert as reStructuredText."""
    if alert == _YOURS:
        return "whatever your rule needs"
    if ways == NOTHING:
        return "no setting"
    texts = []
    for way in sorted(ways, key=lambda way: (SYSMON in way, len(way), sorted(way))):
        if any(optional in way and way - {optional} in ways for optional in ("command_lines", OWN_AUDITING)):
            continue
        names = sorted(way, key=lambda name: (" " in name, name == "command_lines", name))
        better = ", better with ``command_lines``" if way | {"command_lines"} in ways - {way} else ""
        texts.append(" and ".join(map(_literal, names)) + better)
    return "; or ".join(texts)


def load(alerts: t.Iterable[Alert]) -> tuple[dict[str, list[str]], dict[str, Ways]]:
    """Return the names of the Windows rules by the alerts that they raise, and the ways of the alerts."""
    from ansible_collections.bulwark.servers.plugins.module_utils._payload import unpack
    from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
    from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

    names = {rule["id"]: rule["name"] for rule in map(catalogue.read, detections.own_files("windows"))}
    compiled = unpack(detections.load(platform="windows").payload)
    rules: dict[str, list[str]] = {}
    for rule in [*compiled["rules"], *compiled["correlations"]]:
        raised = rules.setdefault(rule["alert"], []) if not rule.get("component") else []
        if names[rule["id"]] not in raised:
            raised.append(names[rule["id"]])
    return rules, by_alert(alerts, rules, by_rule(compiled, names))


def rows(alert_of: t.Callable[[str], Alert], rules: t.Mapping[str, t.Sequence[str]]) -> list[Row]:
    """Return Defender for Cloud's alerts for Windows from the content, in alphabetical order."""
    from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue

    content = catalogue.CONTENT / "audit"
    found = [
        Row(name, (), (), reason) for name, reason in catalogue.read(content / "not_detectable_windows.yml").items()
    ]
    for path in sorted((content / "defender" / "windows").glob("*.yml")):
        for name, named in catalogue.read(path).items():
            alerts = tuple(map(alert_of, named))
            detections = tuple(rule for alert in alerts for rule in rules.get(alert.id, _listed(alert.id)))
            found.append(Row(name, alerts, detections, ""))
    return sorted(found, key=lambda row: row.name.casefold())


def page(alerts: t.Iterable[Alert], ways: t.Mapping[str, Ways], known: t.Sequence[Row]) -> str:
    """Return the page in reStructuredText: each alert for Windows with its needs, then Defender for Cloud's alerts."""
    from alert_reference import PREFIX, escape, heading, table

    def linked(alert: Alert) -> str:
        return f":ref:`{alert.id} <{PREFIX}alert_reference.{alert.id}>`"

    needs = [("alert", "Linux", "Windows: what it needs")]
    needs += [
        (linked(alert), "yes" if "linux" in alert.platforms else "no", shown(ways[alert.id], alert.id))
        for alert in sorted(alerts, key=lambda alert: (alert.capability, alert.id))
        if alert.id in ways
    ]
    published = [("Defender for Cloud", "alert", "detections", "needs, or why there is none")]
    for row in known:
        joined = frozenset(itertools.chain(*(ways[alert.id] for alert in row.alerts)))
        named = ", ".join(map(linked, row.alerts)) or "none"
        rules = ", ".join(rule if " " in rule else f"``{rule}``" for rule in row.rules)
        published.append((escape(row.name), named, rules, escape(row.reason) or shown(joined)))
    detected = sum(bool(row.alerts) for row in known)
    head = _HEAD.format(prefix=PREFIX, name=NAME)
    counts = _PUBLISHED.format(all=len(known), detected=detected, rest=len(known) - detected)
    return "\n".join(
        [
            head,
            heading("What each alert needs", "-"),
            _NEEDS.format(prefix=PREFIX),
            table(needs, "34 10 56"),
            heading("Microsoft Defender for Cloud's alerts for Windows", "-"),
            counts,
            table(published, "28 22 25 25"),
        ]
    )


def is_audited(name: str) -> bool:
    """Return whether a file or key is below one of the paths of object_changes."""
    return f"{name}\\".casefold().startswith(_audited())


@functools.cache
def _audited() -> tuple[str, ...]:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import windows_policy

    places = {"%SystemRoot%": r"C:\Windows", "%ProgramData%": r"C:\ProgramData"}
    paths = (path.partition("\\") for path in windows_policy.load()["object_changes"].settings["paths"])
    return tuple(f"{places.get(start, start)}\\{rest}\\".casefold() for start, _, rest in paths)


@functools.cache
def _groups() -> dict[str, str]:
    """Return the groups of win_audit_policy by the subcategories that they record."""
    from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import windows_policy

    groups = windows_policy.load().values()
    return {each["name"]: group.name for group in groups for each in group.settings["subcategories"]}


def _listed(alert: str) -> tuple[str, ...]:
    return ("your threat lists",) if alert in THREAT_LISTS else ()


def _of_event(event: str) -> frozenset[str]:
    subcategory = _SUBCATEGORIES[event]
    if subcategory is None:
        return frozenset((f"{LOG}Security",))
    return frozenset((_groups().get(subcategory, f"{SUBCATEGORY}{subcategory}"),))


def _event_ids(node: t.Any) -> t.Iterator[str]:
    kind = node[0]
    if kind == "not":
        return
    if kind in ("and", "or"):
        for part in node[1]:
            yield from _event_ids(part)
    elif node[:2] == ["text", "EventID"]:
        yield from node[3]


def _is_possible(node: t.Any, value: bool, fields: t.Container[str]) -> bool:
    """Return whether a condition can have a value for an event with these fields: any other decides against a rule."""
    kind = node[0]
    if kind == "not":
        return _is_possible(node[1], not value, fields)
    if kind in ("and", "or"):
        results = [_is_possible(part, value, fields) for part in node[1]]
        return all(results) if (kind == "and") == value else any(results)
    return (node[1] if node[0] != "listed" else node[2][0]) in fields


def _literal(name: str) -> str:
    for prefix in (LOG, SUBCATEGORY):
        if name.startswith(prefix):
            return f"the {prefix}``{name.removeprefix(prefix)}``"
    return name if " " in name or name == SYSMON else f"``{name}``"
