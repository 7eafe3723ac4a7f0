# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of Sysmon for Linux that a rule of its configuration names, from syslog files or the journal.

Sysmon writes all that it sees. An event is an alert if its ``RuleName`` is one that the configuration gave it
(``TechniqueID=T1105,TechniqueName=Ingress Tool Transfer``). Source: https://github.com/microsoft/SysmonForLinux.
"""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import evidence, fields
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert

_SYSLOG = re.compile(r"\bsysmon(?:\[\d+\])?: ?(?=<(?:\?xml|Event\b))", re.ASCII)
_NAMES = {
    "1": "process created",
    "3": "network connection",
    "5": "process ended",
    "9": "raw read of a disk",
    "11": "file created",
    "23": "file deleted",
}
_PART = re.compile(r"(technique_?id|technique_?name|severity)\s*=\s*([^,]*)", re.IGNORECASE)


def read(line: str, source: Source) -> ProductAlert | None:
    """Return the alert of a line of syslog or a message of the journal, None for one that is of no rule.

    Lines of other programs, which a syslog file has, are None, too. Raises NotUnderstoodError for damaged XML.
    """
    match = _SYSLOG.search(line)
    start = match.end() if match else 0 if line.lstrip().startswith(("<Event", "<?xml")) else -1
    if start < 0:
        return None
    text = line[start:].strip()
    # Sysmon writes none, and its entities can be made to fill the memory.
    if "<!" in text:
        raise fields.NotUnderstoodError("its XML has a declaration, which Sysmon never writes")
    if len(text) > fields.LINE_LIMIT:
        raise fields.NotUnderstoodError("the event is longer than %d bytes" % fields.LINE_LIMIT)
    try:
        event = ET.fromstring(text.encode("utf-8", "replace"))  # noqa: S314 - without declarations, as just checked
    except (ET.ParseError, ValueError, RecursionError):
        raise fields.NotUnderstoodError("its XML is cut off or damaged") from None
    return _of_event(event, source)


def _of_event(event: ET.Element, source: Source) -> ProductAlert | None:
    data = {}
    system: dict[str, str] = {}
    for element in event.iter():
        name = element.tag.rpartition("}")[2]
        if name == "Data" and element.get("Name"):
            data[str(element.get("Name"))] = element.text or ""
        elif name == "TimeCreated":
            system["time"] = element.get("SystemTime", "")
        elif name in ("EventID", "Computer", "EventRecordID"):
            system[name] = element.text or ""
    if "EventID" not in system:
        raise fields.NotUnderstoodError("it is not an event of Sysmon")
    named = data.get("RuleName", "").strip()
    if named in ("", "-"):
        return None
    parts = {key.lower().replace("_", ""): value.strip() for key, value in _PART.findall(named)}
    title = parts.get("techniquename") or named
    kind = _NAMES.get(system["EventID"], "event %s" % system["EventID"])
    about = fields.first(_value(data, "TargetFilename"), _value(data, "DestinationIp"))
    program = _value(data, "Image")
    shown = " ".join(part for part in (about, program and "by %s" % program) if part)
    return ProductAlert(
        product=source.id,
        title="%s (%s)" % (title, kind),
        subject="%s (%s)%s" % (title, kind, ": " + shown if shown else ""),
        time=fields.when(system.get("time")) or fields.when(data.get("UtcTime")),
        severity=source.severity(parts.get("severity", "rule")),
        own_severity=parts.get("severity", "none"),
        uid=fields.text(system.get("EventRecordID")),
        rule=named,
        techniques=fields.techniques(named),
        evidences=[_evidence(data)],
        host=fields.texts(system.get("Computer")),
    )


def _value(data: t.Mapping[str, str], name: str) -> str | None:
    value = fields.text(data.get(name))
    return None if value == "-" else value


def _evidence(data: t.Mapping[str, str]) -> dict[str, t.Any]:
    def get(name: str) -> str | None:
        return _value(data, name)

    parent = evidence.process(
        pid=get("ParentProcessId"),
        uid=get("ParentProcessGuid"),
        path=get("ParentImage"),
        cmd_line=get("ParentCommandLine"),
    )
    digests = [each.partition("=")[2] for each in (get("Hashes") or "").split(",")]
    target = get("TargetFilename")
    return evidence.without_empty(
        {
            "process": evidence.process(
                pid=get("ProcessId"),
                uid=get("ProcessGuid"),
                path=get("Image"),
                cmd_line=get("CommandLine"),
                account=get("User"),
                directory=get("CurrentDirectory"),
                digests=() if target else digests,
                parents=[parent] if parent else [],
            ),
            "file": evidence.file(target, *digests),
            "user": evidence.user(get("User")),
            "src_endpoint": evidence.endpoint(get("SourceIp"), get("SourcePort"), get("SourceHostname")),
            "dst_endpoint": evidence.endpoint(get("DestinationIp"), get("DestinationPort"), get("DestinationHostname")),
            "data": evidence.data(data),
        }
    )
