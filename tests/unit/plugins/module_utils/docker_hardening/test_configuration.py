# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in force of the settings of an engine, and what is only written."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import configuration, flags, in_force
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.accounts import Names
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.configuration import Written
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    ConfigFile,
    FileFact,
    Setting,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.flags import Word

from tests.support import processor

_FILE = "/etc/docker/daemon.json"


def _settings(
    running: str | None = "",
    written: str | None = None,
    values: t.Mapping[str, t.Any] | None = None,
    file_problem: str | None = None,
    api: t.Mapping[str, t.Any] | None = None,
) -> dict[str, Setting]:
    process = None if running is None else flags.parse(map(Word, running.split()))
    following = process if written is None else flags.parse(Word(text, "/unit") for text in written.split())
    config = ConfigFile(FileFact(_FILE, "file"), values)
    return configuration.settings(process, Written(following or {}, config), file_problem, api or {})


def test_a_flag_is_in_force() -> None:
    assert _settings("--icc=false")["icc"] == Setting("icc", False, "flag", False)


def test_a_file_that_was_not_changed_is_in_force() -> None:
    assert _settings(values={"icc": False})["icc"] == Setting("icc", False, "file", False, _FILE)


def test_a_default_is_in_force_where_nothing_is_written() -> None:
    assert _settings(values={})["icc"] == Setting("icc", True, "default", True)


def test_what_the_engine_says_counts_more_than_what_is_written() -> None:
    found = _settings(values={"live-restore": True}, api={"live-restore": False})["live-restore"]
    assert found == Setting("live-restore", False, "api", True, _FILE, is_pending=True)


def test_a_unit_that_was_changed_is_pending() -> None:
    found = _settings(running="--icc=true", written="--icc=false")["icc"]
    assert found == Setting("icc", True, "flag", False, "/unit", is_pending=True)
    found = _settings(running="--icc=false", written="")["icc"]
    assert found == Setting("icc", False, "flag", True, "", is_pending=True)


def test_a_file_that_was_changed_says_nothing_of_what_is_in_force() -> None:
    found = _settings(values={"userland-proxy": False}, file_problem="It was changed.")
    assert found["userland-proxy"] == Setting("userland-proxy", None, "file", False, _FILE, True, "It was changed.")
    # What is not in it may have been before.
    assert found["log-level"] == Setting("log-level", None, "file", "info", "", False, "It was changed.")


def test_of_an_engine_that_is_stopped_everything_is_only_written() -> None:
    found = _settings(running=None, written="--icc=false", values={"iptables": False})
    assert (found["icc"].value, found["icc"].written_in) == (False, "/unit")
    assert (found["iptables"].value, found["iptables"].written_in) == (False, _FILE)
    assert not any(setting.is_pending for setting in found.values())


def test_an_engine_that_is_stopped_does_not_start_with_a_setting_in_both_places() -> None:
    found = _settings(running=None, written="--icc=false", values={"icc": False})["icc"]
    assert (found.value, found.problem) == (
        None,
        f"flags and {_FILE} both have it, with which no engine starts",
    )


@pytest.mark.parametrize(
    ("name", "values", "api"),
    [
        ("insecure-registries", {"insecure-registries": ["http://b", "a"]}, {"insecure-registries": ["a", "b"]}),
        ("insecure-registries", {"insecure-registries": ["127.0.0.0/8"]}, {"insecure-registries": []}),
        ("insecure-registries", {"insecure-registries": None}, {"insecure-registries": []}),
        ("seccomp-profile", {"seccomp-profile": "default"}, {"seccomp-profile": "builtin"}),
        ("seccomp-profile", {"seccomp-profile": ""}, {"seccomp-profile": "builtin"}),
        ("storage-driver", {}, {"storage-driver": "overlay2"}),
        ("userns-remap", {"userns-remap": "default"}, {"userns-remap": "enabled"}),
        ("labels", {"labels": ["b=1", "a=1"]}, {"labels": ["a=1", "b=1"]}),
        ("registry-mirrors", {"registry-mirrors": ["https://m"]}, {"registry-mirrors": ["https://m/"]}),
        ("data-root", {"data-root": "/data/"}, {"data-root": "/data"}),
    ],
)
def test_the_same_in_other_words_is_not_pending(name: str, values: dict[str, t.Any], api: dict[str, t.Any]) -> None:
    assert not _settings(values=values, api=api)[name].is_pending


@pytest.mark.parametrize(
    ("name", "values", "api"),
    [
        ("insecure-registries", {"insecure-registries": ["a"]}, {"insecure-registries": []}),
        ("insecure-registries", {}, {"insecure-registries": ["a"]}),
        ("seccomp-profile", {"seccomp-profile": "/p.json"}, {"seccomp-profile": "builtin"}),
        ("seccomp-profile", {}, {"seccomp-profile": "unconfined"}),
        ("log-driver", {"log-driver": "journald"}, {"log-driver": "json-file"}),
        ("log-driver", {}, {"log-driver": "journald"}),
        ("userns-remap", {"userns-remap": "default"}, {"userns-remap": ""}),
        ("userns-remap", {}, {"userns-remap": "enabled"}),
        ("no-new-privileges", {"no-new-privileges": True}, {"no-new-privileges": False}),
        ("storage-driver", {"storage-driver": "vfs"}, {"storage-driver": "overlay2"}),
    ],
)
def test_something_else_is_pending(name: str, values: dict[str, t.Any], api: dict[str, t.Any]) -> None:
    assert _settings(values=values, api=api)[name].is_pending


@pytest.mark.parametrize("values", [None, 0, "x", [], {}, [None], {"icc": []}])
def test_values_of_any_type_harm_nothing(values: t.Any) -> None:
    given = dict.fromkeys(flags.SETTINGS, values)
    _settings(values=given, api=given)
    _settings(values=given, file_problem="It was changed.")
    _settings(running=None, values=given)


def test_conflicts_are_of_what_is_written() -> None:
    config = ConfigFile(FileFact(_FILE), {"icc": False, "hosts": []})
    assert Written(flags.parse([Word("--icc=false")]), config).conflicts == ("icc",)


_INFO: dict[str, t.Any] = {
    "LiveRestoreEnabled": True,
    "DockerRootDir": "/var/lib/docker/100000.100000",
    "RegistryConfig": {
        "InsecureRegistryCIDRs": ["127.0.0.0/8", "10.0.0.0/8"],
        "IndexConfigs": {"docker.io": {"Secure": True}, "registry.test": {"Secure": False}},
        "Mirrors": [],
    },
    "Plugins": {"Authorization": None},
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=userns", "name=cgroupns"],
    "Labels": None,
}
_BRIDGE = {"Name": "bridge", "Driver": "bridge", "Options": {"com.docker.network.bridge.enable_icc": "false"}}


def test_the_engine_tells_some_of_its_settings() -> None:
    assert in_force.settings(_INFO, {"Version": "26.1.5"}, [_BRIDGE]) == {
        "live-restore": True,
        "data-root": "/var/lib/docker",
        "insecure-registries": ["10.0.0.0/8", "registry.test"],
        "registry-mirrors": [],
        "authorization-plugins": [],
        "seccomp-profile": "builtin",
        "userns-remap": "enabled",
        "selinux-enabled": False,
        "no-new-privileges": False,
        "labels": [],
        "icc": False,
    }


def test_an_old_engine_does_not_say_that_containers_may_get_new_privileges() -> None:
    assert "no-new-privileges" not in in_force.settings(_INFO, {"Version": "19.03.15"}, None)
    assert "icc" not in in_force.settings(_INFO, {}, [])


def _root(path: pathlib.Path) -> Root:
    (path / "etc/docker").mkdir(parents=True)
    return Root(str(path), Names([], []))


def test_a_file_that_is_a_link_is_followed_within_the_root(tmp_path: pathlib.Path) -> None:
    root = _root(tmp_path)
    (tmp_path / "real.json").write_text('{"icc": false}')
    (tmp_path / "etc/docker/daemon.json").symlink_to("/real.json")
    found = configuration.read(root, _FILE)
    assert found.file.values == {"icc": False}
    assert found.file.file.target == "/real.json"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"mtu": ' + b"9" * 900_000 + b"}", "is not JSON"),
        (b" " * 2_000_000, "cannot be read: it is longer than 1048576 bytes"),
    ],
)
def test_a_file_that_is_none_says_so(tmp_path: pathlib.Path, content: bytes, problem: str) -> None:
    root = _root(tmp_path)
    (tmp_path / "etc/docker/daemon.json").write_bytes(content)
    with processor.spent() as spent:
        found = configuration.read(root, _FILE)
    assert (found.file.values, found.file.problem) == (None, f"{_FILE} {problem}")
    assert spent.seconds < 5


def test_a_fifo_is_not_waited_for(tmp_path: pathlib.Path) -> None:
    root = _root(tmp_path)
    os.mkfifo(tmp_path / "etc/docker/daemon.json")
    found = configuration.read(root, _FILE)
    assert (found.file.file.kind, found.file.problem) == ("other", f"{_FILE} cannot be read: it is not a regular file")


@pytest.mark.parametrize("target", ["loop", "/etc/docker/daemon.json", "/nowhere"])
def test_a_link_that_leads_nowhere_is_no_file(tmp_path: pathlib.Path, target: str) -> None:
    root = _root(tmp_path)
    (tmp_path / "etc/docker/daemon.json").symlink_to(target)
    (tmp_path / "etc/docker/loop").symlink_to("loop")
    assert configuration.read(root, _FILE).file.values is None


def test_of_a_key_that_is_there_twice_the_last_counts(tmp_path: pathlib.Path) -> None:
    root = _root(tmp_path)
    (tmp_path / "etc/docker/daemon.json").write_text('{"icc": false, "debug": true, "icc": true}')
    found = configuration.read(root, _FILE).file
    assert (found.values, found.doubled) == ({"icc": True, "debug": True}, ("icc",))


def test_a_file_that_is_not_there_or_empty_sets_nothing(tmp_path: pathlib.Path) -> None:
    root = _root(tmp_path)
    found = configuration.read(root, _FILE)
    assert (found.file.values, found.file.problem, found.changed) == (None, None, 0.0)
    (tmp_path / "etc/docker/daemon.json").write_text(" \n")
    assert configuration.read(root, _FILE).file.values == {}


def test_a_file_counts_as_changed_by_its_times(tmp_path: pathlib.Path) -> None:
    root = _root(tmp_path)
    file = tmp_path / "etc/docker/daemon.json"
    file.write_text(json.dumps({"icc": False}))
    found = configuration.read(root, _FILE)
    assert configuration.why_file_says_nothing(found, found.changed + 1) is None
    assert (
        configuration.why_file_says_nothing(found, found.changed - 1) == f"{_FILE} was changed after the engine started"
    )
    # Whoever sets its time back changes its other time.
    os.utime(file, (1, 1))
    assert configuration.read(root, _FILE).changed >= found.changed
