# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 3: owners and permissions of the files that an engine really has."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import files
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    ConfigFile,
    Engine,
    FileFact,
    Host,
    Listener,
)

from tests.unit.plugins.module_utils.docker_hardening.detect import engine_samples as samples


def judged(control: str, engine: Engine, host: Host | None = None) -> Verdict:
    return files.CHECKS[control](host or samples.host(), engine, samples.NO_OPTIONS)


def placed(control: str, fact: FileFact) -> tuple[Engine, Host]:
    """Return an engine and a host that have a file in the place that a control is about."""
    kind = control.rpartition("_")[0]
    engine, host = samples.engine(), samples.host()
    if kind in ("docker_service_unit", "docker_socket_unit"):
        engine = engine._replace(units=(fact,))
    elif kind == "docker_registry_certificate":
        engine = engine._replace(registry_certificates=(fact,))
    elif kind.startswith("docker_tls"):
        name = {"docker_tls_ca": "tlscacert", "docker_tls_certificate": "tlscert", "docker_tls_key": "tlskey"}[kind]
        engine = engine._replace(certificates={name: fact})
    elif kind == "docker_socket":
        engine = engine._replace(listeners=(Listener("unix://" + fact.path, "flag", file=fact),))
    elif kind == "docker_daemon_json":
        engine = engine._replace(config=ConfigFile(fact, {}))
    else:
        host = samples.host(files=samples.with_files(fact))
    return engine, host


# Both controls, the path, the most that it may have, and a mode that is too much
PLACES = [
    (
        "docker_service_unit_owner",
        "docker_service_unit_mode",
        "/etc/systemd/system/docker.service.d/own.conf",
        0o644,
        0o646,
    ),
    (
        "docker_socket_unit_owner",
        "docker_socket_unit_mode",
        "/etc/systemd/system/docker.socket.d/own.conf",
        0o644,
        0o664,
    ),
    ("docker_etc_owner", "docker_etc_mode", "/etc/docker", 0o755, 0o775),
    (
        "docker_registry_certificate_owner",
        "docker_registry_certificate_mode",
        "/etc/docker/certs.d/registry.example/ca.crt",
        0o444,
        0o644,
    ),
    ("docker_tls_ca_owner", "docker_tls_ca_mode", "/etc/docker/ca.pem", 0o444, 0o644),
    ("docker_tls_certificate_owner", "docker_tls_certificate_mode", "/etc/docker/cert.pem", 0o444, 0o640),
    ("docker_tls_key_owner", "docker_tls_key_mode", "/etc/docker/key.pem", 0o400, 0o440),
    ("docker_daemon_json_owner", "docker_daemon_json_mode", "/etc/docker/daemon.json", 0o644, 0o666),
    ("docker_etc_default_owner", "docker_etc_default_mode", "/etc/default/docker", 0o644, 0o755),
    ("docker_etc_sysconfig_owner", "docker_etc_sysconfig_mode", "/etc/sysconfig/docker", 0o644, 0o664),
    (
        "docker_containerd_socket_owner",
        "docker_containerd_socket_mode",
        "/run/containerd/containerd.sock",
        0o660,
        0o666,
    ),
    ("docker_socket_owner", "docker_socket_mode", "/run/docker.sock", 0o660, 0o662),
]


def kind_of(control: str) -> str:
    if control.startswith(("docker_socket_owner", "docker_socket_mode", "docker_containerd_socket")):
        return "socket"
    return "directory" if control.startswith("docker_etc_") and control.count("_") == 2 else "file"


@pytest.mark.parametrize(("_owner", "control", "path", "most", "wrong"), PLACES)
def test_permissions_are_at_most_what_is_needed(_owner: str, control: str, path: str, most: int, wrong: int) -> None:
    kind = kind_of(control)
    for right in (most, most & 0o400, 0):
        assert judged(control, *placed(control, samples.file(path, right, kind))).status == "passed"
    failed = judged(control, *placed(control, samples.file(path, wrong, kind)))
    assert (failed.status, failed.items[0].name) == ("failed", path)
    assert failed.items[0].detail == f"mode {wrong:04o}, at most {most:04o}"


@pytest.mark.parametrize(("control", "_mode", "path", "right", "_wrong"), PLACES)
def test_a_file_belongs_to_root(control: str, _mode: str, path: str, right: int, _wrong: int) -> None:
    kind = kind_of(control)
    group = "docker" if control == "docker_socket_owner" else "root"
    for owner, of_group, status in (("root", group, "passed"), ("ada", group, "failed"), ("root", "ada", "failed")):
        verdict = judged(control, *placed(control, samples.file(path, right, kind, owner, of_group)))
        assert verdict.status == status


@pytest.mark.parametrize(("owner", "mode", "path", "_right", "_wrong"), PLACES)
def test_what_is_not_there_is_not_applicable_and_what_is_unreadable_not_checked(
    owner: str, mode: str, path: str, _right: int, _wrong: int
) -> None:
    for control in (owner, mode):
        # An engine that runs has a containerd.
        absent = "not_checked" if control.startswith("docker_containerd") else "not_applicable"
        assert judged(control, *placed(control, FileFact(path))).status == absent
        assert judged(control, *placed(control, FileFact(path, problem="no permission"))).status == "not_checked"


@pytest.mark.parametrize(
    "name",
    ["docker_registry_certificate", "docker_tls_ca", "docker_tls_certificate", "docker_tls_key", "docker_daemon_json"],
)
def test_what_is_not_configured_is_not_applicable(name: str) -> None:
    assert judged(f"{name}_mode", samples.engine()).status == "not_applicable"
    assert judged(f"{name}_owner", samples.engine()).status == "not_applicable"


def test_a_file_that_was_not_looked_at_is_not_checked() -> None:
    assert judged("docker_etc_mode", samples.engine(), samples.host(files={})).status == "not_checked"
    assert judged("docker_containerd_socket_mode", samples.engine(), samples.host(files={})).status == "not_checked"
    engine = samples.engine(registry_problem="/etc/docker/certs.d cannot be read", config=None)
    assert judged("docker_registry_certificate_owner", engine).status == "not_checked"
    assert judged("docker_daemon_json_owner", engine).status == "not_checked"


def test_one_file_that_fails_decides_whatever_others_are() -> None:
    unreadable = FileFact("/etc/docker/certs.d/a/ca.crt", problem="no permission")
    failing = samples.file("/etc/docker/certs.d/b/ca.crt", 0o666)
    engine = samples.engine(registry_certificates=(unreadable, failing))
    verdict = judged("docker_registry_certificate_mode", engine)
    assert (verdict.status, [item.name for item in verdict.items]) == ("failed", [failing.path])


def test_a_masked_unit_and_a_link_are_told_from_a_file() -> None:
    masked = samples.file("/etc/systemd/system/docker.socket", 0o666, "other")._replace(target="/dev/null")
    assert judged("docker_socket_unit_mode", samples.engine(units=(masked,))).status == "not_applicable"
    link = samples.file("/etc/systemd/system/docker.socket", 0o666)._replace(target="/opt/docker.socket")
    verdict = judged("docker_socket_unit_mode", samples.engine(units=(link,)))
    assert verdict.items[0].detail == "mode 0666, at most 0644, where the link leads: /opt/docker.socket"


def test_files_of_service_and_socket_are_told_apart() -> None:
    drop_in = samples.file("/etc/systemd/system/docker.socket.d/own.conf", 0o666)
    engine = samples.engine(units=(samples.file("/usr/lib/systemd/system/docker.service"), drop_in))
    assert judged("docker_service_unit_mode", engine).status == "passed"
    assert judged("docker_socket_unit_mode", engine).status == "failed"


def test_setuid_and_sticky_bits() -> None:
    assert (
        judged("docker_daemon_json_mode", *placed("docker_daemon_json_mode", samples.file("/a", 0o4644))).status
        == "failed"
    )
    sticky = samples.file("/etc/docker", 0o3755, "directory")
    assert judged("docker_etc_mode", *placed("docker_etc_mode", sticky)).status == "passed"


@pytest.mark.parametrize(
    ("group", "owner", "status"),
    [("wheel", "wheel", "passed"), ("wheel", "docker", "failed"), ("", "root", "passed"), ("1000", "ada", "passed")],
)
def test_the_group_of_the_socket_is_that_of_the_setting(group: str, owner: str, status: str) -> None:
    file = samples.file("/run/docker.sock", 0o660, "socket", "root", owner)
    engine = samples.engine(
        settings=samples.settings(group=group), listeners=(Listener("unix:///run/docker.sock", "flag", file=file),)
    )
    assert judged("docker_socket_owner", engine).status == status


def test_a_socket_whose_file_was_not_read_is_not_checked() -> None:
    engine = samples.engine(listeners=(Listener("unix:///run/docker.sock", "kernel"),))
    assert judged("docker_socket_mode", engine).status == "not_checked"
    assert judged("docker_socket_mode", samples.engine(listeners=())).status == "not_applicable"


def test_a_socket_of_a_stopped_engine_is_one_that_systemd_has() -> None:
    for listener in (Listener(samples.ADDRESS, "systemd"), *samples.stopped().listeners):
        engine = samples.stopped(listeners=(listener,))
        assert judged("docker_socket_mode", engine).status == "not_applicable"
        host = samples.host(files=samples.with_files(samples.file("/run/docker.sock", 0o666, "socket")))
        assert judged("docker_socket_mode", engine, host).status == "failed"


def test_a_rootless_engine_has_files_of_its_account() -> None:
    engine = samples.rootless()
    for control in ("docker_service_unit_owner", "docker_daemon_json_owner", "docker_socket_owner"):
        assert judged(control, engine).status == "passed", control
    foreign = samples.file("/run/user/1000/docker.sock", 0o660, "socket", "eve")._replace(uid=1001)
    engine = samples.rootless(listeners=(Listener("unix:///run/user/1000/docker.sock", "flag", file=foreign),))
    assert judged("docker_socket_owner", engine).status == "failed"
    # Files of the host's engine say nothing of it.
    for control in ("docker_etc_owner", "docker_containerd_socket_owner"):
        assert judged(control, engine).status == "not_checked", control
    assert judged("docker_etc_default_owner", engine).status == "not_applicable"
    own = samples.file("/home/ada/.config/docker", 0o777, "directory", "ada", "ada")
    host = samples.host(files=samples.with_files(own))
    assert judged("docker_etc_owner", engine, host).status == "passed"
    assert judged("docker_etc_mode", engine, host).items[0].name == own.path


def test_the_socket_of_containerd_is_the_one_that_the_engine_uses() -> None:
    own = samples.file("/run/own/containerd/containerd.sock", 0o666, "socket")
    host = samples.host(files=samples.with_files(own))
    told = samples.engine(info={"Containerd": {"Address": own.path}})
    assert judged("docker_containerd_socket_mode", told, host).status == "failed"
    named = samples.engine(settings=samples.settings(containerd=own.path))
    assert judged("docker_containerd_socket_mode", named, host).status == "failed"
    started = samples.engine(settings=samples.settings(exec_root="/run/own"))
    assert judged("docker_containerd_socket_mode", started, host).status == "failed"
    assert judged("docker_containerd_socket_mode", samples.engine(), host).status == "passed"
    # An engine that runs has a containerd: where none was found, nobody looked.
    alone = samples.host(files=samples.with_files(FileFact("/run/containerd/containerd.sock")))
    assert judged("docker_containerd_socket_mode", samples.engine(), alone).status == "not_checked"
    assert judged("docker_containerd_socket_mode", samples.stopped(), alone).status == "not_applicable"
