# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine as a host, and looks of ``faulty.py``."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.exchange import ask
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import Answers, Look, Options, Pins, Run

from tests.support.host_scan import LocalRun


class Host:
    """This machine as a host, with a state directory of its own, and what the controller knows of it."""

    def __init__(self, state_dir: pathlib.Path) -> None:
        self.state_dir = state_dir
        self.run = LocalRun()
        self.pins: Pins = {}

    @property
    def kept(self) -> pathlib.Path:
        return self.state_dir / "scan"

    def files(self, prefix: str) -> list[pathlib.Path]:
        return sorted(self.kept.glob(f"{prefix}-*"))

    def ask(self, *looks: Look, run: Run | None = None, **options: t.Any) -> Answers:
        answers = ask(run or self.run, looks, Options(**{"state_dir": str(self.state_dir), **options}), self.pins)
        self.pins = answers.pins
        return answers


def look(name: str, **options: t.Any) -> Look:
    """Return a look that runs a function of ``faulty.py``."""
    return Look(**{"id": name, "entry": f"faulty:{name}", "params": {}, **options})
