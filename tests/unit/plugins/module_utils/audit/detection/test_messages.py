# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found out from the text of a message says what rules say that are all tried."""

from __future__ import annotations

import functools
import random
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import record_views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.verdicts import Verdicts
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Joiner
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Processes
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

from tests.support.sigma import rule, used, without_prefilter
from tests.unit.plugins.module_utils.audit.detection.test_verdicts import compiled, forget

_KINDS = (
    "USER_AUTH", "USER_CMD", "CRED_ACQ", "SERVICE_START", "ADD_USER", "USER_CHAUTHTOK", "ADD_GROUP", "LOGIN",
    "MAC_STATUS", "CONFIG_CHANGE", "DAEMON_ERR", "ANOM_LOGIN_FAILURES", "USER_TTY", "AVC", "TTY", "USER_AVC",
)  # fmt: skip


def made(seed: int, number: int) -> bytes:
    """Return records that stand alone; each value is one of few."""
    chance = random.Random(seed)  # noqa: S311
    pick = chance.choice
    text = []
    for serial in range(1, number + 1):
        stamp = f"type={pick(_KINDS)} msg=audit(178000{serial:04}.{serial % 900:03}:{serial}): "
        head = stamp + pick(("", "", "user ")) + f"pid={pick((1, 77, serial))} uid={pick((0, 33))} "
        head += f"auid={pick((1000, 4294967295))} ses={pick((3, 77, 4294967295))} {pick(('', 'subj=unconfined '))}"
        said = [
            f"op={pick(('PAM:authentication', 'add-user-to-group', 'PAM:chauthtok', 'changing-password', 'delete'))}",
            pick(
                ('acct="root"', "acct=616263", 'acct="77"', "acct=C3A4", "acct=\N{LATIN SMALL LETTER A WITH DIAERESIS}")
            ),
            pick(('exe="/usr/sbin/sshd"', "exe=2F746D702F6576696C", 'exe="/usr/bin/sudo"')),
            pick(("hostname=? addr=10.0.0.9 terminal=ssh", "hostname=evil.example addr=? terminal=pts/0")),
            pick(("", "unit=cron", "unit=evil", 'grp="wheel"', "type=PATH name=/etc/passwd", 'key="susp_activity"')),
            pick(("", "cmd=6964202D61", 'cmd="id"', 'cwd="/tmp"', "a1=--cpu-priority", "data=6C73")),
            pick(("audit_enabled=0 old=1", "enforcing=0 old_enforcing=1", "x-pid=77 y", "", "")),
            pick(("res=success", "res=failed", "res=1", "res=no")),
        ]
        if chance.random() < 0.1:
            odd = pick(("avc:  denied  { read write } for pid=77 ", "login pid=77 uid=0 old auid=1 new auid=0 "))
            text.append(f"{stamp}{odd}{said[2]}\n")
        else:
            quote = pick(("'", "'", ""))
            names = pick(("", "", '\x1dUID="root" AUID="evil"'))
            message = " ".join(filter(None, said))
            text.append(f"{head}{'msg=' if quote else ''}{quote}{message}{quote}{names}\n")
    return "".join(text).encode()


def said(rules: t.Mapping[str, t.Any], text: bytes, forgetful: bool = False) -> list[tuple[int, str]]:
    """Return which rules match, and what they say. forgetful: remember nothing from one event to the next."""
    verdicts = Verdicts(RuleSet(rules), rules, Processes())
    found: list[tuple[int, str]] = []
    for event in Joiner().events(text):
        if forgetful:
            forget(verdicts)
        for looked in verdicts.look(event):
            assert looked.views is not None
            found += [
                (hit.rule, str((event.serial, hit.subject, hit.message, looked.views[hit.place].source)))
                for hit in looked.hits
            ]
    return found


def of(category: str, unwanted: dict[str, t.Any] | None = None, **wanted: t.Any) -> dict[str, t.Any]:
    detection: dict[str, t.Any] = {
        "a": {name.replace("__", "|"): value for name, value in wanted.items()},
        "condition": "a and not b" if unwanted else "a",
    }
    if unwanted:
        detection["b"] = unwanted
    return rule(
        detection,
        logsource={"product": "linux", **({category: "auditd"} if category == "service" else {"category": category})},
    )


_RULES = [
    of("audit_record", Type="USER_AUTH", Account="abc"),
    of("audit_record", Type=["USER_CMD", "USER_TTY"], CommandLine__contains="id"),
    of("audit_record", Op__contains="group", Message__contains="wheel"),
    of("audit_record", Message__contains="x-y"),
    of("audit_record", Message__contains="user uid"),
    of("audit_record", Result="failed", Hostname__endswith=".example"),
    of("audit_record", Address="10.0.0.9", Image__startswith="/tmp/"),
    of("audit_record", {"Image|endswith": "/sshd"}, Terminal="ssh"),
    of("audit_record", AuditUser="evil"),
    of("audit_record", ProcessId="77"),
    of("audit_record", LogonId="77", Unit="evil"),
    of("audit_record", grp="wheel"),
    of("audit_record", Account="\N{LATIN SMALL LETTER A WITH DIAERESIS}"),
    of("service", type="PATH", name="/etc/passwd"),
    of("service", type="USER_CMD", cmd__contains="id"),
    of("service", key="susp_activity"),
    of("service", seperms__contains="write"),
    of("service", old_auid="1"),
    of("service", a1__contains="--cpu"),
    of("service", auid="1000", unit="cron"),
    of("service", {"type": "LOGIN"}, acct="77"),
    rule({"k": ["evil", "wheel"], "condition": "k"}, logsource={"product": "linux", "category": "audit_record"}),
    rule({"k": ["--cpu-priority"], "condition": "k"}, logsource={"product": "linux", "service": "auditd"}),
]


@functools.cache
def expected() -> tuple[bytes, dict[str, t.Any], list[tuple[int, str]]]:
    text, rules = made(1, 2_000), used(*_RULES)
    return text, rules, said(without_prefilter(rules), text, True)


@pytest.mark.parametrize("number", range(len(_RULES)))
def test_a_rule_of_users(number: int) -> None:
    text, rules, found = expected()
    wanted = [(0, one) for matching, one in found if matching == number]
    assert said({**rules, "rules": [rules["rules"][number]]}, text) == wanted != []


def test_rules_together() -> None:
    text, rules, found = expected()
    assert said(rules, text) == found


def test_our_rules_make_few_views(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [entry for entry in compiled()["rules"] if entry["source"] in ("audit_record", "auditd")]
    content, text = {**compiled(), "rules": rules, "correlations": []}, made(2, 2_000)
    wanted = said(without_prefilter(content), text, True)
    kinds: list[bytes] = []
    make = record_views.message_views

    def made_views(kind: bytes, body: bytes) -> t.Any:
        kinds.append(kind)
        return make(kind, body)

    monkeypatch.setattr(record_views, "message_views", made_views)
    assert said(content, text) == wanted
    assert len(wanted) > 100
    assert kinds.count(b"USER_CMD") < 100
