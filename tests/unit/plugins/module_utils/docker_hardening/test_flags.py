# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of dockerd."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import flags
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.flags import Word


def _parse(*texts: str) -> dict[str, t.Any]:
    found = flags.parse(Word(text) for text in texts)
    return {flags.NAMES.get(name, name): flags.value_of(flag) for name, flag in found.items() if name in flags.NAMES}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--icc=false"], {"icc": False}),
        (["--icc", "--log-level", "warn"], {"icc": True, "log-level": "warn"}),
        (["--icc=F", "--iptables=0", "--debug=T"], {"icc": False, "iptables": False, "debug": True}),
        (["-D", "-l", "debug"], {"debug": True, "log-level": "debug"}),
        (["-Dldebug"], {"debug": True, "log-level": "debug"}),
        (["-D=false", "-l=info"], {"debug": False, "log-level": "info"}),
        (["-H", "fd://", "--host=tcp://:2375", "-Hunix:///a"], {"hosts": ["fd://", "tcp://:2375", "unix:///a"]}),
        (["-g", "/data"], {"data-root": "/data"}),
        (["--graph", "/data"], {"data-root": "/data"}),
        (
            ["--default-ulimit", "nofile=1:2", "--default-ulimit=nproc=5"],
            {"default-ulimits": {"nofile": "1:2", "nproc": "5"}},
        ),
        (["--insecure-registry=a", "--insecure-registry", "b"], {"insecure-registries": ["a", "b"]}),
        (["--log-opt", "max-size=1m"], {"log-opts": {"max-size": "1m"}}),
        (["--rootless", "--icc=false"], {"icc": False}),
        (["--mtu", "1400", "--icc=false"], {"icc": False}),
        (["--icc=false", "--", "--icc"], {"icc": False}),
        (["--log-level"], {"log-level": "true"}),
        (["-", "", "--", "-"], {}),
        (["--icc=maybe"], {"icc": "maybe"}),
        (["--log-level", "info", "--log-level", "warn"], {"log-level": "warn"}),
    ],
)
def test_flags_are_read_as_the_engine_reads_them(words: list[str], expected: dict[str, t.Any]) -> None:
    assert _parse(*words) == expected


@pytest.mark.parametrize(
    ("words", "keys", "conflicts"),
    [
        (["--icc=false"], {"icc": True}, ("icc",)),
        (["-H", "fd://"], {"hosts": [], "icc": True}, ("hosts",)),
        (
            ["--insecure-registry", "a", "--label", "b"],
            {"insecure-registries": [], "labels": []},
            ("insecure-registries", "labels"),
        ),
        (["--dns-opt", "a"], {"dns-opts": [], "dns": []}, ("dns-opts",)),
        (["--feature", "a=true"], {"features": {}}, ()),
        (["--icc=false"], {}, ()),
    ],
)
def test_a_setting_in_both_places_is_a_conflict(
    words: list[str], keys: dict[str, t.Any], conflicts: tuple[str, ...]
) -> None:
    assert flags.conflicts(flags.parse(map(Word, words)), keys) == conflicts
