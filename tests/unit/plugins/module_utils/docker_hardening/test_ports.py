# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports that containers publish, by themselves and by their swarm."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import facts

from tests.unit.plugins.module_utils.docker_hardening._made import container, engine, judged, swarm


@pytest.mark.parametrize(
    ("binding", "mode", "privileged", "everywhere"),
    [
        ({"HostIp": "", "HostPort": "80"}, "bridge", "failed", "failed"),
        ({"HostIp": "127.0.0.1", "HostPort": "80-90"}, "bridge", "failed", "passed"),
        ({"HostIp": "", "HostPort": ""}, "bridge", "passed", "failed"),
        ({"HostIp": "", "HostPort": "80"}, "none", "passed", "passed"),
        ({"HostIp": "", "HostPort": "-80"}, "bridge", "not_checked", "not_checked"),
    ],
)
def test_a_container_that_is_stopped_will_publish_its_ports(
    binding: dict[str, str], mode: str, privileged: str, everywhere: str
) -> None:
    changes = {"HostConfig__PortBindings": {"80/tcp": [binding]}, "HostConfig__NetworkMode": mode}
    where = engine(container(stopped=True, **changes))
    assert judged("docker_container_publishes_privileged_port", where)["status"] == privileged
    assert judged("docker_container_port_on_all_interfaces", where)["status"] == everywhere
    setting = facts.Setting("ip", "127.0.0.1", "file")
    local = judged("docker_container_port_on_all_interfaces", where._replace(settings={"ip": setting}))
    assert local["status"] in ("passed", "not_checked")


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        (None, "manual"),
        ((), "failed"),
        (("8080",), "passed"),
        (("8080/tcp",), "passed"),
        (("8080/udp",), "failed"),
        (("127.0.0.1:8080",), "passed"),
        (("127.0.0.1:8080/tcp",), "passed"),
        (("0.0.0.0:8080",), "failed"),
        (("[::1]:8080",), "failed"),
        (("80",), "failed"),
        (("not a port",), "failed"),
    ],
)
def test_the_operator_says_which_ports_are_needed(wanted: tuple[str, ...] | None, status: str) -> None:
    ports = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}
    where = engine(container(NetworkSettings__Ports=ports))
    assert judged("docker_container_publishes_unneeded_port", where, ports=wanted)["status"] == status


def test_the_swarm_publishes_ports_for_a_container() -> None:
    networks = {"front": {"EndpointID": "5a"}}
    labels = {"com.docker.swarm.service.id": "s1"}
    task = container(NetworkSettings__Networks=networks, Config__Labels=labels)
    port = {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 443, "PublishMode": "ingress"}
    service = {"ID": "s1", "Endpoint": {"Ports": [port, {**port, "PublishMode": "host"}]}}
    manager = engine(task, swarm=swarm(services=(service,)), networks=({"Name": "front", "Ingress": True},))
    for control in ("publishes_privileged_port", "port_on_all_interfaces", "publishes_unneeded_port"):
        result = judged(f"docker_container_{control}", manager, ports=())
        assert [each["detail"] for each in result["evidences"]] == ["0.0.0.0:443/tcp to 80"], result
        worker = manager._replace(swarm=facts.Swarm(True))
        assert judged(f"docker_container_{control}", worker, ports=())["status"] == "not_checked"
        other = manager._replace(networks=({"Name": "front", "Ingress": False},))
        assert judged(f"docker_container_{control}", other, ports=())["status"] == "passed"


def test_a_person_looks_at_ports_in_the_network_of_the_host() -> None:
    where = engine(container(HostConfig__NetworkMode="host"))
    for wanted in (None, ("443",)):
        assert judged("docker_container_publishes_unneeded_port", where, ports=wanted)["status"] == "manual"


def test_a_judgement_depends_on_ports_that_are_not_listed() -> None:
    def digest(last: str) -> t.Any:
        ports = {f"{port}/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(port)}] for port in range(8000, 8011)}  # noqa: S104
        ports["9000/tcp"] = [{"HostIp": "0.0.0.0", "HostPort": last}]  # noqa: S104
        result = judged("docker_container_publishes_unneeded_port", engine(container(NetworkSettings__Ports=ports)))
        assert result["status"] == "manual"
        assert "2 more (" in result["evidences"][0]["detail"]
        return result["digest"]

    assert digest("9000") != digest("9022")
    assert digest("9000") == digest("9000")
