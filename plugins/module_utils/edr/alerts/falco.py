# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts of Falco, which writes one JSON object a line with ``json_output: true``.

Source: https://falco.org/docs/concepts/outputs/formatting/ and the fields of its rules,
https://falco.org/docs/reference/rules/supported-fields/.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import evidence, fields
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert

# Falco's own alert that the kernel had more events than it could take.
DROPPED = "Falco internal: syscall event drop"


def read(line: str, source: Source) -> ProductAlert | None:
    """Return the alert of a line; raise NotUnderstoodError for a line that Falco does not write."""
    return of_record(fields.load(line), source)


def of_record(record: t.Mapping[str, t.Any], source: Source) -> ProductAlert | None:
    """Return the alert of a JSON object of Falco, which writes nothing else."""
    rule, priority = fields.text(record.get("rule")), fields.text(record.get("priority"))
    if rule is None or priority is None:
        raise fields.NotUnderstoodError("it has no rule and priority")
    output = record.get("output_fields")
    output = output if isinstance(output, dict) else {}
    tags = fields.texts(record.get("tags"))
    about = _evidence(output)
    return ProductAlert(
        product=source.id,
        title=rule,
        subject=_subject(rule, output),
        time=fields.when(record.get("time")) or fields.when(output.get("evt.time")),
        severity=source.severity(priority),
        own_severity=priority,
        uid=fields.text(record.get("uuid")),
        rule=rule,
        techniques=fields.techniques(tags),
        evidences=[
            {
                **about,
                "data": evidence.data(
                    {
                        "output": record.get("output"),
                        "priority": priority,
                        "hostname": record.get("hostname"),
                        "source": record.get("source"),
                        "tags": ", ".join(tags) or None,
                        "uuid": record.get("uuid"),
                        **output,
                    }
                ),
            }
        ],
        host=fields.texts(record.get("hostname")),
    )


def _subject(rule: str, output: t.Mapping[str, t.Any]) -> str:
    """Return a subject that is the same for each match of the rule in the same thing: no ids of processes, no times."""
    if rule == DROPPED:
        return rule
    about = fields.first(output.get("fd.name"), output.get("fs.path.name"))
    program = fields.first(output.get("proc.exepath"), output.get("proc.name"), output.get("proc.pname"))
    image = fields.first(output.get("container.image.repository"), output.get("container.name"))
    # A connection's name has a port of the moment in it: 10.0.0.1:51234->192.0.2.7:443.
    if about and "->" in about:
        about = about.rpartition("->")[2]
    parts = [part for part in (about, program and "by %s" % program, image and "in %s" % image) if part]
    return "%s: %s" % (rule, " ".join(parts)) if parts else rule


def _evidence(output: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    get = output.get
    ancestors = [
        evidence.process(
            pid=get("proc.ppid"), path=get("proc.pexepath"), cmd_line=get("proc.pcmdline"), name=get("proc.pname")
        ),
        *(
            evidence.process(
                path=get("proc.aexepath[%d]" % level),
                cmd_line=get("proc.acmdline[%d]" % level),
                name=get("proc.aname[%d]" % level),
                pid=get("proc.apid[%d]" % level),
            )
            for level in range(2, 8)
        ),
    ]
    known = [each for each in ancestors if each]
    process = evidence.process(
        pid=get("proc.pid"),
        path=get("proc.exepath"),
        cmd_line=get("proc.cmdline"),
        name=get("proc.name"),
        directory=get("proc.cwd"),
        account=get("user.name"),
        parents=known,
    )
    name = fields.text(get("fd.name"))
    is_file = name is not None and name.startswith("/")
    return evidence.without_empty(
        {
            "process": process,
            # Some rules say who started it and not what.
            "actor": None if process else evidence.without_empty({"process": next(iter(known), None)}),
            "file": evidence.file(name if is_file else get("fs.path.name")),
            "user": evidence.user(get("user.name"), get("user.uid")),
            "src_endpoint": evidence.endpoint(get("fd.cip"), get("fd.cport")),
            "dst_endpoint": evidence.endpoint(get("fd.sip"), get("fd.sport")),
            "container": evidence.container(
                get("container.id"),
                get("container.name"),
                get("container.image.repository"),
                get("container.image.tag"),
            ),
        }
    )
