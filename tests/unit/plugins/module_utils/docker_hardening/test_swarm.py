# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The swarm, images that are old, and what lies about."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import facts

from tests.unit.plugins.module_utils.docker_hardening._made import (
    DAY,
    NOW,
    changed,
    container,
    engine,
    image,
    judged,
    recorded,
    swarm,
)

SWARM = tuple(f"docker_swarm_{name}" for name in (
    "managers_number", "on_all_interfaces", "network_unencrypted", "secrets_unmanaged", "unlocked",
    "unlock_key_unchanged", "node_certificates_unchanged", "authority_unchanged", "traffic_mixed",
))  # fmt: skip
OUTDATED = "docker_container_image_outdated"


@pytest.mark.parametrize("control", SWARM)
def test_without_a_swarm_nothing_is_passed(control: str) -> None:
    assert judged(control, engine())["status"] == "not_applicable"
    assert judged(control, engine(swarm=None))["status"] == "not_checked"
    assert judged(control, engine(swarm=swarm(problem="it took too long.")))["status"] == "not_checked"
    locked = engine(swarm=swarm(is_manager=False), info={"Swarm.LocalNodeState": "locked"})
    assert judged(control, locked)["status"] == "not_checked"


@pytest.mark.parametrize("control", SWARM[:-1])
def test_a_worker_does_not_know_the_swarm(control: str) -> None:
    worker = engine(swarm=facts.Swarm(True))
    assert (judged(control, worker)["status"], "worker" in judged(control, worker)["reason"]) == (
        "not_applicable",
        True,
    )


@pytest.mark.parametrize(
    ("managers", "status"), [(1, "passed"), (2, "failed"), (3, "passed"), (7, "passed"), (9, "failed")]
)
def test_managers_are_few_and_odd(managers: int, status: str) -> None:
    (manager,) = recorded("nodes")
    worker = changed(manager, {"Spec.Role": "worker"})
    result = judged("docker_swarm_managers_number", engine(swarm=swarm(nodes=(manager,) * managers + (worker,))))
    assert (result["status"], result["examined"]) == (status, managers + 1)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("0.0.0.0:2377", "failed"),
        ("[::]:2377", "failed"),
        (":2377", "failed"),
        ("192.0.2.1:2377", "passed"),
        ("[2001:db8::1]:2377", "passed"),
        ("eth0:2377", "passed"),
    ],
)
def test_the_swarm_listens_on_one_interface(address: str, status: str) -> None:
    where = engine(swarm=swarm(state={"ListenAddr": address}))
    assert judged("docker_swarm_on_all_interfaces", where)["status"] == status


def test_where_the_swarm_listens_may_be_unknown() -> None:
    for control in ("docker_swarm_on_all_interfaces", "docker_swarm_traffic_mixed"):
        assert judged(control, engine(swarm=swarm(state={})))["status"] == "not_checked"


@pytest.mark.parametrize(("data", "status"), [("", "failed"), ("192.0.2.1", "failed"), ("198.51.100.1", "passed")])
def test_data_has_an_address_of_its_own(data: str, status: str) -> None:
    state = {"AdvertiseAddr": "192.0.2.1:2377", "DataPathAddr": data}
    where = engine(swarm=swarm(is_manager=False, state=state))
    assert judged("docker_swarm_traffic_mixed", where)["status"] == status


def test_overlay_networks_are_encrypted() -> None:
    control = "docker_swarm_network_unencrypted"
    failed = judged(control, engine(swarm=swarm()))
    assert [each["name"] for each in failed["evidences"]] == ["enc2", "ingress"]
    networks = tuple(each for each in recorded("networks") if each["Name"] == "enc")
    assert judged(control, engine(swarm=swarm(), networks=networks))["status"] == "passed"
    assert judged(control, engine(swarm=swarm(), networks=()))["status"] == "not_applicable"
    assert judged(control, engine(swarm=swarm(), networks=None))["status"] == "not_checked"


def test_names_of_secrets_are_shown_without_their_values() -> None:
    result = judged("docker_swarm_secrets_unmanaged", engine(swarm=swarm()))
    assert result["status"] == "manual"
    assert [(each["name"], each["detail"]) for each in result["evidences"]] == [("web", "environment: DB_PASSWORD")]
    assert judged("docker_swarm_secrets_unmanaged", engine(swarm=swarm(services=())))["status"] == "not_applicable"


def test_managers_are_locked() -> None:
    opened = engine(
        swarm=swarm(cluster=changed(recorded("cluster"), {"Spec.EncryptionConfig.AutoLockManagers": False}))
    )
    locked = engine(swarm=swarm(cluster=changed(recorded("cluster"), {"Spec.EncryptionConfig.AutoLockManagers": True})))
    assert judged("docker_swarm_unlocked", opened)["status"] == "failed"
    assert judged("docker_swarm_unlocked", locked)["status"] == "passed"
    assert judged("docker_swarm_unlock_key_unchanged", opened)["status"] == "not_applicable"
    key = judged("docker_swarm_unlock_key_unchanged", locked)
    assert (key["status"], key["evidences"][0]["note"]) == ("manual", "swarm 0 days old")


def test_a_person_decides_about_certificates_until_they_have_expired() -> None:
    control = "docker_swarm_node_certificates_unchanged"
    valid = judged(control, engine(swarm=swarm(certificate_expires=NOW + 30 * DAY)))
    assert (valid["status"], valid["evidences"][0]["detail"]) == ("manual", "90 days")
    assert valid["evidences"][0]["note"] == "this node's ends in 30 days"
    assert judged(control, engine(swarm=swarm()))["status"] == "manual"
    assert judged(control, engine(swarm=swarm(certificate_expires=NOW - 1)))["status"] == "failed"


@pytest.mark.parametrize(("days", "status"), [(90, "passed"), (89, "failed"), (0, "failed")])
def test_certificates_are_judged_by_how_long_they_may_be_valid(days: int, status: str) -> None:
    where = engine(swarm=swarm(certificate_expires=NOW + 30 * DAY))
    result = judged("docker_swarm_node_certificates_unchanged", where, certificate_days=days)
    assert (result["status"], result["evidences"][0]["detail"]) == (status, "90 days")


def test_a_decision_about_the_root_certificate_ends_with_it() -> None:
    control = "docker_swarm_authority_unchanged"
    other = changed(recorded("cluster"), {"TLSInfo.TrustRoot": "other"})
    first, second = (judged(control, engine(swarm=swarm(**given))) for given in ({}, {"cluster": other}))
    assert first["status"] == second["status"] == "manual"
    assert first["digest"] != second["digest"]


@pytest.mark.parametrize(
    ("age", "created", "status"),
    [
        (None, "2026-11-19T00:00:00.5Z", "manual"),
        (30, "2026-11-19T00:00:00.5Z", "passed"),
        (30, "2026-11-19T00:00:00+02:00", "passed"),
        (9, "2026-11-19T00:00:00-13:00", "passed"),
        (9, "2026-11-20T00:00:00+13:00", "failed"),
        (8, "2026-11-19T00:00:00.123456789Z", "failed"),
        (30, "0001-01-01T00:00:00Z", "manual"),
        (30, "1970-01-01T00:00:00Z", "manual"),
        (30, "", "manual"),
        (30, "yesterday", "not_checked"),
        (30, "2026-13-19T00:00:00Z", "not_checked"),
    ],
)
def test_images_are_recent(age: int | None, created: str, status: str) -> None:
    made = image()
    made = made._replace(inspect={**made.inspect, "Created": created})
    assert judged(OUTDATED, engine(container(), images=(made,)), image_age=age)["status"] == status


def test_an_image_whose_name_is_another_one_is_outdated() -> None:
    old, new = image(names=()), image("sha256:" + "5" * 64)
    result = judged(OUTDATED, engine(container(), images=(old, new)), image_age=30)
    assert (result["status"], "another image's" in result["evidences"][0]["detail"]) == ("failed", True)
    for images in (None, (new,), (old._replace(problem="it is gone."),)):
        assert judged(OUTDATED, engine(container(), images=images), image_age=30)["status"] == "not_checked"


@pytest.mark.parametrize(("allowed", "status"), [(None, "manual"), (0, "failed"), (1, "passed")])
def test_what_lies_about(allowed: int | None, status: str) -> None:
    unused = image("sha256:" + "5" * 64, names=(), used=False)
    where = engine(container(), container("old", stopped=True), images=(image(), unused))
    images, containers = "docker_images_unused", "docker_containers_unused"
    assert judged(images, where, sprawl=allowed)["status"] == status
    assert judged(containers, where, sprawl=allowed)["status"] == status
    if allowed is None:
        assert judged(images, where)["evidences"][0]["name"] == unused.id
        assert judged(containers, where)["evidences"][0]["name"] == "old"


def test_what_lies_about_may_be_unknown_or_nothing() -> None:
    images, containers = "docker_images_unused", "docker_containers_unused"
    expected: t.Mapping[str, facts.Engine] = {
        "passed": engine(container()),
        "not_applicable": engine(images=()),
        "not_checked": engine(container(problem="it is gone"), images=None),
    }
    for status, where in expected.items():
        assert [judged(control, where)["status"] for control in (images, containers)] == [status] * 2
