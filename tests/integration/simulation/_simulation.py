# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which simulations are seen: the kernel with our audit rules, a real auditd, and what reads its log."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control import look as programs
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import options as program_options
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events import collect as events
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events import options as event_options
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import apply
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import options as rule_options
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import collect as sign_ins
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import options as sign_in_options
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import collect as memory
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import options as memory_options
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import apply as run
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import options
from ansible_collections.bulwark.servers.plugins.modules.attack_simulation import HOOKS
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections, rule_groups
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content as memory_content
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events as ocsf
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content, results

from tests.support import audit

# What hosts have that people work on, and that rules are about: a rule is only loaded for a directory that is there.
_FURNITURE = (
    "/root/.ssh",
    "/root/.config/systemd/user",
    "/var/www/html",
    "/etc/fail2ban",
    "/srv",
    "/etc/sudoers.d",
    "/boot/grub",
)
_SIMULATED = catalogue.CONTENT / "audit" / "simulations"
_THREATS = (
    {"path": str(_SIMULATED / "threats.txt")},
    {"path": str(_SIMULATED / "threat_names.txt"), "kind": "name"},
)


@contextlib.contextmanager
def staged(directory: pathlib.Path) -> t.Iterator[Stage]:
    """Have a host with the default rules; everything is taken back at the end."""
    with (
        audit.locked() as kernel,
        audit.daemon(directory, kernel) as daemon,
        tempfile.TemporaryDirectory(prefix="bulwark-test-", dir="/var/lib") as state,
        contextlib.ExitStack() as furnished,
    ):
        for path in _FURNITURE:
            _furnish(path, furnished)
        stage = Stage(directory, pathlib.Path(state), kernel, daemon)
        stage.deploy()
        yield stage


def _furnish(path: str, furnished: contextlib.ExitStack) -> None:
    """Make a directory where there is none; it goes when the stack does."""
    if not os.path.isdir(path):
        _furnish(os.path.dirname(path), furnished)
        os.mkdir(path, 0o755)
        furnished.callback(os.rmdir, path)


class Stage:
    """Simulates and looks. state: in place of /var/lib/bulwark, not below /tmp, where programs are suspicious."""

    def __init__(
        self, directory: pathlib.Path, state: pathlib.Path, kernel: audit.Kernel, daemon: audit.Daemon
    ) -> None:
        self.directory, self.state, self.kernel, self.daemon = directory, state, kernel, daemon
        self.content = detections.load(threat_lists=_THREATS).payload

    def deploy(self) -> None:
        """Load the default groups of rules; audit.locked takes them away."""
        params = {name: fields.get("default") for name, fields in rule_options.apply_spec().items()}
        file = self.directory / "etc" / "audit" / "rules.d" / "70-bulwark.rules"
        file.parent.mkdir(parents=True)
        groups = rule_groups.chosen_groups(None, None, None)
        apply.apply({**params, "rules_file": str(file), "state_dir": str(self.state), "_groups": groups}, False)

    def simulate(self, *alerts: str) -> dict[str, t.Any]:
        """Return what the module says."""
        return self._run([found.steps for found in content.chosen(alerts or None) if found.none is None])

    def end(self) -> None:
        """End what stays."""
        self._run([])

    def _run(self, steps: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
        params = {name: fields.get("default") for name, fields in options.apply_spec().items()}
        places = {"state_dir": str(self.state), "state_dirs": {"jit_access": str(self.state)}}
        return run.apply({**params, **places, "confirm": True, "_simulations": steps}, False, HOOKS)

    def look(self, since: float, staying: t.Sequence[int] = ()) -> list[dict[str, t.Any]]:
        """Return the findings of all that reads logs, and of the memory of the processes that stay."""
        self.daemon.settle()
        shared = {"_content": self.content, "since": since, "state_dir": str(self.state), "max_findings": 100_000}
        event_params = {name: fields.get("default") for name, fields in event_options.collect_spec().items()}
        sign_in_params = {name: fields.get("default") for name, fields in sign_in_options.collect_spec().items()}
        log = str(self.daemon.log)
        seen = [
            events.collect({**event_params, **shared, "paths": [log]}, False),
            sign_ins.collect(
                {**sign_in_params, **shared, "audit_paths": [log], "paths": [], "journal": "never"}, False
            ),
        ]
        if staying:
            memory_params = {name: fields.get("default") for name, fields in memory_options.collect_spec().items()}
            about = {"pids": staying, "_content": memory_content.load(), "state_dir": str(self.state)}
            seen.append(memory.collect({**memory_params, **about}, False))
        found = [detection for result in seen for detection in result["detections"]]
        found += self._unapproved(log)
        host = ocsf.Device.from_vars({"inventory_hostname": "stage"})
        return ocsf.findings(found, catalogue.load(), host, time.time())

    def _unapproved(self, log: str) -> list[dict[str, t.Any]]:
        """Return what application control finds of its own simulations, with their allowlist."""
        lists = allowlist_files.load(catalogue.CONTENT / "app_control" / "simulations" / "allowlists")
        data = allowlist_files.packed_data(lists, "stage", ["simulation"])
        assert data is not None
        params = {name: fields.get("default") for name, fields in program_options.look_spec().items()}
        about = {"paths": [log], "state_dir": str(self.state), "_content": payload.packed(data)}
        found = programs.look({**params, **about}, False)["detections"]
        return [detection for detection in found if "/bulwark-unapproved" in detection["subject"]]

    def outcomes(self, *alerts: str) -> list[results.Outcome]:
        """Simulate, look, and return the matrix."""
        simulated = self.simulate(*alerts)
        try:
            staying = [pid for entry in simulated["simulations"] for pid in entry["staying"]]
            found = self.look(simulated["started"], staying)
        finally:
            self.end()
        return results.outcomes(content.chosen(alerts or None), simulated["simulations"], found)
