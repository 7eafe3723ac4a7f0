# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units that are there, and units that somebody masked."""

from __future__ import annotations

import os
import pathlib

from ansible_collections.bulwark.servers.plugins.module_utils.edr import units
from ansible_collections.bulwark.servers.plugins.module_utils.edr.system_state import Unit


def _unit(root: pathlib.Path, directory: str, name: str, text: str | None = "[Service]\n") -> pathlib.Path:
    path = root / directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        path.symlink_to("/dev/null")
    else:
        path.write_text(text)
    return path


def test_units_are_found_and_masked_ones_are_reported(tmp_path: pathlib.Path) -> None:
    _unit(tmp_path, "usr/lib/systemd/system", "a.service")
    _unit(tmp_path, "usr/lib/systemd/system", "b.service")
    masked = _unit(tmp_path, "etc/systemd/system", "b.service", None)
    os.utime(masked, (5.0, 5.0), follow_symlinks=False)
    _unit(tmp_path, "run/systemd/system", "c.service", "")
    names = ["a.service", "b.service", "c.service", "d.service"]
    a, b, c = units.look(names, str(tmp_path))
    assert a == Unit("a.service", True, False)
    assert b == Unit("b.service", True, True, 5.0)
    assert (c.installed, c.masked) == (False, True)


def test_what_the_administrator_writes_comes_before_what_is_shipped(tmp_path: pathlib.Path) -> None:
    _unit(tmp_path, "etc/systemd/system", "a.service")
    _unit(tmp_path, "usr/lib/systemd/system", "a.service", None)
    assert units.look(["a.service"], str(tmp_path)) == [Unit("a.service", True, False)]


def test_a_unit_that_starts_at_boot_is_enabled(tmp_path: pathlib.Path) -> None:
    _unit(tmp_path, "usr/lib/systemd/system", "a.service")
    _unit(tmp_path, "usr/lib/systemd/system", "b.service")
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "a.service").symlink_to("/usr/lib/systemd/system/a.service")
    assert [unit.enabled for unit in units.look(["a.service", "b.service"], str(tmp_path))] == [True, False]
