# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Sigma engine of Windows hosts has the verdicts of the Python engine: golden cases, and generated ones."""

from __future__ import annotations

import contextlib
import ipaddress
import pathlib
import random
import re
import typing as t
import unicodedata

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _secrets
from ansible_collections.bulwark.servers.plugins.module_utils.sigma import wording
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import address_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.correlator import Correlator, Match
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.dotnet import for_dotnet
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.dotnet_conditions import condition_for_dotnet
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.nodes import cheapest_first
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.prefilter import prefilter
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import UnusableError
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.regex_literals import clauses
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import WINDOWS

from tests.support import sigma, sigma_cases
from tests.support.windows import compiler, toolchain
from tests.unit.windows.driver import CSharpError, Driver, call

pytestmark = pytest.mark.requires(*toolchain.MONO)

_HERE = pathlib.Path(__file__).parent
_PROCESSES = {"category": "process_creation"}
_UTILITIES = ("contracts.Secrets", "sigma.RuleSet", "sigma.Correlator")
# What both languages could read in other ways: case, marks, numbers, blanks, joiners, and characters of two units.
_LETTERS = (
    *"abiksABIKS019_-. \\/\n\t",
    *"\x1c\x85\xa0\xb2\xb5\xe4\xc4\u0130\u0131\u017f\u01c5\u0301\u0345\u03a3\u03c2\u03c3\u03bc\u0434\u0414\u0661\u0903",
    *"\u1e9e\u2003\u200b\u200d\u2028\u203f\u2126\u212a\u212b\u2160\u24b6\U00010400\U00010428\U0001d7ce\U0001f600",
)


@pytest.fixture(scope="module")
def driver() -> Driver:
    return Driver(*_UTILITIES, sources=[_HERE / "SigmaScript.cs"])


def _chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same in each run


def script(driver: Driver, function: str, *arguments: t.Any) -> t.Any:
    # Seconds of a processor, and minutes on a machine that does much else.
    (outcome,) = driver.run([call(f"SigmaScript.{function}", *arguments)], seconds=600)
    if outcome.error is not None:
        raise CSharpError(outcome.error, outcome.message)
    return outcome.result


@pytest.mark.parametrize(
    "target",
    [compiler.Target.MONO, pytest.param(compiler.Target.WINDOWS, marks=pytest.mark.requires(*toolchain.WINE))],
)
def test_nodes_have_the_verdicts_of_their_views(target: compiler.Target) -> None:
    cases = sigma_cases.load()
    driver = Driver(*_UTILITIES, sources=[_HERE / "SigmaScript.cs"], target=target)
    verdicts = script(driver, "Verdicts", [case.node for case in cases], [case.views for case in cases])
    labelled = [(case.node, view) for case in cases for view in case.views]
    expected = [verdict for case in cases for verdict in case.expected]
    assert list(zip(labelled, verdicts, strict=True)) == list(zip(labelled, expected, strict=True))


def test_lower_case_is_that_of_python(driver: Driver) -> None:
    lower = script(driver, "LowerCharacters")
    wrong = [
        code
        for code in range(0x110000)
        if not 0xD800 <= code < 0xE000
        and unicodedata.category(chr(code)) != "Cn"
        and (lower[code] or chr(code)) != chr(code).lower()
    ]
    # Python 3.14 has the letters of Garay (Unicode 16), and one letter beside.
    assert [code for code in wrong if code not in (*range(0x10D50, 0x10D66), 0xA7CB, 0xA7CC, 0xA7DA, 0xA7DC)] == []
    chosen = _chance(19)
    texts = ["".join(chosen.choices(_LETTERS, k=chosen.randrange(8))) for _number in range(3000)]
    texts += [f"{before}\u03a3{after}" for before in _LETTERS for after in _LETTERS]
    assert script(driver, "Lower", texts) == [text.lower() for text in texts]


def test_numbers_are_those_of_python(driver: Driver) -> None:
    chosen = _chance(19)
    parts = ("1", "0", "23", "_", ".", "e", "E", "+", "-", " ", "\t", "\x1c", "\xa0", "\u0661", "\U0001d7ce", "\xb2")
    texts = ["".join(chosen.choices(parts, k=chosen.randrange(7))) for _number in range(4000)]
    texts += ["inf", "-Infinity", "+iNF", "infinit", " 1e400", "-1e-400", "1" * 400, "0." + "3" * 900, "1__0", "0x1"]
    expected: list[float | None] = []
    for text in texts:
        expected.append(None)
        with contextlib.suppress(ValueError):
            expected[-1] = float(text)
    assert script(driver, "Numbers", texts) == expected


def test_addresses_are_those_of_python(driver: Driver) -> None:
    chosen = _chance(19)
    parts = (
        "1",
        "0",
        "255",
        "256",
        "01",
        "ffff",
        "abcde",
        "g",
        ".",
        ".",
        ":",
        ":",
        "::",
        "%",
        " ",
        "1.2.3.4",
        "\u0661",
    )
    texts = ["".join(chosen.choices(parts, k=chosen.randrange(1, 12))) for _number in range(4000)]
    texts += [str(ipaddress.ip_address(chosen.getrandbits(bits))) for bits in (32, 128, 40) for _number in range(200)]
    texts += [
        "::ffff:1.2.3.4",
        "::1.2.3.4",
        "1:2:3:4:5:6:1.2.3.4",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        ":::",
        "1::2::3",
    ]
    expected = []
    for text in texts:
        address = address_of(text)
        expected.append(None if address is None else f"{address.max_prefixlen} {int(address):032x}")
    assert script(driver, "ReadAddresses", texts) == expected


_ATOMS = (
    *("a", "k", "s", "i", "S", "\xb5", "\u03c3", "\u0434", "\\.", "\\x41", "\\101", "\\u212a", "\\ ", "\\-"),
    *(".", "\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "\\b", "\\B", "^", "$", "\\A", "\\Z"),
    *(
        "[a-k]",
        "[^a-k]",
        "[\\w-]",
        "[^\\W_]",
        "[\\S]",
        "[^\\S\\n]",
        "[]a]",
        "[a[]",
        "[\\s\\S]",
        "[\xb5-\xe4]",
        "[A-Z\u017f]",
    ),
    *(
        "[^\\x00-\\x7f]",
        "[\\x80-\\U0010ffff]",
        "(?:a|b)",
        "(i)",
        "(?P<name>k)",
        "(?=s)",
        "(?!a)",
        "(?<=a)",
        "(?<!k)",
        "{",
        "}",
    ),
)
_REPEATS = ("", "", "", "", "*", "+", "?", "*?", "++", "{2}", "{,2}", "{1,}", "{x}")


def _pattern(chosen: random.Random) -> tuple[str, str]:
    while True:
        parts = [chosen.choice(_ATOMS) + chosen.choice(_REPEATS) for _number in range(chosen.randrange(1, 5))]
        joint = chosen.choice(("", "", ".*", ".+", "|"))
        pattern = chosen.choice(("", "", "", "(?i)")) + joint.join(parts)
        flags = "".join(flag for flag in "ims" if chosen.random() < 0.25)
        with contextlib.suppress(re.error, UnusableError):
            re.compile(pattern)
            for_dotnet(pattern, flags)
            return pattern, flags


def _python_flags(flags: str) -> int:
    return sum({"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}[flag] for flag in flags)


def test_expressions_find_what_they_find_in_python(driver: Driver) -> None:
    chosen = _chance(19)
    patterns = [_pattern(chosen) for _number in range(1500)]
    texts = ["", "\n", "a\n"]
    for letters in (_LETTERS, "aks i\n"):
        texts += ["".join(chosen.choices(letters, k=chosen.randrange(1, 8))) for _number in range(50)]
    rewritten = [(for_dotnet(pattern, flags), flags) for pattern, flags in patterns]
    results = script(driver, "Search", rewritten, texts)
    for (pattern, flags), (other, _flags), of_texts in zip(patterns, rewritten, results, strict=True):
        search = re.compile(pattern, _python_flags(flags)).search
        again = re.compile(other, _python_flags(flags)).search
        for text, is_there in zip(texts, of_texts, strict=True):
            # Before Python 3.14, \B is not found in an empty text.
            if text == "" and "\\B" in pattern:
                continue
            expected = search(text) is not None
            assert (again(text) is not None, is_there) == (expected, expected), (pattern, flags, other, text)


def test_texts_with_wildcards_find_what_they_find_in_python(driver: Driver) -> None:
    chosen = _chance(19)
    patterns = []
    for _number in range(400):
        parts = (
            chosen.choice((".", ".*", ".*", re.escape(chosen.choice(_LETTERS))))
            for _part in range(chosen.randrange(1, 6))
        )
        patterns.append(chosen.choice(("\\A", "")) + "".join(parts) + chosen.choice(("\\Z", "")))
    texts = ["", *("".join(chosen.choices(_LETTERS, k=chosen.randrange(1, 9))) for _number in range(100))]
    results = script(driver, "SearchWildcards", patterns, texts)
    for pattern, of_texts in zip(patterns, results, strict=True):
        search = re.compile(pattern, re.DOTALL).search
        assert of_texts == [search(text) is not None for text in texts], pattern


def test_compiled_rules_of_windows_match_across_the_ends_of_lines(driver: Driver) -> None:
    expressions = ["a.*b.*c$", "(?i)^A.{3}B", "x++.y", "(?m)^b.*d\\Z", "[\\s\\S]k(?P<n>.)(?P=n)"]
    docs = [
        sigma.rule(
            {"s": {"CommandLine|re": expression}, "condition": "s"}, logsource={"product": "windows", **_PROCESSES}
        )
        for expression in expressions
    ]
    payload = sigma.compiled(*docs, platform=WINDOWS).payload
    assert len(payload["rules"]) == len(expressions)
    views: list[tuple[str, dict[str, t.Any]]] = [
        ("process_creation", {"CommandLine": line})
        for line in ("a\nb\nc", "a\r\nxb", "xx\ny", "a\nb\nd", "\nk\n\n", "abc", "a b\nc\n", "a\nb\nd\n", "x y")
    ]
    engine = RuleSet(payload)
    expected = [[*engine.match(source, view)] for source, view in views]
    originals = [re.compile(expression, re.DOTALL) for expression in expressions]
    assert expected == [
        [number for number, pattern in enumerate(originals) if pattern.search(view["CommandLine"])]
        for _source, view in views
    ]
    assert {number for numbers in expected for number in numbers} == set(range(len(expressions)))
    matches = script(driver, "Match", payload, views)["matches"]
    assert [[number for number, *_rest in of_view] for of_view in matches] == expected


def test_a_slow_expression_is_given_up_for_that_text_only(driver: Driver) -> None:
    slow = {"source": "log", "condition": ["regex", "A", [["(a+)+b", ""]]], "id": "1", "alert": "x", "title": "Slow"}
    quick = {**slow, "title": "Quick", "condition": ["text", "A", "contains", ["a"]]}
    views = [["log", {"A": "a" * 600}], ["log", {"A": "aab"}]]
    result = script(driver, "Match", {"version": 1, "rules": [slow, quick]}, views)
    assert [[match[0] for match in matches] for matches in result["matches"]] == [[1], [0, 1]]
    assert result["given_up"] == 1
    (problem,) = result["problems"]
    assert problem.startswith("rule 'Slow' took too long for 1 events, and was not matched with them: ")


def test_an_expression_that_dotnet_does_not_know_is_named_and_costs_no_other_rule(driver: Driver) -> None:
    wrong = {"source": "log", "condition": ["regex", "A", [["a**", ""]]], "id": "1", "alert": "x", "title": "Wrong"}
    right = {**wrong, "title": "Right", "condition": ["text", "A", "contains", ["a"]]}
    views = [["log", {"A": "a"}], ["log", {"A": "a"}]]
    result = script(driver, "Match", {"version": 1, "rules": [wrong, right]}, views)
    assert [[match[0] for match in matches] for matches in result["matches"]] == [[1], [1]]
    (problem,) = result["problems"]
    assert problem.startswith("rule 'Wrong' has a regular expression that the host's .NET can't use: ")


def test_what_is_not_compiled_is_refused(driver: Driver) -> None:
    rule = {"source": "log", "id": "1", "alert": "x", "title": "A rule"}
    wrong: list[dict[str, t.Any]] = [
        {"version": 2, "rules": []},
        {"rules": []},
        {"version": 1, "rules": [{**rule, "condition": ["odd", "A"]}]},
        {"version": 1, "rules": [{**rule, "condition": ["text", "A", "odd", ["x"]]}]},
        {"version": 1, "rules": [{**rule, "condition": ["exists", "A"], "prefilter": [["odd", "A", ["x"]]]}]},
    ]
    for compiled in wrong:
        with pytest.raises(CSharpError, match="FormatException"):
            script(driver, "Match", compiled, [])


def test_what_the_controller_lets_through_is_read(driver: Driver) -> None:
    node: list[t.Any] = ["and", [["number", "A", "<", 2**63 - 1]]]
    for _level in range(44):
        node = ["and", [["or", [node]]]]
    rule = {"source": "log", "id": "1", "alert": "x", "title": "A rule", "condition": condition_for_dotnet(node)}
    # As deep as a module's option has it, and a list and a case around it.
    result = script(driver, "Match", {"version": 1, "rules": [rule]}, [["log", {"A": "1"}], ["log", {}]])
    assert [len(matches) for matches in result["matches"]] == [1, 0]


def test_a_source_has_the_fields_that_its_rules_read(driver: Driver) -> None:
    rule = {"source": "log", "id": "1", "alert": "x", "title": "A rule", "fields": ["Shown"]}
    node = ["and", [["not", ["same", "A", "B", "equals"]], ["words", [], "contains", ["x"]], ["exists", "C"]]]
    result = script(driver, "Match", {"version": 1, "rules": [{**rule, "condition": node}]}, [["other", {"A": "x"}]])
    assert (result["sources"], sorted(result["fields"]), result["matches"]) == (
        ["log"],
        ["*", "A", "B", "C", "Shown"],
        [[]],
    )


# Generated rules and views: words that are in each other, and characters that have another case.
_WORDS = (
    *(
        "cmd.exe",
        "\\cmd.exe",
        "powershell",
        "\\powershell.exe",
        " -enc ",
        "a",
        "ab",
        "/bin/sh",
        "sh",
        "",
        "\u0130i",
        "\u03a3",
    ),
    *(
        "k\u212a",
        "c:\\windows\\",
        "http://x.example/",
        "10.0.0.1",
        "::1",
        "42",
        "\U0001f600",
        "stra\u00dfe",
        "x y",
        "(*)",
    ),
)
_FIELDS = ("Image", "CommandLine", "User", "N")


class Generator:
    """Makes rules and views of few words, so that many match."""

    def __init__(self, seed: int) -> None:
        self.chosen = _chance(seed)

    def text(self) -> str:
        text = "".join(self.chosen.choices(_WORDS, k=self.chosen.randrange(1, 4)))
        return text.upper() if self.chosen.random() < 0.2 else text

    def view(self) -> dict[str, t.Any]:
        view: dict[str, t.Any] = {}
        for field in _FIELDS:
            kind = self.chosen.random()
            if kind < 0.75:
                view[field] = self.text()
            elif kind < 0.85:
                view[field] = [self.text() for _number in range(self.chosen.randrange(3))]
        return view

    def node(self, depth: int = 2) -> list[t.Any]:
        kind = self.chosen.random()
        if depth and kind < 0.45:
            parts = [self.node(depth - 1) for _number in range(self.chosen.randrange(1, 4))]
            return [self.chosen.choice(("and", "or")), parts]
        if depth and kind < 0.55:
            return ["not", self.node(depth - 1)]
        return self.leaf()

    def leaf(self) -> list[t.Any]:
        field = self.chosen.choice(_FIELDS)
        return self.chosen.choice((self.tested, self.tested, self.tested, self.searched, self.other))(field)

    def tested(self, field: str) -> list[t.Any]:
        test = self.chosen.choice(("equals", "contains", "startswith", "endswith", "like"))
        texts = [self.text() for _number in range(self.chosen.randrange(1, 4))]
        cased = self.chosen.random() < 0.2
        texts = texts if cased else [text.lower() for text in texts]
        if test == "like":
            texts = [f"\\A{re.escape(text)}.*{re.escape(text[:1])}" for text in texts]
        name = f"{test}_cased" if cased else test
        if self.chosen.random() < 0.2:
            return ["words", self.chosen.choice(([], [field])), name, texts]
        return ["text", field, name, texts]

    def searched(self, field: str) -> list[t.Any]:
        pattern = self.chosen.choice(
            ("(?i)cmd.*exe", "\\bsh\\b", "^.{3,9}$", "\\w+\\\\", "[^a-z]{4}", "i", "k+", "\\s-")
        )
        flags = self.chosen.choice(("", "i", "ms"))
        if self.chosen.random() < 0.2:
            return ["patterns", self.chosen.choice(([], [field])), [[pattern, flags]]]
        return ["regex", field, [[pattern, flags]]]

    def other(self, field: str) -> list[t.Any]:
        return self.chosen.choice(
            (
                ["exists", field],
                ["null", field],
                ["number", field, self.chosen.choice(("<", "<=", ">", ">=")), self.chosen.choice((42, 41.5, -1))],
                ["network", field, ["10.0.0.0/8", "::1/128"]],
                ["same", field, self.chosen.choice(_FIELDS), self.chosen.choice(("equals", "contains", "startswith"))],
            )
        )

    def rule(self, number: int) -> dict[str, t.Any]:
        node = cheapest_first(self.node())
        rule: dict[str, t.Any] = {
            "id": str(number),
            "alert": self.chosen.choice(("some_alert", "audit_sigma_match")),
            "title": f"Rule {number}",
            "source": self.chosen.choice(("process_creation", "log")),
            "condition": condition_for_dotnet(node),
        }
        quick = prefilter(node)
        if quick is not None:
            rule["prefilter"] = quick
        if self.chosen.random() < 0.5:
            rule["subject"] = self.chosen.sample(("User", "Image", "None"), k=2)
        if self.chosen.random() < 0.5:
            rule["message"] = "{User} ran {CommandLine} with {Nothing}, {Indicator}"
        return rule


def _shown(rules: RuleSet, view: t.Mapping[str, t.Any], source: str) -> list[list[t.Any]]:
    return [
        [
            number,
            rules.subject(number, view),
            rules.message(number, view),
            [list(each) for each in rules.indicators(number, view)],
        ]
        for number in rules.match(source, view)
    ]


@pytest.fixture
def plain_texts(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    """Let Python show texts as they are, as Windows does with the backslash; nothing else in them needs escaping."""
    monkeypatch.setattr(wording, "printable", lambda text: text)
    wording._clean.cache_clear()
    yield
    wording._clean.cache_clear()


@pytest.mark.usefixtures("plain_texts")
def test_generated_rules_match_the_views_that_they_match_in_python(driver: Driver) -> None:
    generator = Generator(19)
    matched = 0
    for _round in range(4):
        compiled = {"version": 1, "rules": [generator.rule(number) for number in range(150)]}
        sources = generator.chosen.choices(("process_creation", "log"), k=150)
        views = [(source, generator.view()) for source in sources]
        rules = RuleSet(compiled)
        expected = [_shown(rules, view, source) for source, view in views]
        result = script(driver, "Match", compiled, views)
        assert result["matches"] == expected
        assert result["problems"] == []
        matched += sum(map(len, expected))
    assert matched > 5_000


_LIST_WORDS = (
    *(
        "10.0.0.1",
        "10.1.2.3:443",
        "[2001:db8::5]",
        "::ffff:10.0.0.1",
        "1.2.3.4.5",
        "x10.0.0.1",
        "evil.example",
        ".evil.example.",
    ),
    *(
        "a.evil.example",
        "EVIL.example",
        "a" * 32,
        "0" * 64,
        "A" * 32,
        "/tmp/evil.sh",
        "evil.sh",
        "/opt/tmp/evil.sh",
        "'",
    ),
    *("\u0301", "\U0001f600", "\u0661", "=", ",", "dir/x9.bin", "C:\\x\\Dir\\X9.bin", "\x1c", "\u180e", "\xa0"),
    *(
        "C:\\Temp\\Evil.exe",
        '"',
        '"C:\\a b\\evil.exe"',
        "\\\\srv\\s\\e\u0301.exe",
        "c:/temp/evil.exe",
        "evil.exe",
        "\\",
    ),
)


@pytest.mark.usefixtures("plain_texts")
def test_threat_lists_find_what_they_find_in_python(driver: Driver) -> None:
    patterns = {"\\\\temp\\\\.*\\.exe$": "p1", "(?i)X\\d\\.BIN": "p2", ".": "", "EVIL": "p3"}
    entries: dict[str, dict[str, str]] = {
        "address": {"10.0.0.1": "one", "10.0.0.0/8": "net", "2001:db8::/32": "", "::5": "x", "10.1.0.0/16": "small"},
        "domain": {"evil.example": "bad", "example": ""},
        "hash": {"a" * 32: "md5", "0" * 64: "sha256"},
        "name": {
            "EVIL.exe": "a name",
            "C:\\Temp\\evil.exe": "a path",
            "dir\\x9.bin": "",
            "\\\\srv\\s\\e\u0301.exe": "",
            "\\a b\\evil.exe": "",
        },
        "pattern": {for_dotnet(pattern, "is"): note for pattern, note in patterns.items()},
    }
    lists: list[dict[str, t.Any]] = []
    rules = []
    for kind, of_kind in entries.items():
        needed = [[sorted(clause) for clause in clauses(value, "is")] for value in of_kind]
        rules.append(
            {
                "id": kind,
                "alert": "some_alert",
                "title": kind,
                "source": "log",
                "subject": ["Indicator"],
                "message": "{Indicator} is on the list",
                "condition": ["listed", len(lists), ["Image", "CommandLine", "SourceIp"]],
            }
        )
        lists.append({"kind": kind, "name": "A list", "entries": of_kind, "windows": True, "needed": needed})
    compiled = {"version": 1, "rules": rules, "lists": lists}
    chosen = _chance(19)
    views: list[list[t.Any]] = []
    for _number in range(1000):
        words = chosen.choices(_LIST_WORDS, k=chosen.randrange(1, 6))
        view: dict[str, t.Any] = {"CommandLine": chosen.choice((" ", "")).join(words)}
        view["SourceIp"] = chosen.choice(_LIST_WORDS)
        view["Image"] = chosen.choices(_LIST_WORDS, k=2) if chosen.random() < 0.3 else chosen.choice(_LIST_WORDS)
        views.append(["log", view])
    ours = RuleSet(compiled)
    expected = [_shown(ours, view, source) for source, view in views]
    assert sum(map(len, expected)) > 1000
    assert script(driver, "Match", compiled, views)["matches"] == expected


def test_subjects_show_what_could_deceive(driver: Driver) -> None:
    rule = {"source": "log", "id": "1", "alert": "some_alert", "title": "A rule", "condition": ["exists", "User"]}
    long = "x" * 150 + "\U0001f600" * 100
    views = [
        ["log", {"User": "CORP\\ann\u202e\n", "Image": "C:\\x.exe --password=secret"}],
        ["log", {"User": ["a", "b"]}],
        ["log", {"User": long}],
        ["log", {"User": ""}],
    ]
    result = script(driver, "Match", {"version": 1, "rules": [{**rule, "subject": ["User", "Image"]}]}, views)
    first, second, third, fourth = (matches[0][1] for matches in result["matches"])
    assert first == "CORP\\ann<U+202E><U+000A> C:\\x.exe --password=***"
    assert (second, fourth) == ("a b", "A rule")
    assert third == wording._clean(long)


def _correlations(chosen: random.Random) -> dict[str, t.Any]:
    rules = [
        {"id": str(number), "alert": "a", "title": f"R{number}", "source": "log", "condition": ["exists", "A"]}
        for number in range(4)
    ]
    common = {"alert": "a", "title": "C"}
    by_user = [{"name": "User", "fields": ["User", "Account"]}]
    kinds: list[dict[str, t.Any]] = [
        {
            "type": "event_count",
            "operator": "gte",
            "count": 3,
            "parts": [[0, 1]],
            "group": [{"name": "U", "fields": ["User"]}],
        },
        {"type": "event_count", "operator": "eq", "count": 2, "parts": [[0]], "group": [], "component": True},
        {
            "type": "value_count",
            "operator": "gt",
            "count": 2,
            "parts": [[0], [1]],
            "group": by_user,
            "values": ["SourceIp", "A"],
        },
        {"type": "temporal", "parts": [[0], [1]], "group": by_user, "operator": "gte", "count": 2},
        {"type": "temporal_ordered", "parts": [[0], [1], [2, 3]], "group": [], "operator": "gte", "count": 3},
        {"type": "temporal_ordered", "parts": [[0], [1]], "group": by_user, "operator": "gte", "count": 2},
        {
            "type": "temporal",
            "parts": [[0], [1], [2]],
            "group": [],
            "expression": ["and", [["part", 0], ["or", [["part", 1], ["not", ["part", 2]]]]]],
        },
        # Of a correlation.
        {"type": "event_count", "operator": "gte", "count": 2, "parts": [[5]], "group": [], "subject": ["Image"]},
    ]
    correlations = [
        {"id": f"c{number}", "key": f"k{number}", "span": chosen.choice((5, 30)), **common, **kind}
        for number, kind in enumerate(kinds)
    ]
    return {"version": 1, "rules": rules, "correlations": correlations}


def _feeds(chosen: random.Random, count: int) -> list[list[t.Any]]:
    feeds = []
    time = 1000.0
    for _number in range(count):
        time += chosen.choice((0, 0, 0.25, 1, 1, 3, 20))
        late = chosen.choice((0, 0, 0, 0, 2.5, 30, 100))
        names = ("ann", "bob", "x" * 300 + "\U0001f600", ["a", "b"])
        view = {field: chosen.choice(names) for field in ("User", "Account", "A") if chosen.random() < 0.9}
        view["SourceIp"] = f"10.0.0.{chosen.randrange(5)}"
        view["Image"] = chosen.choice(("", "x" * 255 + "\U0001f600\U0001f600"))
        feeds.append([chosen.randrange(4), time - late, view, chosen.random() < 0.02])
    return feeds


def _described(match: Match) -> list[t.Any]:
    view = {name: match.view[name] for name in match.view}
    values = (
        match.first_time,
        match.last_time,
        match.events,
        match.continued,
        list(match.values),
        list(match.evidences),
    )
    return [match.rule, dict(match.group), view, *values]


def test_correlations_are_true_when_they_are_in_python(driver: Driver) -> None:
    seen = 0
    for seed in range(6):
        chosen = _chance(seed)
        compiled = _correlations(chosen)
        feeds = _feeds(chosen, 500)
        correlator = Correlator(compiled)
        expected = []
        for number, time, view, restarts in feeds:
            expected.append([_described(match) for match in correlator.feed(number, time, view)])
            if restarts:
                correlator = Correlator(compiled, correlator.state(time))
        result = script(driver, "Correlate", compiled, feeds)
        assert result["matches"] == expected
        assert result["problems"] == correlator.problems()
        assert result["state"] == correlator.state(feeds[-1][1])
        seen += sum(map(len, expected))
    assert seen > 1000


def test_correlations_forget_the_groups_that_python_forgets(driver: Driver) -> None:
    rule = {"id": "1", "alert": "a", "title": "R", "source": "log", "condition": ["exists", "A"]}
    correlation = {"id": "c", "key": "k", "alert": "a", "title": "C", "span": 1000, "type": "event_count", "count": 2}
    group = [{"name": "User", "fields": ["User"]}]
    compiled = {"version": 1, "rules": [rule], "correlations": [{**correlation, "group": group, "parts": [[0]]}]}
    names = [str(number) for number in range(2100)]
    feeds: list[list[t.Any]] = [[0, 5, {"User": name}, False] for name in [*names, "0", "2099"]]
    correlator = Correlator(compiled)
    expected = [[_described(match) for match in correlator.feed(0, 5, view)] for _rule, _time, view, *_rest in feeds]
    result = script(driver, "Correlate", compiled, feeds)
    assert result["matches"] == expected
    assert result["problems"] == correlator.problems()
    assert [len(matches) for matches in expected[-2:]] == [0, 1]


@pytest.mark.parametrize(
    "state",
    [
        {"version": 2, "correlations": {}},
        {"version": 1},
        {"version": 1, "correlations": {"k0": [["a"]]}},
        {"version": 1, "correlations": {"k0": [[["a"], None, None, [], [["x", 1, "", 1]]]]}},
        {"version": 1, "correlations": [1]},
    ],
)
def test_a_damaged_state_is_refused(driver: Driver, state: dict[str, t.Any]) -> None:
    with pytest.raises(CSharpError, match="FormatException: the state of correlations"):
        script(driver, "Restore", _correlations(_chance(1)), state)


def test_secrets_are_those_of_python(driver: Driver) -> None:
    names = {re.IGNORECASE: "IgnoreCase", re.DOTALL: "Singleline", re.RegexFlag(0): "None"}
    patterns = [*_secrets._PATTERNS, _secrets._ANY]
    expected = [[pattern.pattern, names[re.RegexFlag(pattern.flags) & ~re.UNICODE]] for pattern in patterns]
    assert script(driver, "SecretExpressions") == expected
    texts = [
        "net use /user:x --password=secret",
        "curl -u ann:pw http://x",
        "x",
        "PASSWORD: 'a b'",
        "a\nBEGIN PRIVATE KEY",
    ]
    assert script(driver, "Mask", texts) == [_secrets.masked(text) for text in texts]
