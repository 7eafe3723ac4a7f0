# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each thing that Sigma has in a detection means, from the rule's text to the host's answer."""

from __future__ import annotations

import base64
import concurrent.futures
import re
import signal
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sigma import conditions
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.index import Lookup

from tests.support.sigma import matches, rule, unfiltered, used

# A source whose records have fields of their own, so that a rule may name any.
ANY_FIELDS = {"product": "linux", "category": "audit_record"}
COMMAND = "/usr/bin/curl -s http://example.org/A.sh"
VIEW = {
    "Image": "/usr/bin/curl",
    "CommandLine": COMMAND,
    "User": "root",
    "ProcessId": 42,
    "Argv": ["curl", "-s", "http://example.org/A.sh"],
    "DestinationIp": "10.1.2.3",
    "Empty": "",
    "ParentUser": "ROOT",
}


def selects(item: t.Mapping[str, t.Any], view: t.Mapping[str, t.Any] | None = None, **lists: t.Sequence[str]) -> bool:
    tried = rule({"selection": item, "condition": "selection"}, logsource=ANY_FIELDS)
    return matches(tried, VIEW if view is None else view, lists)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("Image", "/usr/bin/curl", True),
        ("Image", "/USR/BIN/CURL", True),
        ("Image", "curl", False),
        ("Image|endswith", "/curl", True),
        ("Image|endswith", "/url", False),
        ("Image|endswith", "bin/curl", True),
        ("Image|endswith", "/bin/curl", True),
        ("Image|endswith", "/sbin/curl", False),
        ("Image|startswith", "/usr/", True),
        ("Image|startswith", "/bin/", False),
        ("CommandLine|contains", "EXAMPLE", True),
        ("CommandLine|contains", "examples", False),
        ("CommandLine|contains", ["wget", "curl"], True),
        ("CommandLine|contains|all", ["wget", "curl"], False),
        ("CommandLine|contains|all", ["http", "curl"], True),
        ("CommandLine|contains", " ", True),
        ("CommandLine|contains", "-s", True),
        ("CommandLine|contains", "-x", False),
        ("CommandLine", "*curl*http*", True),
        ("CommandLine", "curl*http*", False),
        ("CommandLine", "*a?sh", True),
        ("CommandLine", "*a?sh?", False),
        ("CommandLine", "*", True),
        ("Missing", "*", False),
        ("CommandLine|contains", "curl*a?SH", True),
        ("CommandLine|contains|cased", "A.sh", True),
        ("CommandLine|contains|cased", "a.sh", False),
        ("Image|cased", "/usr/bin/curl", True),
        ("Image|cased", "/usr/bin/Curl", False),
        ("Image|endswith|cased", "/Curl", False),
        ("CommandLine|cased", "*A?sh", True),
        ("CommandLine|cased", "*a?sh", False),
        ("CommandLine|re", r"curl\s+-\w", True),
        ("CommandLine|re", r"CURL\s+-\w", False),
        ("CommandLine|re|i", r"CURL\s+-\w", True),
        ("CommandLine|re", r"^/usr/bin/(?:wget|curl) .*\.sh$", True),
        ("CommandLine|re", r"^/usr/bin/(?:wget|fetch) .*\.sh$", False),
        ("ProcessId", 42, True),
        ("ProcessId", "42", True),
        ("ProcessId", 4, False),
        ("ProcessId|gt", 41, True),
        ("ProcessId|gt", 42, False),
        ("ProcessId|gte", 42, True),
        ("ProcessId|lt", 42, False),
        ("ProcessId|lt", 42.5, True),
        ("ProcessId|lte", 42, True),
        ("User|gt", 1, False),
        ("User|neq", "root", False),
        ("User|neq", "alice", True),
        ("DestinationIp|cidr", "10.0.0.0/8", True),
        ("DestinationIp|cidr", ["192.168.0.0/16", "10.1.2.0/24"], True),
        ("DestinationIp|cidr", "192.168.0.0/16", False),
        ("Image|cidr", "10.0.0.0/8", False),
        ("User|exists", True, True),
        ("Missing|exists", True, False),
        ("Missing|exists", False, True),
        ("Empty|exists", True, True),
        ("Missing", None, True),
        ("Empty", None, True),
        ("User", None, False),
        ("Empty", "", True),
        ("Missing", "", False),
        ("ParentUser|fieldref", "User", True),
        ("CommandLine|fieldref|startswith", "Image", True),
        ("CommandLine|fieldref|endswith", "Image", False),
        ("CommandLine|fieldref|contains", "Image", True),
        ("User|fieldref", "Missing", False),
        ("Argv", "-s", True),
        ("Argv", "-S", True),
        ("Argv|cased", "-S", False),
        ("Argv|contains|all", ["curl", "example"], True),
        ("Argv|re", "^-s$", True),
        ("CommandLine|windash|contains", " /s ", True),
        ("CommandLine|windash|contains", " -x ", False),
    ],
)
def test_a_field(field: str, value: t.Any, expected: bool) -> None:
    assert selects({field: value}) is expected


def test_a_wildcard_is_literal_behind_a_backslash() -> None:
    assert selects({"CommandLine|contains": r"rm \*"}, {"CommandLine": "rm *"})
    assert not selects({"CommandLine|contains": r"rm \*"}, {"CommandLine": "rm x"})
    assert selects({"CommandLine|contains": r"a\b"}, {"CommandLine": r"a\b"})


def test_wildcards_span_lines() -> None:
    assert selects({"CommandLine": "a*z"}, {"CommandLine": "a\nz"})


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_base64offset_finds_a_text_wherever_it_begins(offset: int) -> None:
    encoded = base64.b64encode(b"x" * offset + b"/bin/bash -i").decode()
    assert selects({"CommandLine|base64offset|contains": "/bin/bash"}, {"CommandLine": f"echo {encoded}"})
    assert not selects({"CommandLine|base64offset|contains": "/bin/zsh"}, {"CommandLine": f"echo {encoded}"})


def test_base64_and_wide() -> None:
    wide = base64.b64encode("ls".encode("utf-16-le")).decode()
    assert selects({"CommandLine|wide|base64|contains": "ls"}, {"CommandLine": f"x {wide} y"})
    assert selects({"CommandLine|base64|contains": "id"}, {"CommandLine": "aWQ="})


def test_a_dash_of_any_form() -> None:
    for dash in "-/\u2013\u2014\u2015":
        assert selects({"CommandLine|windash|contains": " -s "}, {"CommandLine": f"curl {dash}s x"})


def test_a_list_of_the_collection_is_put_in() -> None:
    item = {"Image|endswith|expand": "%shells%"}
    assert selects(item, {"Image": "/bin/zsh"}, shells=["/bash", "/zsh"])
    assert not selects(item, {"Image": "/bin/fish"}, shells=["/bash", "/zsh"])


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_an_address_in_ipv6_s_clothes(address: str) -> None:
    assert selects({"DestinationIp|cidr": "10.0.0.0/8"}, {"DestinationIp": address})


def test_an_ipv6_network() -> None:
    assert selects({"DestinationIp|cidr": "fe80::/10"}, {"DestinationIp": "fe80::1%eth0"})
    assert not selects({"DestinationIp|cidr": "fe80::/10"}, {"DestinationIp": "2001:db8::1"})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a", True),
        ("b", False),
        ("not b", True),
        ("a and not b", True),
        ("a and b", False),
        ("a or b", True),
        ("b or (a and not b)", True),
        ("1 of them", True),
        ("all of them", False),
        ("1 of s_*", True),
        ("all of s_*", True),
        ("not 1 of s_*", False),
        (["b", "a"], True),
    ],
)
def test_a_condition(condition: t.Any, expected: bool) -> None:
    detection = {
        "a": {"User": "root"},
        "b": {"User": "alice"},
        "s_1": {"Image|endswith": "/curl"},
        "s_2": {"CommandLine|contains": "http"},
        "condition": condition,
    }
    assert matches(rule(detection), VIEW) is expected


def test_a_list_of_mappings_is_one_of_them() -> None:
    assert selects([{"User": "alice"}, {"User": "root", "Image|endswith": "/curl"}])  # type: ignore[arg-type]
    assert not selects([{"User": "alice"}, {"User": "root", "Image|endswith": "/x"}])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        (["example.org"], True),
        (["EXAMPLE"], True),
        (["nothing", "curl"], True),
        (["nothing"], False),
        (["curl*sh"], True),
        ([42], True),
        ({"|all": ["curl", "example"]}, True),
        ({"|all": ["curl", "nothing"]}, False),
        ({"|re": "A\\.s.$"}, True),
    ],
)
def test_keywords_are_looked_for_in_all_fields(keywords: t.Any, expected: bool) -> None:
    assert matches(rule({"keywords": keywords, "condition": "keywords"}), VIEW) is expected


def test_keywords_of_a_log_are_looked_for_in_its_message_only() -> None:
    detection = {"keywords": ["error"], "condition": "keywords"}
    given = rule(detection, logsource={"product": "linux", "service": "syslog"})
    assert matches(given, {"Message": "an Error", "Program": "x"})
    assert not matches(given, {"Message": "fine", "Program": "error"})


def test_the_fields_that_rules_read_are_told() -> None:
    detection = {
        "a": {"Image|endswith": "/x", "ParentImage|fieldref": "Image"},
        "b": {"Argv|re": "y"},
        "condition": "a or not b",
    }
    payload = used(
        rule(detection, bulwark={"alert": "some_alert", "subject": ["User"]}),
        rule({"k": ["word"], "condition": "k"}, logsource={"product": "linux", "service": "auditd"}),
    )
    engine = RuleSet(payload)
    assert engine.fields("process_creation") == {"Image", "ParentImage", "Argv", "User"}
    assert engine.fields("auditd") == {"*"}
    assert engine.fields("sign_in") == frozenset()
    assert engine.sources == {"process_creation", "auditd"}
    assert engine.match("sign_in", VIEW) == ()


def test_only_the_rules_of_the_source_are_tried() -> None:
    detection = {"s": {"User": "root"}, "condition": "s"}
    other = rule(detection, logsource={"product": "linux", "category": "process_failed"})
    engine = RuleSet(used(rule(detection), other))
    assert engine.match("process_creation", VIEW) == (0,)
    assert engine.match("process_failed", VIEW) == (1,)


def test_bytes_that_are_no_text_are_no_reason_to_miss() -> None:
    command = b"/bin/sh -c \xff\xfe curl http://x".decode("utf-8", "surrogateescape")
    assert selects({"CommandLine|contains": "curl http"}, {"CommandLine": command})
    assert selects({"CommandLine|re": r"curl http"}, {"CommandLine": command})


@pytest.mark.parametrize("size", [4, 5, 63, 64, 65, 127, 128, 129, 5000])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_text_is_found_at_every_place(size: int, place: str) -> None:
    before = {"first": 0, "middle": (size - 4) // 2, "last": size - 4}[place]
    command = "." * before + "nEdL" + "." * (size - 4 - before)
    assert selects({"CommandLine|contains": "NedL"}, {"CommandLine": command})
    # With few groups of characters each is looked for, with many all of the text's are.
    for grams in (1, 200):
        lookup = Lookup()
        lookup.add("gram", "nedl", 7)
        for number in range(1, grams):
            lookup.add("gram", "%04d" % number, number + 7)
        lookup.seal()
        assert lookup.candidates(command.lower()) == {7}
        assert lookup.candidates(command.lower().replace("nedl", "nedx")) == frozenset()


def test_a_rule_says_the_same_of_the_first_event_of_a_program_and_of_the_hundredth() -> None:
    detections: list[dict[str, t.Any]] = [
        {"s": {"Image|endswith": "/curl", "CommandLine|contains": "-s"}, "condition": "s"},
        {"s": {"Image|endswith": "/curl"}, "f": {"CommandLine|contains": "-s"}, "condition": "s and not f"},
        {"a": {"Image": "/bin/sh"}, "b": {"User": "root"}, "condition": "a or b"},
        {"a": {"Image|re": "curl"}, "b": {"User|exists": True}, "condition": "not a or b"},
        {"a": {"Image": "/bin/sh"}, "b": {"ParentImage|fieldref": "Image"}, "condition": "not (a or b)"},
        {"a": {"Image|contains": "u"}, "b": {"Image|exists": True}, "condition": "a and b"},
        {"s": {"User": "root"}, "condition": "s"},
    ]
    views: list[dict[str, t.Any]] = [
        {"Image": image, "CommandLine": line, "User": user, "ParentImage": parent}
        for image in ("/usr/bin/curl", "/bin/sh", "/usr/bin/CURL", None, ("/bin/sh", "/x"))
        for line in ("curl -s", "sh -x")
        for user in ("root", None)
        for parent in ("/bin/sh", "/usr/bin/curl")
    ]
    payload = used(*map(rule, detections))
    engine, seen = RuleSet(payload), set()
    for _again in range(4):
        for view in views:
            first = RuleSet(payload).match("process_creation", view)
            assert engine.match("process_creation", view) == first
            seen.update(first)
    assert seen == set(range(len(detections)))


def test_a_rule_that_only_an_older_python_refuses_is_named_there() -> None:
    payload = used(
        rule({"s": {"Image|re": "x"}, "condition": "s"}, title="Odd"), rule({"s": {"Image": "x"}, "condition": "s"})
    )
    payload["rules"][0]["condition"] = ["regex", "Image", [["(", ""]]]
    del payload["rules"][0]["prefilter"]
    engine = RuleSet(payload)
    assert engine.match("process_creation", {"Image": "x"}) == (1,)
    (problem,) = engine.problems
    assert problem.startswith("rule 'Odd' has a regular expression that the host's Python can't use: ")


@pytest.mark.parametrize("pattern", ["x(?>y", "x*+(", "a|(?P<x", r"\p(", "x(?i:y"])
def test_what_only_some_pythons_take_is_named_without_an_event(pattern: str) -> None:
    payload = used(rule({"s": {"Image|re": "x"}, "condition": "s"}, title="Odd"))
    payload["rules"][0]["condition"] = ["regex", "Image", [[pattern, ""]]]
    (problem,) = RuleSet(payload).problems
    assert problem.startswith("rule 'Odd' has a regular expression that the host's Python can't use: ")


def test_a_regular_expression_is_compiled_for_the_first_text_that_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = used(
        rule({"s": {"CommandLine|re": r"^(?:\S*/)?curl\s(?!-V)"}, "condition": "s"}),
        rule({"s": {"CommandLine|contains": "x y", "Image|endswith": "/z"}, "condition": "s"}),
    )
    patterns = []

    def compiled(pattern: str, _flags: str) -> re.Pattern[str]:
        patterns.append(pattern)
        return re.compile(pattern)

    monkeypatch.setattr(conditions, "compiled", compiled)
    engine = RuleSet(payload)
    assert engine.match("process_creation", {"CommandLine": "x y", "Image": "/z"}) == (1,)
    assert not patterns
    assert engine.match("process_creation", {"CommandLine": "/bin/curl x"}) == (0,)
    assert engine.match("process_creation", {"CommandLine": "/bin/curl y"}) == (0,)
    assert len(patterns) == 1


def test_another_version_s_form_is_refused() -> None:
    with pytest.raises(ValueError, match="version 2, and this reads 1"):
        RuleSet({"version": 2, "rules": []})


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"nft\s+(.*\s)?(flush\s+ruleset|delete\s+table)", "nft " + "\t" * 100_000),
        (r"(a+)+b", "a" * 5000),
        (r"(.*x.*)*y", "x" * 5000),
        (r"sh .*sh .*sh .*end", "sh " * 50_000),
    ],
)
def test_a_text_that_is_made_to_take_for_ever_does_not(pattern: str, text: str) -> None:
    slow = rule({"s": {"CommandLine|re": pattern}, "condition": "s"}, title="Slow")
    other = rule({"s": {"CommandLine|contains": text[:2]}, "condition": "s"})
    engine = unfiltered(used(slow, other))
    began = time.process_time()
    assert engine.match("process_creation", {"CommandLine": text}) == (1,)
    assert time.process_time() - began < 1
    (problem,) = engine.problems
    assert problem.startswith("rule 'Slow' took too long for 1 events, and was not matched with them")
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
    assert signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL


def test_who_does_it_again_and_again_gets_less_time() -> None:
    engine = unfiltered(used(rule({"s": {"CommandLine|re": "(a+)+b"}, "condition": "s"})))
    view = {"CommandLine": "a" * 5000}
    for _time in range(10):
        assert engine.match("process_creation", view) == ()
    began = time.process_time()
    for _time in range(20):
        assert engine.match("process_creation", view) == ()
    assert time.process_time() - began < 0.6
    assert "for 30 events" in engine.problems[0]


def test_a_long_text_is_searched_to_its_end() -> None:
    engine = RuleSet(used(rule({"s": {"CommandLine|re": "(curl|wget) .*pass$"}, "condition": "s"})))
    assert engine.match("process_creation", {"CommandLine": "x" * 500_000 + "curl pass"}) == (0,)
    assert engine.problems == []


def test_outside_of_the_main_thread_nothing_is_timed() -> None:
    engine = RuleSet(used(rule({"s": {"CommandLine|re": "(curl|wget) .*pass$"}, "condition": "s"})))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        view = {"CommandLine": "x" * 5_000 + "curl pass"}
        assert pool.submit(engine.match, "process_creation", view).result() == (0,)


def test_an_event_without_what_its_rule_names_is_about_who_did_it_with_what() -> None:
    named = rule(
        {"selection": {"User": "*"}, "condition": "selection"},
        bulwark={"alert": "some_alert", "subject": ["TargetFilename"]},
    )
    engine = RuleSet(used(named))
    assert engine.subject(0, {"User": "root", "Image": "/usr/bin/tar"}) == "root /usr/bin/tar"
    assert engine.subject(0, {"User": "root", "Image": "/bin/a", "TargetFilename": "/srv/x"}) == "/srv/x"
