# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of containers: what an operator needs, and no secret."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import facts, inventory
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Container, Engine, Image

_DAY = 86_400
_INSPECT: dict[str, t.Any] = {
    "Created": "2026-11-01T10:00:00.123456789Z",
    "Image": "sha256:1",
    "State": {"Status": "running", "StartedAt": "2026-11-02T10:00:00Z"},
    "Config": {
        "Image": "shop:2",
        "User": "",
        "Env": ["PASSWORD=hunter2", "PATH=/bin", "EMPTY"],
        "Labels": {"com.docker.compose.project": "shop"},
    },
    "HostConfig": {
        "NetworkMode": "host",
        "Privileged": True,
        "CapAdd": ["SYS_ADMIN"],
        "PidMode": "host",
        "SecurityOpt": ['seccomp={"defaultAction": "SCMP_ACT_ALLOW"}', "apparmor=unconfined"],
        "Devices": [{"PathOnHost": "/dev/sda"}],
    },
    "Mounts": [{"Type": "bind", "Source": "/", "Destination": "/host", "RW": True}],
    "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "443/tcp": None}},  # noqa: S104
}
_IMAGE = Image("sha256:1", ("shop:2",), {"RepoDigests": ["r/shop@sha256:abc"], "Created": "2026-10-01T00:00:00Z"})


def _entry(inspect: t.Any, *images: Image, name: str = "web") -> dict[str, t.Any]:
    engine = Engine(
        "unix:///run/docker.sock",
        facts.RUNNING,
        containers=(Container("c" * 64, name, inspect, True),),
        images=images,
    )
    now = inventory.seconds("2026-11-29T00:00:00Z")
    assert now is not None
    (entry,) = inventory.containers([engine], now)
    return entry


def test_a_container_is_told_with_what_matters_of_it() -> None:
    assert _entry(_INSPECT, _IMAGE) == {
        "engine": "unix:///run/docker.sock",
        "id": "c" * 64,
        "name": "web",
        "state": "running",
        "created": inventory.seconds("2026-11-01T10:00:00Z"),
        "started": inventory.seconds("2026-11-02T10:00:00Z"),
        "image": "shop:2",
        "image_id": "sha256:1",
        "image_digest": "sha256:abc",
        "image_age_days": 59,
        "user": "root",
        "ports": ["0.0.0.0:8080->80/tcp", "443/tcp"],
        "mounts": [{"type": "bind", "source": "/", "destination": "/host", "writable": True}],
        "network": "host",
        "privileges": [
            "privileged",
            "cap-add SYS_ADMIN",
            "network host",
            "pid host",
            "security-opt seccomp=",
            "security-opt apparmor=unconfined",
            "device /dev/sda",
        ],
        "environment": ["EMPTY", "PASSWORD", "PATH"],
        "managed_by": "compose shop",
        "started_by": None,
        "problem": None,
    }


def test_text_of_a_container_is_printable() -> None:
    odd = "x\x1b[2J\u202e\n\ud800"
    inspect = {
        "Config": {"Image": odd, "User": odd, "Env": [f"{odd}=1"], "Labels": {"com.docker.compose.project": odd}},
        "HostConfig": {"NetworkMode": odd, "CapAdd": [odd], "SecurityOpt": [odd], "Devices": [{"PathOnHost": odd}]},
        "Mounts": [{"Type": odd, "Source": odd, "Destination": odd}],
        "NetworkSettings": {"Ports": {odd: [{"HostIp": odd, "HostPort": odd}]}},
        "State": {"Status": odd},
        "Image": odd,
    }
    text = json.dumps(_entry(inspect, name=odd), ensure_ascii=False)
    assert text.isprintable()
    assert "\u202e" not in text


_SHAPES: t.Sequence[t.Any] = (None, 0, "x", [], {}, [None], [[]], [{}], {"x": None}, {"": [{}]}, True)


@pytest.mark.parametrize("shape", _SHAPES, ids=repr)
def test_answers_of_any_shape_harm_nothing(shape: t.Any) -> None:
    for name in _INSPECT:
        _entry({**_INSPECT, name: shape})
    for part in ("Config", "HostConfig", "State", "NetworkSettings"):
        _entry({**_INSPECT, part: dict.fromkeys([*_INSPECT[part], "Ports", "PortBindings"], shape)})
    image = _IMAGE._replace(inspect={"RepoDigests": shape, "Created": shape})
    _entry(_INSPECT, image)


@pytest.mark.parametrize(
    ("label", "managed_by"),
    [
        ("com.docker.swarm.service.name", "swarm x"),
        ("io.kubernetes.pod.name", "kubernetes x"),
        ("com.hashicorp.nomad.alloc_id", "nomad x"),
        ("maintainer", None),
    ],
)
def test_what_manages_a_container_is_told_by_its_labels(label: str, managed_by: str | None) -> None:
    assert inventory.managed_by({label: "x"}) == managed_by


@pytest.mark.parametrize("text", [None, "", "0001-01-01T00:00:00Z", "2026-13-01T00:00:00Z", "yesterday", 7])
def test_what_is_no_time_is_none(text: t.Any) -> None:
    assert inventory.seconds(text) is None


def test_an_inventory_that_is_too_long_names_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "_MOST_TEXT", 3_000)
    containers = tuple(Container(str(number) * 64, "web%d" % number, _INSPECT, True) for number in range(9))
    found = inventory.containers([Engine("unix:///a", facts.RUNNING, containers=containers)], 0.0)
    assert [entry["name"] for entry in found] == [container.name for container in containers]
    assert found[0]["problem"] is None
    assert (found[-1]["mounts"], found[-1]["problem"]) == ([], "left out, as the inventory of this host is too long")
