# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package that a real dnf installed: when, by which command, and that it was removed."""

from __future__ import annotations

import os
import pathlib
import subprocess
import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import packages
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted

pytestmark = pytest.mark.requires("root", "command:dnf", "command:rpmbuild")

_SPEC = """
Name: bwhello
Version: 1.0
Release: 1
Summary: t
License: MIT
BuildArch: noarch
%description
t
%files
"""


def test_dnf_says_when_and_how_a_package_came(tmp_path: pathlib.Path) -> None:
    spec, root = tmp_path / "bwhello.spec", tmp_path / "root"
    spec.write_text(_SPEC)
    build = ["rpmbuild", "-bb", "--define", f"_topdir {tmp_path}/build", str(spec)]
    subprocess.run(build, check=True, capture_output=True)
    dnf = ["dnf", "-y", f"--installroot={root}", "--disablerepo=*", "--releasever=1", "--nogpgcheck", "install"]
    (package,) = (tmp_path / "build").rglob("*.noarch.rpm")
    subprocess.run([*dnf, str(package)], check=True, capture_output=True)

    identity, used = "package:bwhello", Budget(10, 1 << 24)
    wanted = Wanted({identity: Node(identity, "bwhello")}, frozenset([identity]))
    facts = packages.gather(Host(root=os.fsencode(root)), wanted, used)

    (node,) = facts.nodes
    (change,) = node.facts["changes"]
    assert (change["action"], change["version"]) == ("installed", "1.0-1")
    assert change["command"].endswith(f"install {package}")
    assert abs(change["time"] - time.time()) < 60
    assert [event.text for event in facts.events] == ["package bwhello 1.0-1 was installed" + _by(change)]
    assert used.skipped == []


def _by(change: dict[str, str]) -> str:
    # Whoever runs the tests may have signed in.
    return f" by {change['by']}" if "by" in change else ""
