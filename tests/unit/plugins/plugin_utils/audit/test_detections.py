# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content for hosts: put together from the collection's and the user's files, and compiled once."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.views import fields_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma import compiler, selection

from tests.support.sigma import rule, used

DETECTION = {"s": {"Image|endswith": "/x"}, "condition": "s"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(path: pathlib.Path, *rules: t.Mapping[str, t.Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump_all(rules))
    return str(path)


def engine(content: detections.Content) -> RuleSet:
    return RuleSet(_payload.unpack(content.payload))


def test_the_collection_s_own_rules_are_all_used() -> None:
    content = detections.load()
    assert content.problems == ()
    own = engine(content)
    assert len(own) >= content.rules > 100
    reported = [own.rule(number) for number in range(len(own)) if not own.rule(number).component]
    assert all(each.alert != "audit_sigma_match" for each in reported)


def test_rules_come_from_files_and_directories(tmp_path: pathlib.Path) -> None:
    one = write(tmp_path / "one.yml", rule(DETECTION, title="One"))
    write(tmp_path / "more" / "deep" / "two.yml", rule(DETECTION, title="Two"), rule(DETECTION, title="Three"))
    content = detections.load([one, str(tmp_path / "more"), str(tmp_path)], own_rules=False)
    found = engine(content)
    assert [found.rule(number).title for number in range(len(found))] == ["One", "Two", "Three"]


def test_each_platform_has_its_own_rules(tmp_path: pathlib.Path) -> None:
    windows = {"product": "windows", "category": "process_creation"}
    # Linux has no such field, so that it can't be loaded there.
    detection = {"s": {"OriginalFileName": "x"}, "condition": "s"}
    path = write(tmp_path / "w.yml", rule(detection, title="W", logsource=windows), rule(DETECTION, title="L"))
    for platform, title in (("windows", "W"), ("linux", "L")):
        content = detections.load([path], own_rules=False, platform=platform)
        assert (content.rules, content.foreign, content.problems) == (1, 1, ())
        assert engine(content).rule(0).title == title
    assert detections.load(platform="windows").foreign == 0


def test_a_broken_file_is_named_and_the_rest_is_used(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "good.yml", rule(DETECTION))
    (tmp_path / "bad.yml").write_text("title: [\n")
    content = detections.load([str(tmp_path)], own_rules=False)
    assert content.rules == 1
    (problem,) = content.problems
    assert problem.startswith(f"{tmp_path}/bad.yml, line 2: no valid YAML: ")


@pytest.mark.parametrize(("name", "message"), [("absent", "No such file"), ("empty", "there is no .yml file below")])
def test_a_path_without_rules_is_an_error(tmp_path: pathlib.Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ContentError, match=message):
        detections.load([str(tmp_path / name)])


def test_it_is_compiled_once_until_something_changes(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def counted(*arguments: t.Any) -> t.Any:
        compiled.append(arguments)
        return original(*arguments)

    original = compiler.compile_rules
    monkeypatch.setattr(compiler, "compile_rules", counted)
    path = write(tmp_path / "one.yml", rule(DETECTION))
    bad = tmp_path / "list.txt"
    bad.write_text("192.0.2.1\nno entry\n")
    first = detections.load([path], [{"path": str(bad)}], own_rules=False)
    assert detections.load([path], [{"path": str(bad)}], own_rules=False) == first
    assert len(compiled) == 1
    assert len(first.problems) == 1
    write(tmp_path / "one.yml", rule(DETECTION, title="Changed"))
    assert detections.load([path], [{"path": str(bad)}], own_rules=False) != first
    bad.write_text("192.0.2.2\n")
    assert detections.load([path], [{"path": str(bad)}], own_rules=False).problems == ()
    assert detections.load([path], [{"path": str(bad), "name": "other"}], own_rules=False).threats == 1
    assert len(compiled) == 4


def test_a_reader_gets_the_rules_of_its_sources(tmp_path: pathlib.Path) -> None:
    sign_in = {"product": "linux", "category": "sign_in"}
    path = write(
        tmp_path / "rules.yml",
        rule(DETECTION, title="Process"),
        rule(DETECTION, title="Failed", name="failed", logsource=sign_in),
        {
            "title": "Many",
            "correlation": {"type": "event_count", "rules": ["failed"], "timespan": "1m", "condition": {"gte": 2}},
        },
    )
    addresses = tmp_path / "list.txt"
    addresses.write_text("192.0.2.1\nexample.org\n" + "a" * 31 + "0\n")
    given: tuple[list[str], list[str]] = ([path], [str(addresses)])
    signs = engine(detections.load(*given, own_rules=False, sources=detections.SIGN_IN_SOURCES))
    assert signs.sources == {"sign_in"}
    assert signs.match("sign_in", {"SourceIp": "192.0.2.1", "Image": "/x"}) == (0, 2)
    assert signs.rule(3).title == "Many"
    events = engine(detections.load(*given, own_rules=False, sources=detections.EVENT_SOURCES))
    assert "sign_in" not in events.sources
    assert [events.rule(number).correlation for number in range(len(events))] == [False] * len(events)


def test_the_two_readers_together_have_every_source() -> None:
    everything = engine(detections.load())
    assert everything.sources <= detections.SIGN_IN_SOURCES | detections.EVENT_SOURCES
    assert not detections.SIGN_IN_SOURCES & detections.EVENT_SOURCES


def test_a_correlation_across_readers_is_in_none() -> None:
    compiled = used(
        rule(DETECTION, name="process"),
        rule(DETECTION, name="sign", logsource={"product": "linux", "category": "sign_in"}),
        {"title": "Both", "correlation": {"type": "temporal", "rules": ["process", "sign"], "timespan": "1m"}},
    )
    assert len(selection.for_sources(compiled, {"sign_in", "process_creation"})["correlations"]) == 1
    assert selection.for_sources(compiled, {"sign_in"})["correlations"] == []


@pytest.mark.parametrize("content", ["", "no base64!", "AAAA", "eJyLjgUAARUAuQ=="])
def test_a_payload_that_is_none_is_refused(content: str) -> None:
    with pytest.raises(ValueError, match="the option _content is for the collection's own use"):
        _payload.unpack(content)


@pytest.mark.parametrize("source", ["audit_record", "auditd", "log"])
def test_the_fields_of_records_are_whatever_they_have(source: str) -> None:
    assert fields_of(source) is None
    assert "DestinationIp" in (fields_of("network_connection") or ())
