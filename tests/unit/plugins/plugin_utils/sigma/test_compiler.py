# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of rules: what is used, what it says, and what is named because it can't be."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

from tests.support.sigma import compiled, problem, rule, used

DETECTION = {"s": {"Image|endswith": "/x"}, "condition": "s"}
NAMED = rule(DETECTION, name="named")


def correlation(**changes: t.Any) -> dict[str, t.Any]:
    fields = {"type": "event_count", "rules": ["named"], "timespan": "1m", "condition": {"gte": 2}, **changes}
    return {"title": "C", "level": "low", "correlation": {k: v for k, v in fields.items() if v is not None}}


def test_a_user_s_rule_says_its_title_level_and_techniques() -> None:
    given = rule(
        DETECTION,
        id="01234567-89ab-4cde-8f01-23456789abcd",
        tags=["attack.t1059.004", "attack.execution", "attack.t1110.003", "attack.t9999", "cve.2021-44228"],
    )
    found = RuleSet(used(given)).rule(0)
    assert (found.id, found.alert) == ("01234567-89ab-4cde-8f01-23456789abcd", "audit_sigma_match")
    assert (found.title, found.severity, found.source) == ("A rule", "high", "process_creation")
    # One that the catalogue doesn't have counts as the technique above it, and one it has nothing of is left out.
    assert found.techniques == ("T1059.004", "T1110")
    assert not found.component


def test_a_rule_names_its_alert_subject_and_message() -> None:
    own = {"alert": "some_alert", "subject": ["User", "Image"], "message": "{User} ran {Image} {Nothing}"}
    engine = RuleSet(used(rule(DETECTION, bulwark=own)))
    view = {"User": "al\nice", "Image": "/tmp/x"}
    assert engine.rule(0).alert == "some_alert"
    assert engine.subject(0, view) == "al\\nice /tmp/x"
    assert engine.message(0, view) == "al\\nice ran /tmp/x ?"


def test_without_a_subject_it_is_who_and_with_what() -> None:
    engine = RuleSet(used(rule(DETECTION), rule(DETECTION, bulwark={"alert": "some_alert"})))
    view = {"User": "alice", "Image": "/tmp/x", "ProcessId": 7}
    assert [engine.subject(number, view) for number in (0, 1)] == ["A rule: alice /tmp/x", "alice /tmp/x"]
    assert [engine.message(number, view) for number in (0, 1)] == ["A rule", None]
    assert engine.subject(1, {}) == "A rule"


def test_a_step_is_no_finding_by_itself() -> None:
    own = {"alert": "some_alert", "step": True}
    assert RuleSet(used(rule(DETECTION, bulwark=own))).rule(0).component


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (rule(DETECTION, logsource={"product": "linux", "category": "dns"}), "line 2: log source: nothing on a"),
        (rule(DETECTION, logsource={"category": "process_creation", "product": 1}), "line 2: "),
        (rule(DETECTION, logsource=None), "line 1: Sigma rule must have a log source"),
        (rule({"s": {"Image|odd": "x"}, "condition": "s"}), "line 6: Unknown modifier 'odd'"),
        (rule({"ok": {"a": "b"}, "bad": {"Image|re": "("}, "condition": "ok"}), "line 8: Regular expression '('"),
        (rule({"s": {"a": "b"}, "condition": "s and"}), "line 8: "),
        (rule({"s": {"a": "b"}, "condition": "s and t"}), "line 8: Detection 't' not defined in detections"),
        (rule({"s": {"a": "b"}, "condition": "s | count() > 5"}), "line 8: The pipe syntax in Sigma conditions"),
        (rule({"s": {"a": "b"}}), "line 5: Sigma rule must contain at least one condition"),
        (rule({"on": {"a": "b"}, "condition": True}), "line 8: condition is a text; put one like 'on'"),
        (rule({"s": {"a": "b"}, "condition": ["s", 1]}), "line 8: condition is a text"),
        (rule({"s": {"a|cidr": "10.0.0.1/8"}, "condition": "s"}), "line 6: Invalid CIDR expression"),
        (rule({"s": {"a|hour": 3}, "condition": "s"}), "line 5: field a: TimestampPart can't be evaluated"),
        (rule({"s": {"a|expand": "%no%"}, "condition": "s"}), "line 5: there is no list 'no' to expand; there"),
        (rule({"k": ["*"], "condition": "k"}), "line 5: keywords: an empty one is found everywhere"),
        (rule(DETECTION, level="urgent"), "line 9: "),
        (rule(DETECTION, id="1"), "line 10: Sigma rule identifier must be an UUID"),
        (rule(DETECTION, title=None), "line 1: title is missing"),
        (rule(DETECTION, bulwark=[1]), "line 10: bulwark is a mapping"),
        (rule(DETECTION, bulwark={"alarm": "x"}), "line 10: bulwark: 'alarm' is not one of alert, subject, message"),
        (rule(DETECTION, bulwark={"alert": "x"}), "line 11: bulwark: there is no alert 'x' in the catalogue"),
        (rule(DETECTION, bulwark={"subject": "User"}), "line 11: bulwark: subject is a list of field names"),
        (rule(DETECTION, bulwark={"message": 1}), "line 11: bulwark: message is a sentence"),
        (rule(DETECTION, bulwark={"step": 1}), "line 11: bulwark: step is true or false"),
        ({**rule(DETECTION), "action": "global"}, "line 10: collections by action are not supported"),
        ({"title": "F", "logsource": {"product": "linux"}, "filter": {"rules": ["x"], "s": {"a": 1}, "condition": "s"}},
         "line 4: no rule is one that this filter names"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_used_is_named_with_its_line(given: dict[str, t.Any], message: str) -> None:
    assert problem(given, lists={"yes": ["x"]}).startswith(f"rule0.yml, {message}")


@pytest.mark.parametrize(
    ("alert", "level", "severity"),
    [
        ("some_alert", "high", "high"),
        # Without a level: the alert's severity, or, where each of its rules has its own, that of any user's rule.
        ("other_alert", None, "low"),
        ("some_alert", None, "medium"),
        (None, None, "medium"),
    ],
)
def test_a_rule_has_a_severity_with_a_level_and_without(alert: str | None, level: str | None, severity: str) -> None:
    given = rule(DETECTION, level=level, bulwark=None if alert is None else {"alert": alert})
    assert RuleSet(used(given)).rule(0).severity == severity


def test_a_rule_of_the_collection_without_a_title_has_its_alerts() -> None:
    own = compiled(rule(DETECTION, title=None, bulwark={"alert": "some_alert"}), own=True)
    assert [entry["title"] for entry in own.payload["rules"]] == ["Some alert"]


def test_syscalls_are_named_and_not_numbered() -> None:
    audit = {"product": "linux", "service": "auditd"}
    assert "write the name of the call" in problem(rule({"s": {"syscall": 59}, "condition": "s"}, logsource=audit))
    engine = RuleSet(used(rule({"s": {"SYSCALL": "memfd_create"}, "condition": "s"}, logsource=audit)))
    assert engine.match("auditd", {"type": "SYSCALL", "syscall": "memfd_create"}) == (0,)


def test_a_rule_that_cannot_be_used_takes_no_other_down() -> None:
    broken = rule({"s": {"Image|odd": "x"}, "condition": "s"})
    compilation = compiled(broken, NAMED, correlation(), correlation(rules=["absent"]))
    assert compilation.loaded == 2
    assert [str(each).partition(": ")[0] for each in compilation.problems] == ["rule0.yml, line 6", "rule3.yml, line 5"]


@pytest.mark.parametrize("field", ["date", "modified", "author", "references", "tags", "falsepositives", "status"])
def test_what_is_wrong_beside_the_detection_costs_no_detection(field: str) -> None:
    assert len(RuleSet(used(rule(DETECTION, **{field: "2019-31-31 or so"})))) == 1


def test_rules_for_other_systems_are_counted_and_nothing_more() -> None:
    windows = rule(DETECTION, logsource={"product": "windows", "category": "process_creation"})
    compilation = compiled(windows, windows, NAMED)
    assert (compilation.foreign, compilation.loaded, compilation.problems) == (2, 1, ())


def test_the_same_id_twice_is_one_rule() -> None:
    given = rule(DETECTION, id="01234567-89ab-4cde-8f01-23456789abcd")
    compilation = compiled(given, given)
    assert compilation.loaded == 1
    assert str(compilation.problems[0]) == "rule1.yml, line 10: rule0.yml, line 1, has the same id, and is used"


def test_the_collection_s_rules_have_to_name_an_alert_and_known_techniques() -> None:
    assert "bulwark: alert is missing" in problem(rule(DETECTION), own=True)
    given = rule(DETECTION, bulwark={"alert": "some_alert"}, tags=["attack.t9999"])
    assert "the technique T9999 is not in attack.yml" in problem(given, own=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rules": ["absent"]}, "the rule 'absent' that it refers to is missing or can't be used"),
        ({"timespan": "soon"}, "Timespan 'soon' is invalid"),
        ({"timespan": None}, "Sigma correlation rule without timespan"),
        ({"type": "value_sum", "condition": {"gte": 2, "field": "x"}}, "type value_sum can't be evaluated on a host"),
        ({"type": "odd"}, "'odd' is no valid Sigma correlation type"),
        ({"condition": {"lt": 2}}, "condition lt would be true of what has not happened yet"),
        ({"condition": {"gte": 0}}, "condition: a count is a whole number from 1"),
        ({"condition": {"gte": 1.5}}, "condition: a count is a whole number from 1"),
        ({"type": "value_count"}, "Value count correlation rule without field reference"),
        ({"type": "temporal_ordered", "condition": "named"}, "condition: an expression needs the type temporal"),
        ({"group-by": ["a"], "aliases": {"a": {"other": "b"}}}, "alias 'a' names the rule 'other', which is not"),
    ],
)
def test_a_correlation_that_cannot_be_used_is_named(changes: dict[str, t.Any], message: str) -> None:
    assert message in problem(NAMED, correlation(**changes))


def test_correlations_that_go_round_in_a_circle_are_named() -> None:
    one = {**correlation(rules=["two"]), "name": "one"}
    two = {**correlation(rules=["one"]), "name": "two"}
    three = {**correlation(rules=["named"]), "name": "three"}
    compilation = compiled(one, two, three, NAMED)
    assert compilation.loaded == 2
    assert len(compilation.problems) == 2


def test_a_filter_narrows_the_rules_it_names() -> None:
    narrowing = {
        "title": "Not by the backup",
        "logsource": {"product": "linux", "category": "process_creation"},
        "filter": {"rules": ["named"], "backup": {"User": "backup"}, "condition": "not backup"},
    }
    engine = RuleSet(used(NAMED, rule(DETECTION), narrowing))
    assert engine.match("process_creation", {"Image": "/x", "User": "backup"}) == (1,)
    assert engine.match("process_creation", {"Image": "/x", "User": "root"}) == (0, 1)


def test_a_dot_of_an_expression_does_not_stop_where_an_intruder_ends_a_line() -> None:
    engine = RuleSet(used(rule({"s": {"CommandLine|re": "socket.*connect"}, "condition": "s"})))
    assert engine.match("process_creation", {"CommandLine": "import socket\ns.connect()"})
    assert not engine.match("process_creation", {"CommandLine": "connect, then socket"})


def test_compiling_is_the_same_each_time() -> None:
    assert used(NAMED, correlation()) == used(NAMED, correlation())


def test_what_is_quick_to_find_out_is_asked_first() -> None:
    detection = {
        "s": {"AncestorImages": "/y", "CommandLine|re": "x+", "CommandLine|contains": ["a", "b"], "Image": "/x"},
        "f": {"CommandLine|re": "y+"},
        "condition": "not f and s",
    }
    kind, parts = used(rule(detection))["rules"][0]["condition"]
    assert kind == "and"
    assert [(part[0], part[2:3]) for part in parts] == [
        ("text", ["equals"]),
        ("text", ["contains"]),
        ("regex", [[["x+", "s"]]]),
        # What must not be there seldom is; and who is above a process is asked only of what is wanted otherwise.
        ("not", []),
        ("text", ["equals"]),
    ]
