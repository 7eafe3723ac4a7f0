# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 1: data root, accounts, and what the kernel audits."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import engine_files
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import host as checks
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    Account,
    Audit,
    ConfigFile,
    DataRoot,
    Engine,
    FileFact,
    Host,
    Listener,
    Watch,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

from tests.unit.plugins.module_utils.docker_hardening.detect import engine_samples as samples

ROOT = Account("root", 0, "uid 0")
ADA = Account("ada", 1000, "member of docker")

# control, the path that has to be watched, as the usual host has it
AUDITED = [
    ("docker_audit_daemon", "/usr/bin/dockerd"),
    ("docker_audit_containerd_runtime", "/run/containerd"),
    ("docker_audit_data", "/var/lib/docker"),
    ("docker_audit_configuration", "/etc/docker"),
    ("docker_audit_service_unit", "/usr/lib/systemd/system/docker.service"),
    ("docker_audit_containerd_socket", "/run/containerd/containerd.sock"),
    ("docker_audit_socket", "/run/docker.sock"),
    ("docker_audit_etc_default", "/etc/default/docker"),
    ("docker_audit_daemon_json", "/etc/docker/daemon.json"),
    ("docker_audit_containerd_config", "/etc/containerd/config.toml"),
    ("docker_audit_etc_sysconfig", "/etc/sysconfig/docker"),
    ("docker_audit_containerd", "/usr/bin/containerd"),
    ("docker_audit_shim", "/usr/bin/containerd-shim"),
    ("docker_audit_shim_v1", "/usr/bin/containerd-shim-runc-v1"),
    ("docker_audit_shim_v2", "/usr/bin/containerd-shim-runc-v2"),
    ("docker_audit_runc", "/usr/bin/runc"),
]
DIRECTORIES = ("/run/containerd", "/var/lib/docker", "/etc/docker")
OPTIONAL = (
    "docker_audit_etc_default",
    "docker_audit_daemon_json",
    "docker_audit_containerd_config",
    "docker_audit_etc_sysconfig",
    "docker_audit_shim",
    "docker_audit_shim_v1",
)


def judged(control: str, engine: Engine, host: Host | None = None, **options: t.Any) -> Verdict:
    return checks.CHECKS[control](host or samples.host(), engine, Options(**options))


def complete(*watches: Watch) -> tuple[Engine, Host]:
    """Return an engine and a host on which every path that is audited exists."""
    present = [samples.file(path) for _control, path in AUDITED if path not in samples.FILES or path not in DIRECTORIES]
    files = samples.with_files(*(file for file in present if file.path not in DIRECTORIES))
    engine = samples.engine(config=ConfigFile(files["/etc/docker/daemon.json"], {}))
    return engine, samples.host(*watches, files=files)


@pytest.mark.parametrize(("control", "path"), AUDITED)
def test_a_path_is_audited_by_a_watch_of_it_or_of_a_directory_above(control: str, path: str) -> None:
    is_directory = path in DIRECTORIES
    for watches, status in (
        ((), "failed"),
        ((Watch(path, is_directory, "rwxa"),), "passed"),
        ((Watch(path, is_directory, "wa"),), "passed"),
        ((Watch(path, is_directory, "w"), Watch(path, is_directory, "a")), "passed"),
        ((Watch(path, is_directory, "w"),), "failed"),
        ((Watch(path, is_directory, "rx"),), "failed"),
        ((Watch(path.rpartition("/")[0], True, "wa"),), "passed"),
        ((Watch("/", True, "wa"),), "passed"),
        ((Watch(path.rpartition("/")[0], False, "wa"),), "failed"),
        ((Watch(path[:-1], True, "wa"),), "failed"),
        ((Watch(path + "/more", True, "wa"),), "failed"),
    ):
        verdict = judged(control, *complete(*watches))
        assert verdict.status == status, watches
        assert [item.name for item in verdict.items] == [path]


def test_a_watch_of_a_directory_alone_says_nothing_of_what_is_in_it() -> None:
    engine, host = complete(Watch("/etc/docker", False, "wa"))
    assert judged("docker_audit_configuration", engine, host).status == "failed"


@pytest.mark.parametrize("control", [control for control, _path in AUDITED])
def test_without_auditing_nothing_is_passed(control: str) -> None:
    engine, host = complete(Watch("/", True, "rwxa"))
    off = host._replace(audit=host.audit._replace(is_enabled=False))
    assert judged(control, engine, off).status == "failed"
    assert "auditing is off" in judged(control, engine, off).items[0].detail
    unknown = host._replace(audit=Audit(problem="root is needed"))
    assert judged(control, engine, unknown).status == "not_checked"


@pytest.mark.parametrize("control", OPTIONAL)
def test_a_file_that_is_not_there_is_not_applicable(control: str) -> None:
    assert judged(control, samples.engine(), samples.host(Watch("/", True, "rwxa"))).status == "not_applicable"


@pytest.mark.parametrize("control", [control for control, _path in AUDITED if control != "docker_audit_data"])
def test_what_was_not_looked_at_is_not_checked(control: str) -> None:
    engine = samples.engine(executable="", config=None, listeners=(Listener("unix:///run/docker.sock", "flag"),))
    verdict = judged(control, engine, samples.host(Watch("/", True, "rwxa"), files={}))
    # Of units it is known that there are none.
    assert verdict.status == ("passed" if control == "docker_audit_service_unit" else "not_checked")


def test_links_that_distributions_have_do_not_matter() -> None:
    unit = samples.file("/lib/systemd/system/docker.service")
    engine = samples.engine(units=(unit,), executable="/usr/bin/dockerd (deleted)")
    watches = [
        Watch("/usr/lib/systemd/system/docker.service", False, "wa"),
        Watch("/var/run/docker.sock", False, "wa"),
        Watch("/usr/bin/dockerd", False, "wa"),
    ]
    for control in ("docker_audit_service_unit", "docker_audit_socket", "docker_audit_daemon"):
        assert judged(control, engine, samples.host(*watches)).status == "passed", control


def test_programs_are_where_they_really_are() -> None:
    own = samples.file("/usr/local/sbin/runc", 0o755)
    linked = samples.file("/usr/sbin/runc", 0o755)._replace(target="/usr/bin/runc")
    host = samples.host(Watch("/usr/bin/runc", False, "wa"), files=samples.with_files(own, linked))
    verdict = judged("docker_audit_runc", samples.engine(), host)
    assert (verdict.status, [item.name for item in verdict.items]) == ("failed", [own.path])
    assert (
        judged("docker_audit_daemon", samples.engine(executable="/opt/dockerd"), host).items[0].name == "/opt/dockerd"
    )


def test_a_rootless_engine_has_paths_of_its_own() -> None:
    watched = samples.host(Watch("/home/ada", True, "wa"), Watch("/run/user/1000", True, "wa"))
    engine = samples.rootless(executable="/home/ada/bin/dockerd")
    for control in ("daemon", "data", "service_unit", "socket", "daemon_json"):
        assert judged(f"docker_audit_{control}", engine, watched).status == "passed", control
    for control in ("containerd_runtime", "containerd_socket", "configuration"):
        assert judged(f"docker_audit_{control}", engine, watched).status == "not_checked", control
    directory = samples.file("/run/user/1000/docker/containerd", 0o711, "directory", "ada", "ada")
    socket = samples.file(f"{directory.path}/containerd.sock", 0o660, "socket", "ada", "ada")
    seen = watched._replace(files=samples.with_files(directory, socket))
    for control in ("docker_audit_containerd_runtime", "docker_audit_containerd_socket"):
        assert judged(control, engine, seen).status == "passed", control
    assert {directory.path, socket.path, "/home/ada/.config/docker"} <= set(engine_files.paths(engine))
    moved = samples.rootless(listeners=(Listener("unix:///srv/ada/docker.sock", "flag"), *engine.listeners))
    assert "/srv/ada/docker/containerd/containerd.sock" in engine_files.paths(moved)
    assert socket.path in engine_files.paths(samples.rootless(listeners=()))


@pytest.mark.parametrize(
    ("root", "status"),
    [
        (DataRoot("/var/lib/docker", 1, 1), "failed"),
        (DataRoot("/var/lib/docker", 2, 1), "passed"),
        (DataRoot("/var/lib/docker", 2), "not_checked"),
        (DataRoot("/var/lib/docker", problem="no permission"), "not_checked"),
        (None, "not_checked"),
    ],
)
def test_the_data_root_is_on_a_device_of_its_own(root: DataRoot | None, status: str) -> None:
    assert judged("docker_data_not_separate", samples.engine(data_root=root)).status == status


def test_accounts_are_those_that_the_operator_trusts() -> None:
    alone = samples.host()
    shared = samples.host(accounts={samples.ADDRESS: (ROOT, ADA)})
    control = "docker_accounts_untrusted"
    assert judged(control, samples.engine(), alone).status == "passed"
    asked = judged(control, samples.engine(), shared)
    assert (asked.status, [item.name for item in asked.items]) == ("manual", ["ada"])
    assert judged(control, samples.engine(), shared, trusted_users=("ada", "bob")).status == "passed"
    assert judged(control, samples.engine(), shared, trusted_users=()).status == "failed"
    everyone = samples.host(accounts={samples.ADDRESS: (ROOT, ADA, Account("everyone", -1, "mode 0666 of the socket"))})
    verdict = judged(control, samples.engine(), everyone, trusted_users=("ada", "everyone"))
    assert (verdict.status, [item.name for item in verdict.items]) == ("failed", ["everyone"])


def test_who_reaches_an_open_port_controls_the_engine() -> None:
    for verifies, undecided, decided in ((False, "manual", "failed"), (True, "passed", "passed")):
        port = Listener("tcp://0.0.0.0:2376", "flag", has_tls=True, verifies_clients=verifies)
        engine = samples.engine(listeners=(port,))
        assert judged("docker_accounts_untrusted", engine).status == undecided
        assert judged("docker_accounts_untrusted", engine, trusted_users=("everyone",)).status == decided


def test_accounts_that_are_not_known_are_not_trusted() -> None:
    control = "docker_accounts_untrusted"
    assert judged(control, samples.engine(), samples.host(accounts={})).status == "not_checked"
    assert judged(control, samples.engine(listeners=())).status == "not_checked"
    assert judged(control, samples.engine(), samples.host(accounts_problem="no answer")).status == "not_checked"
    assert judged(control, samples.stopped(), samples.host(accounts={})).status == "not_checked"


def test_the_account_of_a_rootless_engine_controls_it() -> None:
    address = samples.rootless().name
    host = samples.host(accounts={address: (ROOT, ADA._replace(by="owner of the socket"))})
    assert judged("docker_accounts_untrusted", samples.rootless(), host).status == "passed"
    # It is one of many for the engine of the host.
    host = samples.host(accounts={samples.ADDRESS: (ROOT, ADA)})
    assert judged("docker_accounts_untrusted", samples.engine(), host).status == "manual"


def test_a_person_gets_what_the_host_and_the_engine_say() -> None:
    hardened = judged("docker_host_not_hardened", samples.engine())
    assert (hardened.status, [item.detail for item in hardened.items]) == ("manual", ["AppArmor", "Debian 13", ""])
    assert hardened.items[2].note == "6.12.1"
    version = judged("docker_version_outdated", samples.engine())
    assert version.status == "manual"
    assert {item.name: item.detail for item in version.items} == {
        "package docker-ce": "5:28.1.0-1",
        "engine": "28.1.0",
        "component runc": "1.2.5",
    }
    assert judged("docker_version_outdated", samples.silent(), samples.host(packages={})).status == "not_checked"


@pytest.mark.parametrize(
    ("minimum", "version", "status"),
    [
        ("28.1", "28.1.0", "passed"),
        ("28.1.0", "28.1", "passed"),
        ("28.1.0", "28.1.0+dfsg1", "passed"),
        ("28.1.1", "28.1.0", "failed"),
        ("9", "28.1.0", "passed"),
        ("100", "28.1.0", "failed"),
        ("28", "dev", "not_checked"),
        ("28", None, "not_checked"),
    ],
)
def test_a_version_is_judged_by_the_oldest_that_is_wanted(minimum: str, version: str | None, status: str) -> None:
    where = samples.engine(version={"Version": version})
    assert judged("docker_version_outdated", where, minimum_version=minimum).status == status


def test_every_file_that_is_not_there_is_said() -> None:
    verdict = judged("docker_audit_daemon_json", samples.engine(), samples.host())
    assert (verdict.status, verdict.reason) == ("not_applicable", "There is no /etc/docker/daemon.json.")
    unreadable = samples.engine(config=ConfigFile(FileFact("/etc/docker/daemon.json", problem="no permission")))
    assert judged("docker_audit_daemon_json", unreadable).status == "not_checked"
