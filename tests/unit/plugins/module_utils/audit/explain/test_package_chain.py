# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which package manager acts, by the programs above; what each needs to be proved is tested with the real ones."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.package_chain import Chain, Link, read_chain
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process

UNPACK = "/usr/bin/dpkg --status-fd 9 --no-triggers --unpack --auto-deconfigure /var/cache/apt/archives/x_1_all.deb"
UPGRADE = "/usr/bin/python3 /usr/bin/unattended-upgrade"


def chain(*levels: tuple[str, str, str | None]) -> Chain | None:
    """Read a chain of (program, what was executed, command line; None where it only did something)."""
    current = None
    for exe, original, line in reversed(levels[1:]):
        words = (line or "title").split()
        body = f"argc={len(words)} " + " ".join(f'a{number}="{word}"' for number, word in enumerate(words))
        arguments = body if line is not None else '"title"'
        current = Process(b"1", f'"{exe}"'.encode(), arguments.encode(), original.encode(), current, 0)
    exe, original, line = levels[0]
    above = []
    while current is not None:
        above.append(current)
        current = current.parent
    return read_chain(Link(exe, original, tuple(line.split()) if line is not None else None), above)


DPKG = ("/usr/bin/dpkg", "/usr/bin/dpkg", UNPACK)
COPY = ("/usr/bin/python3.13", "", None)
UNATTENDED = ("/usr/bin/python3.13", "/usr/bin/unattended-upgrade", UPGRADE)
OTHER = ("/usr/bin/python3.13", "/tmp/unattended-upgrade", UPGRADE)


@pytest.mark.parametrize(
    ("above", "has_frontend"),
    [
        ((), False),
        ((UNATTENDED,), True),
        ((COPY, UNATTENDED), True),
        ((COPY, COPY, UNATTENDED), True),
        ((COPY,), False),
        ((COPY, OTHER), False),
        ((OTHER, UNATTENDED), False),
        ((("/usr/bin/bash", "", None), UNATTENDED), False),
        ((("/usr/bin/apt-get", "/usr/bin/apt-get", "apt-get -y install x"),), True),
        ((("/usr/bin/apt-get", "/usr/bin/apt-get", "apt-get -y -c/tmp/x install x"),), False),
        ((("/usr/bin/apt-get", "/usr/bin/apt-get", "apt-get update"),), False),
    ],
)
def test_who_started_dpkg(above: t.Sequence[tuple[str, str, str | None]], has_frontend: bool) -> None:
    assert chain(DPKG, *above) == Chain("dpkg", None, None, has_frontend, True)


def test_the_package_whose_script_acts() -> None:
    script = ("/usr/bin/dash", "/var/lib/dpkg/info/libc6:amd64.postinst", "/bin/sh x configure")
    assert chain(("/usr/bin/cp", "/usr/bin/cp", "cp"), script, DPKG) == Chain("dpkg", "libc6", "postinst", False, False)


@pytest.mark.parametrize(
    "levels",
    [
        (("/usr/bin/bash", "/usr/bin/bash", "bash"),),
        (("/tmp/dpkg", "/tmp/dpkg", UNPACK),),
        (("/usr/bin/cp", "/tmp/cp", "cp"), DPKG),
        (("/tmp/cp", "/tmp/cp", "cp"), DPKG),
        (("/usr/local/bin/cp", "/usr/local/bin/cp", "cp"), DPKG),
        (("/usr/bin/dpkg", "/usr/bin/dpkg", UNPACK.replace("/var/cache/apt/archives", "/tmp")),),
        (("/usr/bin/dpkg", "/usr/bin/dpkg", UNPACK + " --post-invoke=/tmp/x"),),
        (("/usr/bin/dpkg", "", None),),
    ],
)
def test_what_is_not_understood(levels: t.Sequence[tuple[str, str, str | None]]) -> None:
    assert chain(*levels) is None


def test_rpm_by_its_frontends() -> None:
    dnf = ("/usr/bin/python3.12", "/usr/bin/dnf", "/usr/bin/python3.12 /usr/bin/dnf upgrade")
    assert chain(dnf) == Chain("rpm", None, None, False, True)
