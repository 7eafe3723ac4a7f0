# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which views of Windows events a rule's log source stands for, and that each platform gets its own rules."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma import documents, sources, windows_sources
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.compiler import Compilation, compile_rules
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import ForeignError, UnusableError

from tests.support.sigma import KNOWN, rule

WINDOWS = {"product": "windows"}
DETECTION = {"s": {"Image|endswith": "/x"}, "condition": "s"}


def compiled(*rules: dict[str, t.Any], platform: str = sources.WINDOWS) -> Compilation:
    given = [
        documents.Document(f"rule{number}.yml", 1, each, {"logsource": 2}, False) for number, each in enumerate(rules)
    ]
    return compile_rules(given, KNOWN._replace(fields_of=lambda _source: None), {}, platform=platform)


def asked(logsource: dict[str, str]) -> list[sources.Source]:
    parts = (logsource.get("category"), logsource.get("product"), logsource.get("service"))
    return sources.sources_of(*parts, (), sources.WINDOWS)


@pytest.mark.parametrize(
    ("logsource", "names"),
    [
        ({**WINDOWS, "category": "process_creation"}, ["process_creation"]),
        ({"category": "process_creation"}, ["process_creation"]),
        ({**WINDOWS, "category": "file_delete"}, ["file_delete"]),
        ({**WINDOWS, "category": "registry_set"}, ["registry_set"]),
        ({**WINDOWS, "service": "security"}, ["Security"]),
        ({**WINDOWS, "service": "powershell-classic"}, ["Windows PowerShell"]),
        (
            {**WINDOWS, "service": "powershell"},
            ["Microsoft-Windows-PowerShell/Operational", "PowerShellCore/Operational"],
        ),
        ({**WINDOWS, "service": "Contoso-Backup/Admin"}, ["Contoso-Backup/Admin"]),
        ({**WINDOWS, "category": "sign_in"}, ["sign_in"]),
        (WINDOWS, ["event"]),
    ],
)
def test_a_log_source_is_a_view(logsource: dict[str, str], names: list[str]) -> None:
    assert [source.name for source in asked(logsource)] == names
    assert all(source.extra is None and source.word_fields == () for source in asked(logsource))


def test_a_service_narrows_a_category_to_its_channel() -> None:
    (source,) = asked({**WINDOWS, "category": "process_creation", "service": "security"})
    assert (source.name, source.extra) == ("process_creation", ["text", "Channel", "equals", ["security"]])


@pytest.mark.parametrize(
    "logsource",
    [
        {**WINDOWS, "category": "webserver"},
        {**WINDOWS, "service": "unheard-of"},
        {**WINDOWS, "category": "process_creation", "service": "unheard-of"},
        {"service": "auditd"},
        {},
    ],
)
def test_what_no_event_log_has_is_named(logsource: dict[str, str]) -> None:
    with pytest.raises(UnusableError, match="log source: no event log is read for") as raised:
        asked(logsource)
    # A checkout of SigmaHQ's has a hundred such rules, and each of the first is a warning of its own.
    assert len(str(raised.value)) < 220


@pytest.mark.parametrize("product", ["linux", "macos"])
def test_other_systems_are_foreign(product: str) -> None:
    with pytest.raises(ForeignError):
        asked({"product": product, "category": "process_creation"})


def test_each_platform_gets_its_own_rules() -> None:
    both = [rule(DETECTION, title="W", logsource={**WINDOWS, "category": "process_creation"}), rule(DETECTION)]
    for platform, title in ((sources.WINDOWS, "W"), (sources.LINUX, "A rule")):
        compilation = compiled(*both, platform=platform)
        assert [entry["title"] for entry in compilation.payload["rules"]] == [title]
        assert (compilation.foreign, compilation.loaded, compilation.problems) == (1, 1, ())


def test_a_correlation_goes_where_its_rules_go() -> None:
    steps = [
        rule(DETECTION, name=platform, logsource={"product": platform, "category": "process_creation"})
        for platform in sources.PLATFORMS
    ]
    fields = {"type": "event_count", "timespan": "1m", "condition": {"gte": 2}}
    chains = [
        {"title": names[0], "level": "low", "correlation": {**fields, "rules": names}}
        for names in (["linux"], ["windows"])
    ]
    for platform in sources.PLATFORMS:
        compilation = compiled(*steps, *chains, platform=platform)
        assert [entry["title"] for entry in compilation.payload["correlations"]] == [platform]
        assert (compilation.foreign, compilation.loaded, compilation.problems) == (2, 2, ())


def test_a_rule_of_a_channel_calls_the_data_of_an_event_channel() -> None:
    cleared = rule({"s": {"EventID": 104, "Channel": "Security"}, "condition": "s"}, logsource={"service": "system"})
    engine = RuleSet(compiled(cleared).payload)
    view = {"EventID": "104", "Channel": "System", "EventData.Channel": "Security"}
    assert engine.match("System", view) == (0,)
    assert not engine.match("System", {**view, "EventData.Channel": "Application"})
    # Where a service is several channels, it is the channel of the record.
    scripts = rule(
        {"s": {"Channel": "PowerShellCore/Operational"}, "condition": "s"}, logsource={"service": "powershell"}
    )
    assert RuleSet(compiled(scripts).payload).match(
        "PowerShellCore/Operational", {"Channel": "PowerShellCore/Operational"}
    ) == (1,)


@pytest.mark.parametrize("name", ["md5", "imphash", "Imphash", "SHA256"])
def test_the_parts_of_hashes_have_one_spelling_in_views(name: str) -> None:
    given = rule({"s": {name: "aa"}, "condition": "s"}, logsource={**WINDOWS, "category": "image_load"})
    assert RuleSet(compiled(given).payload).match("image_load", {name.upper(): "AA"}) == (0,)


def test_no_name_of_a_channel_is_one_of_another_view() -> None:
    channels = {channel for names in windows_sources.SERVICES.values() for channel in names}
    assert not channels & {*windows_sources.CATEGORIES, *sources.OWN_SOURCES, windows_sources.EVERY_EVENT}
    assert all(names for names in windows_sources.SERVICES.values())
