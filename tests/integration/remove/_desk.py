# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller, and a host in a network namespace that lets it in for a while only: by an opening of a locked port."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import re
import subprocess
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import apply as traffic
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import (
    options as traffic_options,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitActor, JitWanted, Store

from tests.integration import _team
from tests.integration.jit_access._jit import defaults
from tests.integration.network_hardening._network import Site, site
from tests.support import paths
from tests.support.controllers import Controller

NEEDS = ("root", "command:nft", "command:ip", "command:unshare", "command:sshd", "command:ssh")
# The audit system is the machine's, and another test may have it.
WITHOUT_AUDIT = [name for name in capabilities.load() if name != "audit"]
_SECONDS = 900


class Desk(_team.Team):
    """Deploys as the modules do, and runs the playbook by SSH."""

    def __init__(self, found: Site, controller: Controller, directory: pathlib.Path, sockets: str) -> None:
        super().__init__(found.host, found.friend, controller, directory, sockets)
        # Half the processes for the same tasks; test_fleet.py removes everything without it.
        self._variables["ansible_pipelining"] = True
        self.site, self.directory, self.state = found, directory, found.state
        self.default = directory / "var_lib" / "bulwark"
        self.store_url = f"sqlite:///{directory}/findings.db"
        self._given: dict[str, t.Any] = {
            "bulwark_store": self.store_url,
            "bulwark_become": False,
            **{f"{name}_state_dir": str(self.state) for name in capabilities.load()},
        }

    def deploy(self) -> None:
        """Record traffic, lock port 22, open it for the controller, and let only a stranger in by network rules."""
        friend, stranger = self.site.friend.address[4], self.site.stranger.address[4]
        params = {**defaults(traffic_options.apply_spec()), "state_dir": str(self.state)}
        with self.site.host.entered():
            traffic.apply(params, False)
        self.site.jit.lock(ports=[{"port": "22"}])
        self.site.jit.grant(id=self._request(friend), sources=[friend], duration=_SECONDS)
        self.site.enforce(rules=[{"port": "22", "prefixes": [stranger]}])

    def _request(self, source: str) -> str:
        """Return the id of a request that the store has as open."""
        ada, bob = (JitActor(name, name, None, None) for name in ("ada", "bob"))
        wanted = JitWanted("web", ("22",), "tcp", (source,), _SECONDS, "ada", "ada", "a ticket", 600, "ada")
        now = time.time()
        with contextlib.closing(Store.open(self.store_url)) as store:
            request = store.jit_request(wanted, now=now).request.id
            store.jit_decide(request, "approved", by=bob, reason="a ticket", now=now)
            store.jit_opening(request, by=ada, now=now)
            store.jit_open(request, by=ada, grant=request, seconds=_SECONDS, now=now)
        return request

    def take_baseline(self) -> None:
        watched = self.directory / "watched"
        watched.mkdir()
        (watched / "file").write_text("content")
        options = {
            "watches": [{"name": "test", "paths": [str(watched)]}],
            "default_watches": False,
            "state_dir": str(self.state),
            "store": self.store_url,
        }
        code, said = self.run({"bulwark.servers.file_integrity": options})
        assert code == 0, said

    def remove_all(self, *arguments: str, works: bool = True, **variables: t.Any) -> str:
        """Run the playbook, and return what it said on one line. Only where the test has the audit system."""
        command = [*self.prepare(())[:-1], "bulwark.servers.remove"]
        command += ["--extra-vars", json.dumps({**self._given, **variables}), *arguments]
        environment = {**os.environ, **self._environment, "ANSIBLE_COLLECTIONS_PATH": str(paths.COLLECTIONS)}
        with self._friend.entered():
            answer = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
        output = answer.stdout + answer.stderr
        assert (answer.returncode == 0) is works, output
        return " ".join(output.replace("\\n", " ").split())

    def remove(self, *arguments: str, works: bool = True, **variables: t.Any) -> str:
        """Run it for every capability whose part is in the host's network and in the state."""
        return self.remove_all(*arguments, works=works, **{"bulwark_capabilities": WITHOUT_AUDIT, **variables})

    def tables(self) -> str:
        return self.site.nft("list", "ruleset")

    def seals(self) -> list[str]:
        with contextlib.closing(Store.open(self.store_url, mode="read")) as store:
            return store.seal_names("web")

    def requests(self) -> list[str]:
        """Return the states of all requests to open ports."""
        with contextlib.closing(Store.open(self.store_url, mode="read")) as store:
            return [request.state for request in store.jit_requests()]


def changed(said: str) -> int:
    """Return how many tasks of a job changed the host."""
    (number,) = re.findall(r"\bchanged=(\d+)", said)
    return int(number)


def digests(directory: pathlib.Path) -> dict[str, str]:
    """Return the mode of everything below a directory, and of files what is in them."""
    return {
        str(path.relative_to(directory)): "%o %s"
        % (path.lstat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in sorted(directory.rglob("*"))
    }


@contextlib.contextmanager
def desk(directory: pathlib.Path, controller: Controller) -> t.Iterator[Desk]:
    # What the machine itself has in its default directory is none of the host's.
    var_lib = directory / "var_lib"
    var_lib.mkdir()
    within = ["unshare", "--mount", "sh", "-c", f'mount --bind {var_lib} /var/lib && exec "$@"', "sh"]
    with site(directory) as found, _team.sshd(found.host, found.friend, directory, within=within) as sockets:
        yield Desk(found, controller, directory, sockets)
