# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of the networks of tests is left for the tests that come after."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.support import network

pytestmark = pytest.mark.requires("root", "command:ip")


def test_what_runs_on_a_host_ends_with_it() -> None:
    with network.hosts("host", "other") as (host, _other):
        with host.entered():
            process = subprocess.Popen(["sleep", "300"], start_new_session=True)
        assert process.poll() is None
    assert process.wait(10) == -signal.SIGKILL
