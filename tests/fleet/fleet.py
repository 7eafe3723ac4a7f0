# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of disposable hosts on one network, and the inventory to reach them with."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import pathlib
import shutil
import typing as t

from tests.fleet import hosts, images
from tests.fleet.engine import Engine
from tests.fleet.keys import Keys

# On every container and network of every fleet.
LABEL = "bulwark-servers-fleet"


def remove_all(engine: Engine) -> None:
    """Remove the hosts and networks of every fleet on this engine, whoever started them."""
    containers = engine("ps", "--all", "--quiet", "--filter", f"label={LABEL}").split()
    if containers:
        engine("rm", "--force", "--volumes", *containers)
    networks = engine("network", "ls", "--quiet", "--filter", f"label={LABEL}").split()
    if networks:
        engine("network", "rm", *networks)


class Fleet:
    """Hosts whose keys and inventory are in one directory; the same directory is always the same fleet."""

    def __init__(self, engine: Engine, directory: pathlib.Path) -> None:
        self.engine = engine
        self.directory = directory.absolute()
        self.inventory = self.directory / "inventory.yml"
        self.hosts: list[hosts.Host] = []
        self._keys = Keys(self.directory / "keys")
        self.network = f"bulwark-{hashlib.sha256(bytes(self.directory)).hexdigest()[:12]}"

    def start(self, *kinds: str) -> list[hosts.Host]:
        """Start one fresh host for each kind named, beside those already there; return the new ones in order.

        The first trixie host is trixie-1, the second trixie-2. Images that are missing are built first.
        """
        images.ensure(self.engine, kinds)
        if self.engine.run("network", "inspect", self.network).returncode != 0:
            self.engine("network", "create", "--label", LABEL, self.network)
        names = self._names(kinds)
        # Keys before threads: two hosts must not write known_hosts at once.
        for name, _kind in names:
            self._keys.host_files(name)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            started = list(pool.map(lambda item: self._start(*item), names))
        self.hosts += started
        self._write_inventory()
        return started

    def boot(self) -> hosts.Host:
        """Start a host whose first process is systemd. It takes no sign-ins, and is not in the inventory."""
        images.ensure_booting(self.engine)
        if self.engine.run("network", "inspect", self.network).returncode != 0:
            self.engine("network", "create", "--label", LABEL, self.network)
        return hosts.boot(self.engine, self.network, labels=(LABEL, self.network))

    def stop(self) -> None:
        """Remove the hosts; keys stay, so that the next hosts of these names are known again."""
        containers = self.engine("ps", "--all", "--quiet", "--filter", f"label={self.network}").split()
        if containers:
            self.engine("rm", "--force", "--volumes", *containers)
        self.hosts = []
        self.inventory.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the hosts, their network, the keys and the inventory."""
        self.stop()
        self.engine("network", "rm", self.network, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self, name: str, kind: str) -> hosts.Host:
        return hosts.start(self.engine, self._keys, self.network, name, kind, labels=(LABEL, self.network))

    def _names(self, kinds: t.Sequence[str]) -> list[tuple[str, str]]:
        taken = {host.name for host in self.hosts}
        names = []
        for kind in kinds:
            number = next(n for n in range(1, len(taken) + 2) if f"{kind}-{n}" not in taken)
            taken.add(f"{kind}-{number}")
            names.append((f"{kind}-{number}", kind))
        return names

    def _write_inventory(self) -> None:
        """Write the inventory, as JSON, which is YAML."""
        # Hosts are pinned by name, since a host that is made again may get another address.
        options = (
            f"-o 'UserKnownHostsFile=\"{self._keys.known_hosts}\"' -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
        )
        content = {
            "all": {
                "vars": {
                    "ansible_user": "ansible",
                    "ansible_ssh_private_key_file": str(self._keys.user),
                    "ansible_ssh_common_args": f"{options} -o HostKeyAlias={{{{ inventory_hostname }}}}",
                    # A connection kept open to the host of this address before would be a dead one.
                    "ansible_control_path": "%(directory)s/bulwark-{{ fleet_container }}",
                },
                "hosts": {
                    host.name: {
                        "ansible_host": host.address,
                        "ansible_python_interpreter": host.python,
                        "fleet_container": host.container[:12],
                    }
                    for host in self.hosts
                },
            }
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        self.inventory.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
