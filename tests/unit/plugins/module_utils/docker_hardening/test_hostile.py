# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of any shape: each control says what it does not know, passes nothing for it, and never crashes."""

from __future__ import annotations

import copy
import random
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import facts, options
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import judge

from tests.unit.plugins.module_utils.docker_hardening._made import (
    container,
    engine,
    host,
    image,
    judged,
    process,
    recorded,
    swarm,
)
from tests.unit.plugins.module_utils.docker_hardening.test_containers import FAILING

NASTY = "\x1b[31m\u202e{{ 7 * 7 }}<script>alert(1)</script>\ud800\n\x00'\"\\"
DEEP: t.Any = []
for _level in range(500):
    DEEP = [DEEP]
JUNK: tuple[t.Any, ...] = (True, False, 0, -1, 2**80, 1.5, float("nan"), "", NASTY, "host", "container:", [], {}, DEEP)
JUNK += ([None], [[]], [{}], [NASTY] * 3, {"": None}, {NASTY: NASTY}, "x" * 100_000, list(range(5_000)))
WRONG = {
    str: (True, 5, 1.5, None, [], {}, [NASTY]),
    bool: (1, 0, "false", NASTY, None, [], {}),
    int: (True, False, 1.5, "0", NASTY, [], {}),
    list: (True, 5, "CHOWN", {}, {"a": 1}, [5], [None], [[]]),
    dict: (True, 5, "", [], [5], [{}]),
    type(None): (True, "0", 1.5, [], {}),
}
ROUNDS = 400


def _somewhere(chance: random.Random, value: t.Any) -> tuple[t.Any, ...]:
    """Return the path to some value in an answer, none where it is empty."""
    path: tuple[t.Any, ...] = ()
    while isinstance(value, (dict, list)) and value and (not path or chance.random() < 0.7):
        key = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
        path, value = (*path, key), value[key]
    return path


def _replace(source: t.Any, path: tuple[t.Any, ...], value: t.Any, remove: bool = False) -> t.Any:
    result = copy.copy(source)
    if len(path) > 1:
        result[path[0]] = _replace(source[path[0]], path[1:], value, remove)
    elif remove:
        del result[path[0]]
    else:
        result[path[0]] = value
    return result


def _mutated(chance: random.Random, source: t.Any) -> t.Any:
    for _change in range(chance.randint(1, 4)):
        path = _somewhere(chance, source)
        if path:
            source = _replace(source, path, chance.choice(JUNK), remove=chance.random() < 0.2)
    return source if isinstance(source, dict) else {}


def _check(results: t.Sequence[dict[str, t.Any]]) -> None:
    for each in results:
        assert "crashed" not in each["reason"], each
        texts = [each["reason"], each["subject"]] + [text for item in each["evidences"] for text in item.values()]
        assert all("\x1b" not in text and "\u202e" not in text and "\x00" not in text for text in texts), each


@pytest.mark.parametrize("seed", range(4))
def test_no_answer_makes_a_control_crash(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same in each run
    inspect, about = container().inspect, engine(swarm=swarm())
    execs = recorded("execs")
    for _round in range(ROUNDS // 4):
        made = container(NASTY)._replace(inspect=_mutated(chance, inspect), is_running=chance.random() < 0.8)
        made = made._replace(processes=chance.choice(((process(),), (), None)), mounted=chance.choice(((), None)))
        where = about._replace(
            containers=(made, container()),
            info=_mutated(chance, about.info),
            images=(image()._replace(inspect=_mutated(chance, image().inspect)),),
            networks=tuple(_mutated(chance, each) for each in about.networks or ()),
            execs=tuple(_mutated(chance, each) for each in execs),
            swarm=swarm(
                cluster=_mutated(chance, recorded("cluster")),
                nodes=tuple(_mutated(chance, each) for each in recorded("nodes")),
                services=tuple(_mutated(chance, each) for each in recorded("services")),
                state=_mutated(chance, {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": "", "DataPathAddr": ""}),
            ),
        )
        chosen = options.Options(ports=chance.choice((None, ("443",))), image_age=30, sprawl=1)
        facts_of_host = host(where, has_apparmor=chance.random() < 0.5, has_selinux=chance.random() < 0.5)
        _check(judge.judge(facts_of_host, chosen).controls)


@pytest.mark.parametrize(
    ("control", "changes"), [(control, changes) for control, changes, _detail in FAILING if changes]
)
def test_a_value_of_another_type_is_never_passed(control: str, changes: dict[str, t.Any]) -> None:
    bad = container(**changes)
    for key in changes:
        if not key[0].isupper():
            continue
        path = tuple(key.split("__"))
        for depth in range(1, len(path) + 1):
            value: t.Any = bad.inspect
            for name in path[:depth]:
                value = value[name]
            for junk in WRONG[type(value)]:
                wrong = bad._replace(inspect=_replace(bad.inspect, path[:depth], junk))
                result = judged(control, engine(wrong))
                assert result["status"] in ("not_checked", "failed"), (path[:depth], junk, result)
            if path[:depth] != ("State", "Health"):
                missing = bad._replace(inspect=_replace(bad.inspect, path[:depth], None, remove=True))
                status = judged(control, engine(missing))["status"]
                assert status == "not_checked" or path[-1].startswith("Device"), (path[:depth], status)


def test_what_people_chose_is_shown_as_text() -> None:
    device = {"PathOnHost": NASTY, "PathInContainer": NASTY, "CgroupPermissions": NASTY}
    port = {"80/tcp": [{"HostIp": "192.0.2.1", "HostPort": NASTY}]}
    bad = container(
        NASTY,
        Config__Image=NASTY,
        Config__Labels={"com.docker.compose.project": NASTY, "com.docker.compose.service": NASTY},
        HostConfig__Devices=[device],
        HostConfig__CapAdd=[NASTY],
        HostConfig__CgroupParent=NASTY,
        NetworkSettings__Ports=port,
        Mounts=[{"Type": "bind", "Source": "/", "Destination": NASTY, "RW": True, "Propagation": "shared"}],
        mounted=(facts.Mounted(NASTY, ("/",), True),),
    )
    results = judge.judge(host(engine(bad, name=NASTY)), options.Options()).controls
    _check(results)
    assert printable(NASTY) in {item["name"] for each in results for item in each["evidences"]}


def test_thousands_of_containers_are_counted_exactly() -> None:
    one = container(HostConfig__Privileged=True)
    result = judged("docker_container_privileged", engine(*(one._replace(name=f"c{n}") for n in range(2_000))))
    assert (result["count"], result["examined"], len(result["evidences"])) == (2_000, 2_000, 100)
