# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging: what a product does counts, one cause is one finding, and a host with the audit daemon alone is quiet."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.edr import entry as entries
from ansible_collections.bulwark.servers.plugins.module_utils.edr import judge
from ansible_collections.bulwark.servers.plugins.module_utils.edr.command_trust import Program
from ansible_collections.bulwark.servers.plugins.module_utils.edr.entry import (
    PROTECTION,
    SCANNER,
    SENSOR,
    SYSTEM,
    Entry,
)
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import (
    BLOCK,
    PASSIVE,
    REDUCED,
    Exclusion,
    Health,
)
from ansible_collections.bulwark.servers.plugins.module_utils.edr.options import Options
from ansible_collections.bulwark.servers.plugins.module_utils.edr.readers import READERS
from ansible_collections.bulwark.servers.plugins.module_utils.edr.system_state import (
    DELETED,
    INTACT,
    REPLACED,
    Pretender,
    Process,
    Seen,
    Unit,
)

from tests.unit.plugins.module_utils.edr import outputs

# 2026-10-03 12:00:00 UTC, two days after the content of the outputs.
NOW = 1_791_028_800.0
RUNNING = Seen(packages={"agent": "1.0"}, processes=[Process(7, "/opt/agent/agentd", INTACT)])
STOPPED = Seen(packages={"agent": "1.0"})
GOOD = Health(product="agent", running=True, real_time=True, mode=BLOCK, onboarded=True, cloud=True, up_to_date=True)


def described(kind: str = PROTECTION, identifier: str = "agent") -> Entry:
    return entries.parse(
        {"products": {identifier: {"title": "Agent", "kind": kind, "programs": ["/opt/agent/agentd"]}}}
    )[0]


def _options(expected: t.Sequence[str], changes: t.Mapping[str, t.Any]) -> Options:
    given: dict[str, t.Any] = {
        "content_age": 7,
        "expiry_days": 30,
        "accepted_exclusions": frozenset(),
        "command_timeout": 10,
        "time_budget": 60,
        "idle": True,
        **changes,
    }
    return Options(expected=tuple(expected), **given)


def alerts(
    health: Health | None = GOOD,
    seen: Seen = RUNNING,
    kind: str = PROTECTION,
    programs: t.Sequence[Program] = (),
    **more: t.Any,
) -> list[str]:
    return [each["alert"] for each in judged(health, seen, kind, programs, **more)]


def judged(
    health: Health | None = GOOD,
    seen: Seen = RUNNING,
    kind: str = PROTECTION,
    programs: t.Sequence[Program] = (),
    expected: t.Sequence[str] = ("any",),
    **changes: t.Any,
) -> list[dict[str, t.Any]]:
    return judge.judge(judge.Product(described(kind), seen, health, programs), _options(expected, changes), NOW)


def test_a_product_that_protects_is_no_finding() -> None:
    assert alerts() == []


def test_healthy_is_not_protected() -> None:
    output = outputs.mdatp(realTimeProtectionEnabled=False, passiveModeEnabled=True, tamperProtection="disabled")
    health = READERS["microsoft_defender"]({"health": output})
    found = judged(health)
    assert [each["alert"] for each in found] == ["edr_protection_off", "edr_tamper_protection_off"]
    assert found[0]["message"] == (
        "Agent does not protect: real-time protection is off and it runs in passive mode. It calls itself healthy."
    )
    assert {each["scope"] for each in found} == {"health"}
    assert {each["subject"] for each in found} == {"agent"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"real_time": False}, ["edr_protection_off"]),
        ({"real_time": False, "mode": REDUCED}, ["edr_reduced"]),
        ({"mode": PASSIVE}, ["edr_passive"]),
        ({"mode": PASSIVE, "real_time": None}, ["edr_passive"]),
        ({"onboarded": False}, ["edr_not_onboarded"]),
        ({"onboarded": False, "cloud": False}, ["edr_not_onboarded"]),
        ({"cloud": False}, ["edr_disconnected"]),
        ({"tamper_protection": False}, ["edr_tamper_protection_off"]),
        ({"up_to_date": False}, ["edr_content_old"]),
        ({"content_time": NOW - 8 * 86_400, "up_to_date": True}, ["edr_content_old"]),
        ({"content_time": NOW - 6 * 86_400, "up_to_date": False}, []),
        ({"expires": NOW + 31 * 86_400}, []),
        ({"expires": NOW + 29 * 86_400}, ["edr_expiring"]),
        ({"conflicts": ["Other"]}, ["edr_conflict"]),
        ({"problems": ["no licence"]}, ["edr_problem"]),
        ({"exclusions": [Exclusion("path", "/srv/db")]}, []),
        ({"exclusions": [Exclusion("path", "/"), Exclusion("path", "/tmp")]}, ["edr_broad_exclusion"]),
    ],
)
def test_each_weakness_is_one_finding(changes: dict[str, t.Any], expected: list[str]) -> None:
    assert alerts(GOOD._replace(**changes)) == expected


@pytest.mark.parametrize("field", [name for name in Health._fields if name != "product"])
def test_what_is_not_known_is_no_finding(field: str) -> None:
    unknown = () if field in ("conflicts", "problems") else {} if field == "details" else None
    assert alerts(GOOD._replace(**{field: unknown})) == []


def test_nothing_known_at_all_is_no_finding() -> None:
    assert alerts(Health(product="agent")) == []
    assert alerts(None) == []


def test_an_expired_product_is_more_serious_than_one_that_will() -> None:
    assert judged(GOOD._replace(expires=NOW - 1))[0]["severity"] == "high"
    assert judged(GOOD._replace(expires=NOW + 1))[0]["severity"] is None


def test_limits_of_zero_days_report_nothing_that_is_only_near() -> None:
    old = GOOD._replace(content_time=NOW - 900 * 86_400, up_to_date=False, expires=NOW + 86_400)
    assert alerts(old, content_age=0, expiry_days=0) == []


def test_an_accepted_exclusion_is_no_finding() -> None:
    health = GOOD._replace(exclusions=[Exclusion("path", "/var/lib")])
    assert alerts(health) == ["edr_broad_exclusion"]
    assert alerts(health, accepted_exclusions=frozenset(["/var/lib"])) == []


def test_a_product_that_does_not_run_has_that_one_finding() -> None:
    broken = GOOD._replace(real_time=False, onboarded=False, tamper_protection=False)
    (found,) = judged(broken, STOPPED)
    assert found["alert"] == "edr_stopped"
    assert found["message"] == "Agent is installed (package agent 1.0) and does not run."


@pytest.mark.parametrize(
    ("kind", "expected", "enabled", "severity"),
    [
        (SENSOR, ["any"], False, "medium"),
        (SENSOR, ["any"], True, None),
        (SENSOR, ["agent"], False, None),
        (PROTECTION, ["any"], False, None),
    ],
)
def test_a_sensor_that_no_boot_starts_is_less_serious_unless_it_is_expected(
    kind: str, expected: list[str], enabled: bool, severity: str | None
) -> None:
    seen = STOPPED._replace(units=[Unit("agent.service", True, False, enabled=enabled)])
    (found,) = judged(GOOD, seen, kind, expected=expected)
    assert (found["alert"], found["severity"]) == ("edr_stopped", severity)
    assert ("as no boot starts it" in found["message"]) is not enabled


def test_a_frozen_product_does_not_run() -> None:
    frozen = RUNNING._replace(processes=[RUNNING.processes[0]._replace(frozen=True)])
    (found,) = judged(GOOD, frozen)
    assert found["alert"] == "edr_stopped"
    # While another process of it works, it does.
    assert alerts(GOOD, frozen._replace(processes=[*frozen.processes, *RUNNING.processes])) == []


def test_a_masked_unit_is_named_with_its_day() -> None:
    masked = STOPPED._replace(units=[Unit("agent.service", True, True, 1_790_985_600.0)])
    (found,) = judged(GOOD, masked)
    assert found["alert"] == "edr_masked"
    assert found["message"] == "Agent cannot start: its unit agent.service is masked since 2026-10-03. It does not run."
    still = RUNNING._replace(units=masked.units)
    assert [each["message"].rpartition(". ")[2] for each in judged(GOOD, still)] == ["It still runs."]
    # One of its other units can start it.
    other = RUNNING._replace(units=[*masked.units, Unit("agent-bpf.service", True, False)])
    assert alerts(GOOD, other) == []


@pytest.mark.parametrize(("state", "severity"), [(DELETED, "high"), (REPLACED, "medium")])
def test_a_program_that_is_not_on_the_disk_is_a_finding(state: str, severity: str) -> None:
    (found,) = judged(GOOD, RUNNING._replace(processes=[Process(7, "/opt/agent/agentd", state)]))
    assert (found["alert"], found["severity"]) == ("edr_program_changed", severity)
    assert found["evidences"][0]["process"]["pid"] == 7


def test_a_process_list_that_cannot_be_read_says_nothing() -> None:
    assert alerts(GOOD, STOPPED._replace(processes_known=False)) == []


def test_a_replaced_command_is_a_finding_whatever_the_product_is() -> None:
    program = Program("/usr/bin/agent", "/usr/bin/agent", "its content is not what the package agent shipped", True)
    for kind in (PROTECTION, SYSTEM):
        (found,) = judged(None, RUNNING, kind, [program])
        assert found["alert"] == "edr_command_untrusted"
        assert found["message"] == (
            "Agent: /usr/bin/agent was not run, as its content is not what the package agent shipped."
        )


def test_a_daemon_that_its_package_did_not_ship_is_a_finding_whatever_the_product_is() -> None:
    """A program that sleeps, in the place of the daemon, has its path and is the file on the disk."""
    wrong = "its content is not what the package agent shipped"
    daemon = Program("/opt/agent/agentd", "/opt/agent/agentd", wrong, True)
    for kind in (PROTECTION, SYSTEM):
        product = judge.Product(described(kind), RUNNING, GOOD, daemons=[daemon])
        (found,) = judge.judge(product, _options(("any",), {}), NOW)
        assert (found["alert"], found["severity"]) == ("edr_program_changed", "high")
        assert found["message"] == f"Agent runs /opt/agent/agentd, but {wrong}."
    # One cause is one finding.
    product = judge.Product(described(), RUNNING, GOOD, programs=[daemon], daemons=[daemon])
    assert [each["alert"] for each in judge.judge(product, _options(("any",), {}), NOW)] == ["edr_command_untrusted"]


def test_a_scanner_has_no_real_time_protection_to_be_off() -> None:
    assert alerts(GOOD._replace(real_time=False, tamper_protection=False), kind=SCANNER) == []
    assert alerts(GOOD._replace(real_time=False), kind=SENSOR) == ["edr_protection_off"]


def test_parts_of_the_system_are_findings_only_where_they_are_expected() -> None:
    off = GOOD._replace(real_time=False, mode=PASSIVE, problems=["lost 3"])
    assert alerts(off, RUNNING, SYSTEM) == []
    assert alerts(off, STOPPED, SYSTEM) == []
    assert alerts(off, RUNNING, SYSTEM, expected=["agent"]) == ["edr_protection_off", "edr_problem"]
    assert alerts(off, STOPPED, SYSTEM, expected=["agent"]) == ["edr_stopped"]


def test_missing_is_what_is_expected_and_not_there() -> None:
    def product(identifier: str, kind: str) -> judge.Product:
        return judge.Product(described(kind, identifier), RUNNING, None)

    auditd, clamav = product("auditd", SYSTEM), product("clamav", SCANNER)
    assert judge.missing([], ["any"]) == ["any"]
    assert judge.missing([auditd], ["any"]) == ["any"], "the audit daemon alone protects nobody"
    assert judge.missing([auditd, clamav], ["any"]) == []
    assert judge.missing([auditd, clamav], ["falco", "clamav"]) == ["falco"]
    assert judge.missing([], []) == []


def test_a_host_with_the_audit_daemon_alone_has_one_finding() -> None:
    auditd = judge.Product(described(SYSTEM), RUNNING, GOOD)
    (found,) = judge.judge_missing(["any"], [auditd], {})
    assert (found["alert"], found["subject"], found["severity"]) == ("edr_missing", "any", "low")
    assert found["message"] == "No endpoint protection is installed. The system has Agent."
    (found,) = judge.judge_missing(["falco"], [], {"falco": "Falco"})
    assert found["message"] == "Falco is not installed. Nothing else watches the host either."
    assert found["severity"] is None, "as severe as the catalogue says"


def test_two_products_that_scan_in_real_time_are_a_conflict() -> None:
    first = judge.Product(described(), RUNNING, GOOD)
    assert judge.conflicting([first]) == []
    (found,) = judge.conflicting([first, first])
    assert found["alert"] == "edr_conflict"
    for change in ({"real_time": False}, {"mode": PASSIVE}):
        assert judge.conflicting([first, first._replace(health=GOOD._replace(**change))]) == []


def test_a_sensor_that_protects_is_in_conflict_as_well_and_a_part_of_the_system_is_not() -> None:
    first = judge.Product(described(), RUNNING, GOOD)
    sensor = first._replace(entry=described(identifier="elastic_agent", kind="sensor"))
    assert len(judge.conflicting([first, sensor])) == 1
    system = first._replace(entry=described(identifier="auditd", kind="system"))
    assert judge.conflicting([first, system]) == []


def test_a_pretender_is_named_with_its_program() -> None:
    pretender = Pretender(9, "wdavdaemon", "/dev/shm/x", 33, trusted=False, hides=True)
    found = judge.judge_pretender(pretender)
    assert found["severity"] is None
    assert judge.judge_pretender(pretender._replace(hides=False))["severity"] == "medium"
    assert (found["alert"], found["subject"]) == ("edr_pretender", "/dev/shm/x")
    assert "of the account 33 is called wdavdaemon" in found["message"]


def test_names_from_outputs_cannot_drive_a_terminal() -> None:
    found = judged(
        GOOD._replace(conflicts=["\x1b[2Jx"], problems=["a\nb"], exclusions=[Exclusion("path", "/tmp/\u202e")])
    )
    assert not [each for each in found if any(ord(char) < 32 or char == "\u202e" for char in each["message"])]
