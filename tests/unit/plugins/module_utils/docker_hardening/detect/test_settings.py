# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 2: settings in force and settings that wait for a restart, of engines that run, are stopped or silent."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import host, settings
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine, Listener, Swarm
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

from tests.unit.plugins.module_utils.docker_hardening.detect import engine_samples as samples


def judged(control: str, engine: Engine, **options: t.Any) -> Verdict:
    return settings.CHECKS[control](samples.host(), engine, Options(**options))


def tcp(address: str, **changes: t.Any) -> Engine:
    return samples.engine(listeners=(*samples.engine().listeners, Listener(address, "flag", **changes)))


def with_bridge(*networks: str) -> Engine:
    return samples.engine(networks=tuple({"Name": name} for name in networks))


# control, passing settings, failing settings
SIMPLE: list[tuple[str, dict[str, t.Any], dict[str, t.Any]]] = [
    ("docker_bridge_traffic_open", {"icc": False}, {}),
    ("docker_log_level_changed", {}, {"log_level": "warn"}),
    ("docker_log_level_changed", {"log_level": "INFO"}, {"debug": True}),
    ("docker_iptables_disabled", {}, {"iptables": False}),
    ("docker_registry_insecure", {}, {"insecure_registries": ["registry.example:5000"]}),
    ("docker_storage_aufs", {"storage_driver": "overlayfs"}, {"storage_driver": "aufs"}),
    ("docker_storage_devicemapper", {}, {"storage_driver": "devicemapper"}),
    ("docker_default_ulimits_missing", {"default_ulimits": {"nofile": {"Name": "nofile", "Hard": 9, "Soft": 4}}}, {}),
    ("docker_default_ulimits_missing", {"default_ulimits": {"nofile": "1:2"}}, {"default_ulimits": {"nofile": "1:-1"}}),
    ("docker_default_ulimits_missing", {"default_ulimits": {"cpu": "9"}}, {"default_ulimits": {"cpu": {"Hard": -1}}}),
    ("docker_default_ulimits_missing", {"default_ulimits": {"cpu": "9"}}, {"default_ulimits": ["cpu=9"]}),
    ("docker_user_namespaces_off", {"userns_remap": "default"}, {}),
    ("docker_cgroup_parent_changed", {}, {"cgroup_parent": "/own"}),
    ("docker_new_privileges_allowed", {"no_new_privileges": True}, {}),
    ("docker_live_restore_off", {"live_restore": True}, {}),
    ("docker_userland_proxy_on", {"userland_proxy": False}, {}),
    ("docker_experimental_on", {}, {"experimental": True}),
    # What is no switch is not the right one.
    ("docker_userland_proxy_on", {"userland_proxy": False}, {"userland_proxy": "false"}),
    ("docker_iptables_disabled", {}, {"iptables": None}),
    (
        "docker_base_size_changed",
        {"storage_driver": "devicemapper"},
        {"storage_driver": "devicemapper", "storage_opts": ["dm.basesize=50G"]},
    ),
]


@pytest.mark.parametrize(("control", "right", "wrong"), SIMPLE)
def test_a_setting_decides(control: str, right: dict[str, t.Any], wrong: dict[str, t.Any]) -> None:
    assert judged(control, samples.engine(settings=samples.settings(**right))).status == "passed"
    failed = judged(control, samples.engine(settings=samples.settings(**wrong)))
    assert failed.status == "failed"
    assert failed.items


# control, setting, right value, wrong value
PENDING: list[tuple[str, str, t.Any, t.Any]] = [
    ("docker_iptables_disabled", "iptables", True, False),
    ("docker_new_privileges_allowed", "no-new-privileges", True, False),
    ("docker_userland_proxy_on", "userland-proxy", False, True),
    ("docker_live_restore_off", "live-restore", True, False),
    ("docker_bridge_traffic_open", "icc", False, True),
    ("docker_user_namespaces_off", "userns-remap", "default", ""),
    ("docker_registry_insecure", "insecure-registries", [], ["registry.example"]),
    ("docker_log_level_changed", "log-level", "info", "debug"),
    ("docker_log_level_changed", "debug", False, True),
    ("docker_storage_aufs", "storage-driver", "overlay2", "aufs"),
    ("docker_seccomp_profile_unfit", "seccomp-profile", "builtin", "unconfined"),
    ("docker_logs_stay_local", "log-driver", "splunk", "none"),
    ("docker_authorization_missing", "authorization-plugins", ["own"], []),
]


@pytest.mark.parametrize(("control", "setting", "right", "wrong"), PENDING)
def test_what_waits_for_a_restart_is_not_passed(control: str, setting: str, right: t.Any, wrong: t.Any) -> None:
    for value, written in ((right, wrong), (wrong, right)):
        verdict = judged(control, samples.engine(settings=samples.pending(setting, value, written)))
        assert verdict.status == "failed"
        assert "A restart is pending." in verdict.reason


@pytest.mark.parametrize("control", sorted({control for control, *_rest in PENDING}))
@pytest.mark.parametrize("known", [False, True])
def test_an_unknown_setting_is_not_checked(control: str, known: bool) -> None:
    for name in {setting for each, setting, *_values in PENDING if each == control}:
        values = samples.unknown(name)
        if not known:
            del values[name]
        if control == "docker_bridge_traffic_open":
            values["bridge"] = samples.settings()["bridge"]
        verdict = judged(control, samples.engine(settings=values))
        assert verdict.status == "not_checked"
        assert name in verdict.reason


def test_debug_mode_counts_whatever_is_known_of_the_level() -> None:
    debug = samples.settings(debug=True)["debug"]
    engine = samples.engine(settings={**samples.unknown("log-level"), "debug": debug})
    assert judged("docker_log_level_changed", engine).status == "failed"


def test_what_was_changed_after_the_start_is_said() -> None:
    setting = samples.unknown("iptables")["iptables"]._replace(is_pending=True)
    verdict = judged("docker_iptables_disabled", samples.engine(settings={"iptables": setting}))
    assert verdict.reason == (
        "The setting iptables is not known: daemon.json was changed after the engine started. A restart is pending."
    )


def test_a_stopped_engine_is_judged_by_its_files_and_that_is_said() -> None:
    verdict = judged(
        "docker_new_privileges_allowed", samples.stopped(settings=samples.settings(no_new_privileges=True))
    )
    assert verdict.status == "passed"
    assert verdict.reason.endswith("The engine does not run; this is what its files say.")


@pytest.mark.parametrize(
    ("engine", "status"),
    [
        (with_bridge("bridge", "host"), "failed"),
        (with_bridge("host"), "not_applicable"),
        (samples.silent(settings=samples.settings(bridge="none")), "not_applicable"),
        (samples.silent(), "failed"),
        (
            samples.silent(settings={**samples.settings(icc=False), "bridge": samples.unknown("bridge")["bridge"]}),
            "passed",
        ),
        (samples.stopped(settings=samples.settings(bridge="none")), "not_applicable"),
    ],
)
def test_traffic_between_containers_matters_on_a_default_bridge(engine: Engine, status: str) -> None:
    assert judged("docker_bridge_traffic_open", engine).status == status


@pytest.mark.parametrize(
    ("engine", "status", "severity"),
    [
        (samples.engine(), "passed", None),
        (tcp("tcp://0.0.0.0:2375"), "failed", None),
        (tcp("tcp://0.0.0.0:2376", has_tls=True), "failed", None),
        (tcp("tcp://10.0.0.1:2376", has_tls=True, verifies_clients=True), "passed", None),
        (tcp("tcp://127.0.0.1:2375"), "failed", "high"),
        (tcp("tcp://[::1]:2375"), "failed", "high"),
        (tcp("tcp://127.0.0.1.example.org:2375"), "failed", "high"),
        (tcp("vsock://1:2375"), "failed", None),
        (samples.engine(listeners=()), "not_checked", None),
        (samples.stopped(), "passed", None),
        (samples.stopped(listeners=(Listener("tcp://0.0.0.0:2375", "file"),)), "failed", None),
        (
            samples.engine(settings=samples.pending("hosts", [], ["unix:///run/docker.sock", "0.0.0.0:2375"])),
            "failed",
            None,
        ),
        (samples.engine(settings=samples.pending("hosts", ["fd://"], ["unix:///run/docker.sock"])), "passed", None),
        (
            samples.engine(
                listeners=(Listener("tcp://0.0.0.0:2376", "file", has_tls=True, verifies_clients=True),),
                settings={
                    **samples.pending("tlsverify", True, False),
                    "hosts": samples.settings(hosts=["tcp://0.0.0.0:2376"])["hosts"],
                },
            ),
            "failed",
            None,
        ),
    ],
)
def test_tcp_needs_certificates_of_clients(engine: Engine, status: str, severity: str | None) -> None:
    verdict = judged("docker_api_without_tls", engine)
    assert (verdict.status, verdict.severity) == (status, severity)


def test_a_changed_file_does_not_say_whether_clients_are_verified() -> None:
    for engine, status in ((tcp("tcp://0.0.0.0:2376"), "not_checked"), (samples.engine(), "passed")):
        changed = engine._replace(settings=samples.unknown("tlsverify"))
        assert judged("docker_api_without_tls", changed).status == status
        accounts = host.CHECKS["docker_accounts_untrusted"](samples.host(), changed, samples.NO_OPTIONS)
        assert accounts.status == status


def test_who_may_run_without_root() -> None:
    assert judged("docker_engine_runs_as_root", samples.engine()).status == "manual"
    assert judged("docker_engine_runs_as_root", samples.rootless()).status == "passed"
    assert judged("docker_user_namespaces_off", samples.rootless()).status == "passed"


def test_a_swarm_refuses_live_restore() -> None:
    engine = samples.engine(swarm=Swarm(is_active=True))
    assert judged("docker_live_restore_off", engine).status == "not_applicable"


def test_only_devicemapper_has_a_base_device() -> None:
    assert judged("docker_base_size_changed", samples.engine()).status == "not_applicable"
    driverless = samples.stopped(settings=samples.settings(storage_driver=None))
    assert judged("docker_storage_aufs", driverless).status == "not_checked"


@pytest.mark.parametrize(
    ("plugins", "wanted", "status"),
    [
        ([], None, "failed"),
        ([], ("own",), "failed"),
        (["own:latest"], None, "manual"),
        (["own:latest"], ("own",), "passed"),
        (["other", "own"], ("own",), "passed"),
        (["other"], ("own",), "failed"),
    ],
)
def test_the_operator_says_which_plugin_authorizes(plugins: list[str], wanted: t.Any, status: str) -> None:
    engine = samples.engine(settings=samples.settings(authorization_plugins=plugins))
    assert judged("docker_authorization_missing", engine, authorization=wanted).status == status


@pytest.mark.parametrize(
    ("driver", "options", "wanted", "status"),
    [
        ("json-file", {}, None, "manual"),
        ("journald", {}, None, "manual"),
        ("journald", {}, ("journald",), "passed"),
        ("local", {}, ("journald",), "failed"),
        ("none", {}, None, "failed"),
        ("none", {}, ("none",), "failed"),
        ("syslog", {}, None, "manual"),
        ("syslog", {"syslog-address": "unixgram:///dev/log"}, None, "manual"),
        ("syslog", {"syslog-address": "udp://127.0.0.1:514"}, None, "manual"),
        ("syslog", {"syslog-address": "tcp+tls://logs.example:6514"}, None, "passed"),
        ("fluentd", {"fluentd-address": "logs.example:24224"}, None, "passed"),
        ("fluentd", {"fluentd-address": "localhost:24224"}, None, "manual"),
        ("splunk", {}, None, "passed"),
        ("some-plugin", {}, None, "manual"),
    ],
)
def test_logs_leave_the_host_by_their_driver(driver: str, options: t.Any, wanted: t.Any, status: str) -> None:
    engine = samples.engine(settings=samples.settings(log_driver=driver, log_opts=options))
    assert judged("docker_logs_stay_local", engine, log_drivers=wanted).status == status


def test_secrets_in_log_options_are_not_shown() -> None:
    options = {"splunk-token": "SECRET-VALUE", "splunk-url": "https://logs.example"}
    engine = samples.engine(settings=samples.settings(log_driver="splunk", log_opts=options))
    verdict = judged("docker_logs_stay_local", engine)
    assert "splunk-url" in str(verdict.items)
    assert "SECRET-VALUE" not in str(verdict.items)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("max-size", "10m", "max-size=10m"),
        ("syslog-address", "unixgram:///dev/log", "syslog-address=unixgram:///dev/log"),
        ("gelf-address", "udp://logs.example:12201", "gelf-address=udp://logs.example:12201"),
        ("fluentd-address", "logs.example:24224", "fluentd-address=logs.example:24224"),
        ("loki-url", "https://tenant:SEC/RET@logs.example/push", "loki-url=https://logs.example and more"),
        ("sumo-url", "https://logs.example/v1/SECRET", "sumo-url=https://logs.example and more"),
        ("some-url", "https://logs.example?k=SECRET", "some-url=https://logs.example and more"),
        ("hec_auth", "SECRET", "hec_auth=***"),
        ("splunk-token", "SECRET VALUE 'x", "splunk-token=***"),
        ("a-url", ["SECRET"], "a-url=***"),
        ("a-url", {"a": "SECRET"}, "a-url=***"),
    ],
)
def test_only_what_no_driver_has_secrets_in_is_shown(name: str, value: t.Any, shown: str) -> None:
    for known in (
        samples.settings(log_driver="some-plugin", log_opts={name: value}),
        {**samples.settings(log_driver="some-plugin"), **samples.pending("log-opts", {}, {name: value})},
    ):
        verdict = judged("docker_logs_stay_local", samples.engine(settings=known))
        assert shown in str([item.detail for item in verdict.items]).replace("\\'", "'")
        assert "SEC" not in str(verdict)


@pytest.mark.parametrize(
    ("profile", "wanted", "status"),
    [
        ("builtin", None, "manual"),
        ("default", ("builtin",), "passed"),
        ("", ("default",), "passed"),
        ("/etc/docker/own.json", ("/etc/docker/own.json",), "passed"),
        ("builtin", ("/etc/docker/own.json",), "failed"),
        ("unconfined", None, "failed"),
        ("unconfined", ("unconfined",), "failed"),
    ],
)
def test_the_operator_says_which_profile_is_right(profile: str, wanted: t.Any, status: str) -> None:
    engine = samples.engine(settings=samples.settings(seccomp_profile=profile))
    assert judged("docker_seccomp_profile_unfit", engine, seccomp=wanted).status == status


@pytest.mark.parametrize(
    "value", [None, True, 7, 1.5, "x", [], [1], [["a"]], {}, {"nofile": None}, {"a": 1}, [{"a": 1}]]
)
def test_a_value_of_any_shape_is_judged(value: t.Any) -> None:
    for name in samples.DEFAULTS:
        for found in (samples.settings(**{name: value}), samples.pending(name, samples.DEFAULTS[name], value)):
            for control in settings.CHECKS:
                for options in ({}, {"authorization": ("own",), "log_drivers": ("local",), "seccomp": ("own",)}):
                    assert judged(control, samples.engine(settings=found), **options).reason


def test_values_of_an_intruder_are_printable() -> None:
    engine = samples.engine(settings=samples.settings(cgroup_parent="/a\x1b[2J\n"))
    verdict = judged("docker_cgroup_parent_changed", engine)
    assert "\x1b" not in verdict.reason + str(verdict.items)
