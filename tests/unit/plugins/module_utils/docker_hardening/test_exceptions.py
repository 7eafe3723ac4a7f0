# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exceptions of the operator: what they cover, when they end, and what they never cover."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import collect, facts, options
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import exceptions, judge

from tests.unit.plugins.module_utils.docker_hardening._made import container, engine, host, image, judged

PRIVILEGED = "docker_container_privileged"
COMPOSE = {"com.docker.compose.project": "shop", "com.docker.compose.service": "db"}


def excepted(**values: t.Any) -> options.Excepted:
    patterns = dict.fromkeys(("container", "image", "service", "engine"))
    known = {"control": PRIVILEGED, **patterns, "reason": "why", "until": None}
    return options.Excepted(**{**known, **values})


def privileged(name: str = "agent", **changes: t.Any) -> facts.Container:
    return container(name, HostConfig__Privileged=True, **changes)


@pytest.mark.parametrize(
    "patterns",
    [
        {"container": "agent"},
        {"container": "ag*"},
        {"image": "bb:*"},
        {"image": image().id},
        {"image": "registry.example.com/bb@sha256:5a"},
        {"service": "shop/db"},
        {"service": "shop/*", "container": "agent", "image": image().id},
        {"engine": "unix:///run/docker.sock"},
        {"engine": "unix:*", "container": "agent"},
    ],
)
def test_an_exception_covers_what_all_its_patterns_match(patterns: dict[str, str]) -> None:
    pulled = image()._replace(inspect={"RepoDigests": ["registry.example.com/bb@sha256:5a", None]})
    where = engine(privileged(Config__Labels=COMPOSE), images=(pulled,))
    result = judged(PRIVILEGED, where, exceptions=(excepted(**patterns),))
    assert (result["status"], result["evidences"], result["excepted_count"]) == ("excepted", [], 1)
    assert (result["excepted"][0]["name"], result["excepted"][0]["exception"]) == ("agent", "why")
    assert result["reason"].endswith(" 1 excepted.")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"container": "agen"},
        {"container": "AGENT"},
        {"image": "sha256:" + "5" * 64},
        {"container": "agent", "service": "shop/web"},
        {"engine": "unix:///run/user/*"},
        {"container": "agent", "engine": "unix:///run/user/*"},
        {"container": "agen", "engine": "*"},
        {"container": "agent", "control": "docker_host_ipc_shared"},
        {"container": "agent", "until": "2026-11-28"},
        {"container": "agent", "until": "never"},
    ],
)
def test_an_exception_covers_nothing_else(values: dict[str, str]) -> None:
    where = engine(privileged(Config__Labels=COMPOSE))
    result = judged(PRIVILEGED, where, exceptions=(excepted(**values),))
    assert (result["status"], result["count"], result["excepted"]) == ("failed", 1, [])


def test_an_exception_ends_after_its_last_day_and_that_is_said() -> None:
    last_day = excepted(container="agent", until="2026-11-29"), excepted(container="agent", until="2026-11-30")
    for each in last_day:
        assert judged(PRIVILEGED, engine(privileged()), exceptions=(each,))["status"] == "excepted"
        assert judged(PRIVILEGED, engine(privileged()), exceptions=(each,))["excepted"][0]["until"] == each.until
    over = judged(PRIVILEGED, engine(privileged()), exceptions=(excepted(container="agent", until="2026-11-28"),))
    assert over["reason"].endswith(" An exception ended on 2026-11-28.")


def test_an_item_has_the_end_of_the_exception_that_lasts_longest() -> None:
    short, long = excepted(container="agent", until="2026-12-01"), excepted(container="a*", until="2027-12-01")
    for given, until in (((short, long), "2027-12-01"), ((long, short, excepted(image="*", reason="ever")), "")):
        (item,) = judged(PRIVILEGED, engine(privileged()), exceptions=given)["excepted"]
        assert item["until"] == until


def test_what_is_left_is_judged_by_itself() -> None:
    where = engine(privileged(), privileged("other", stopped=True))
    assert judged(PRIVILEGED, where)["severity"] == "critical"
    result = judged(PRIVILEGED, where, exceptions=(excepted(container="agent"),))
    assert (result["status"], result["severity"]) == ("failed", "high")
    assert [each["name"] for each in result["evidences"]] == ["other"]


def test_a_container_excepts_itself_by_no_label() -> None:
    labels = {"bulwark.exception": PRIVILEGED, "docker_hardening_exceptions": "*", **COMPOSE}
    assert judged(PRIVILEGED, engine(privileged(Config__Labels=labels)))["status"] == "failed"


def test_nothing_is_excepted_that_is_not_known() -> None:
    everything = excepted(container="*")
    unknown = engine(container(problem="it is gone"))
    assert judged(PRIVILEGED, unknown, exceptions=(everything,))["status"] == "not_checked"


def test_what_a_person_decides_can_be_excepted() -> None:
    limited = container(HostConfig__Ulimits=[{"Name": "nofile", "Soft": 1, "Hard": 2}])
    exception = excepted(control="docker_container_ulimit_changed", container="web")
    assert judged("docker_container_ulimit_changed", engine(limited), exceptions=(exception,))["status"] == "excepted"
    # A question without evidence stays one.
    exception = excepted(control="docker_exec_root", container="*")
    assert judged("docker_exec_root", engine(container()), exceptions=(exception,))["status"] == "manual"


@pytest.mark.parametrize("control", ["docker_authorization_missing", "docker_exec_root"])
def test_an_engine_can_be_excepted_from_a_control_that_is_about_no_container(control: str) -> None:
    unset = {"authorization-plugins": facts.Setting("authorization-plugins", [], "default", [])}
    assert judged(control, engine(container(), settings=unset))["status"] in ("failed", "manual")
    exception = excepted(control=control, engine="unix:///run/docker.sock")
    result = judged(control, engine(container(), settings=unset), exceptions=(exception,))
    assert (result["status"], result["count"]) == ("excepted", 0)
    assert {each["exception"] for each in result["excepted"]} == {"why"}
    other = engine(container(), name="unix:///run/other.sock", settings=unset)
    assert judged(control, other, exceptions=(exception,))["status"] != "excepted"


def unused(*given: options.Excepted, engines: tuple[facts.Engine, ...] = ()) -> str:
    where = host(*(engines or (engine(privileged(), container("web")), engine(name="unix:///run/other.sock"))))
    return exceptions.unused_note(judge.judge(where, options.Options(exceptions=given)).unused)


def test_an_exception_that_covers_nothing_is_named() -> None:
    wrong = excepted(container="agnet"), excepted(image="sha256:0*", engine="unix:*"), excepted(container="web")
    assert unused(excepted(container="agent"), *wrong) == (
        f"The exception of {PRIVILEGED} for the container agnet covers nothing."
        f" The exception of {PRIVILEGED} for the image sha256:0* and the engine unix:* covers nothing."
        f" The exception of {PRIVILEGED} for the container web covers nothing."
    )
    many = unused(*(excepted(container=f"gone{number}") for number in range(7)))
    assert many.count("The exception of ") == 5
    assert many.endswith(" 2 more exceptions cover nothing.")
    long = unused(excepted(container="x" * 5000 + "\n"))
    assert len(long) < 200


def test_an_exception_that_covers_or_may_cover_something_is_not_named() -> None:
    assert unused(excepted(container="agent")) == ""
    assert unused(excepted(container="agent", until="2026-11-28")) == ""
    unknown = (engine(container(problem="it is gone")),)
    assert unused(excepted(container="web"), engines=unknown) == ""
    assert unused(excepted(container="web", engine="tcp:*"), engines=unknown)
    # Where nothing runs, nothing is known; that hides no error about the engine that does.
    stopped = engine(name="unix:///run/stopped.sock", state=facts.STOPPED, containers=None)
    assert unused(excepted(container="agnet"), engines=(engine(privileged()), stopped))
    assert unused(excepted(container="agent"), engines=(engine(privileged()), stopped)) == ""
    given = (excepted(container="web"),)
    assert judge.judge(host(), options.Options(exceptions=given)).unused == []


def test_the_coverage_names_an_exception_that_covers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "read", lambda *_given: host(engine(privileged())))
    params = {name: field.get("default") for name, field in options.collect_spec().items()}
    given = dict.fromkeys((*options.PATTERNS, "until")) | {"control": PRIVILEGED, "reason": "why"}
    wrong = {**given, "container": "agnet"}
    result = collect.collect({**params, "priority": "normal", "exceptions": [wrong]}, False)
    assert result["coverage"][0]["note"] == f"The exception of {PRIVILEGED} for the container agnet covers nothing."
    result = collect.collect({**params, "priority": "normal", "exceptions": [{**given, "container": "agent"}]}, False)
    assert "note" not in result["coverage"][0]
