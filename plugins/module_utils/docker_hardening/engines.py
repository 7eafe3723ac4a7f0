# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read one engine: by its process and what it answers, or, where it is only installed, by its files."""

from __future__ import annotations

import contextlib
import functools
import os
import posixpath
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import (
    answers,
    client,
    configuration,
    configured,
    connections,
    engine_files,
    facts,
    in_force,
    listeners,
    sockets,
    units,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.accounts import Names
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.api_errors import ApiError
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine, Listener, Setting
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.processes import EXECUTABLES, Daemon

_UNIX = "unix://"
_INSTALLED = ("/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd", "/snap/bin/docker")
_UNITS = ("docker.service", "snap.docker.dockerd.service")
_SNAP_CONFIGURATION = "/var/snap/docker/current/config/daemon.json"
_SNAP_DATA = "/var/snap/docker/common/var-lib-docker"


class NoEngineError(Exception):
    """A process that is called dockerd is none; the message says why."""


class Reading(t.NamedTuple):
    """An engine, and the root that its paths are below."""

    engine: Engine
    root: Root


class Reader:
    """Reads the engines of a host. Their roots stay open until it is closed. tables: of the sockets that listen."""

    def __init__(self, host: Root, names: Names) -> None:
        self._host = host
        self._names = names
        self._opened: list[Root] = []
        self._allowance = client.Allowance()
        self.tables = sockets.Tables()

    def close(self) -> None:
        for root in self._opened:
            root.close()

    def running(self, daemon: Daemon, deadline: Deadline) -> Reading:
        """Return the engine of a process; NoEngineError where it is none, OSError where it can't be looked at."""
        # cmd/dockerd of Moby ends unless it is root, in a user namespace of its own where it is rootless.
        if daemon.uid > 0 and daemon.same_users and daemon.problem is None:
            raise NoEngineError(
                "account %d runs it in the host's user namespace, so that it is not an engine" % daemon.uid
            )
        root = self._host
        if daemon.root != "/":
            root = Root(daemon.root, self._names)
            self._opened.append(root)
        found = self.tables.of_process(daemon.pid)
        account = self._account(daemon)
        unit_root = root if daemon.container else self._host
        unit = configured.unit_of(daemon, unit_root, account)
        known = configured.Configured.of_process(daemon, root, account, unit)
        settings = known.settings({})
        offered = _offered(daemon, found, settings, root, deadline)
        is_deaf = found.problem is None and not offered
        if is_deaf and os.path.basename(daemon.executable) not in EXECUTABLES:
            raise NoEngineError("it listens on no socket, so that it is not an engine")
        engine = Engine(
            _name(daemon, offered, settings),
            facts.SILENT,
            pid=daemon.pid,
            executable=daemon.executable,
            arguments=daemon.arguments,
            uid=daemon.uid,
            is_rootless=not daemon.same_users and daemon.container is None,
            is_snap=daemon.executable.startswith("/snap/"),
            started=daemon.started,
            unit=unit.name,
            config=known.config.file,
            settings=settings,
            conflicts=known.written.conflicts,
            listeners=offered,
            problem=daemon.problem or found.problem,
        )
        if engine.problem is None:
            asked = connections.to_engine(engine, daemon, root, deadline, self._allowance)
            engine = _asked(engine, asked, root, known)
        places = engine_files.Places(
            root,
            unit_root,
            account,
            posixpath.dirname(known.config.file.file.path) if account.is_user else "/etc/docker",
            daemon.environment.get("DOCKER_CERT_PATH") or posixpath.join(account.home, ".docker"),
            _data_root(engine.settings["data-root"], daemon.environment, account),
        )
        # Its unit is judged all the same: the next boot uses it.
        service = unit if unit.name else configured.service_of(unit_root, engine.name, account)
        return Reading(engine_files.completed(engine, service, places), root)

    def sees(self, reading: Reading) -> bool:
        """Say whether the address of an engine leads to it from here as well."""
        if reading.root is self._host:
            return True
        paths = [one.file.path for one in reading.engine.listeners if one.file and one.address == reading.engine.name]
        try:
            return all(os.path.samestat(self._host.status(path), reading.root.status(path)) for path in paths)
        except OSError:
            return False

    def installed(self) -> Engine | None:
        """Return the engine that is installed and does not run, None where there is none."""
        account = units.Account()
        loaded = [units.load(self._host, name, account) for name in _UNITS]
        unit = next((unit for unit in loaded if unit.files), units.Unit(""))
        if not unit.files and not any(self._host.fact(path).kind for path in _INSTALLED):
            return None
        is_snap = unit.name.startswith("snap.")
        known = configured.Configured.of_unit(
            self._host, unit, _SNAP_CONFIGURATION if is_snap else configured.CONFIGURATION
        )
        settings = known.settings({})
        listens = configured.socket_of(self._host, unit, account).listens
        engine = Engine(
            configured.next_name(self._host, unit, account),
            facts.STOPPED,
            is_snap=is_snap,
            unit=unit.name,
            config=known.config.file,
            settings=settings,
            conflicts=known.written.conflicts,
            listeners=_stopped_listeners(settings, listens),
        )
        directory = posixpath.dirname(known.config.file.file.path)
        written = settings["data-root"].value
        default = _SNAP_DATA if is_snap else "/var/lib/docker"
        data = written if isinstance(written, str) and written.startswith("/") else default
        places = engine_files.Places(self._host, self._host, account, directory, "/root/.docker", data)
        return engine_files.completed(engine, unit, places)

    def _account(self, daemon: Daemon) -> units.Account:
        """Return whose directories an engine uses: those of the account where it was started as a rootless one."""
        home = daemon.environment.get("HOME", "")
        if not home.startswith("/"):
            home = self._names.home(daemon.uid) or "/root"
        if "ROOTLESSKIT_STATE_DIR" not in daemon.environment:
            return units.Account(home)
        return units.Account(home, daemon.environment.get("XDG_RUNTIME_DIR") or "/run/user/%d" % daemon.uid, True)


def _hosts(setting: Setting, environment: t.Mapping[str, str], is_rootless: bool) -> listeners.Hosts:
    value = setting.value if setting.problem is None else setting.written
    addresses = listeners.written(value, environment, is_rootless)
    return listeners.Hosts(
        tuple(addresses), setting.source if value else configuration.DEFAULT, setting.problem is None
    )


def _offered(
    daemon: Daemon, found: sockets.Sockets, settings: t.Mapping[str, Setting], root: Root, deadline: Deadline
) -> tuple[Listener, ...]:
    hosts = _hosts(settings["hosts"], daemon.environment, not daemon.same_users)
    exec_root = settings["exec-root"].value
    default = posixpath.join(daemon.environment.get("XDG_RUNTIME_DIR") or "/run", "docker")
    exec_root = posixpath.normpath(exec_root) if isinstance(exec_root, str) else default
    asks_for_tls = functools.partial(connections.asks_for_tls, daemon, deadline)
    return listeners.listeners(daemon, found, hosts, settings, root, exec_root, asks_for_tls)


def _name(daemon: Daemon, offered: t.Sequence[Listener], settings: t.Mapping[str, Setting]) -> str:
    """Return the identity of an engine: the address that stays the same from run to run."""
    hosts = _hosts(settings["hosts"], daemon.environment, not daemon.same_users).addresses
    found = [listener.address for listener in offered]
    wanted = [listeners.MAIN_ADDRESS, *(host for host in hosts if host.startswith(_UNIX))]
    names = [address for address in wanted if address in found]
    names += [address for address in found if address.startswith(_UNIX)] + found
    names += [host for host in hosts if host != listeners.INHERITED] + [listeners.MAIN_ADDRESS]
    return names[0]


def _asked(engine: Engine, asked: client.Client | None, root: Root, known: configured.Configured) -> Engine:
    """Return an engine with what it answers, or with why it does not."""
    if asked is None:
        return engine._replace(problem="it listens on no socket that can be asked without a certificate")
    with contextlib.closing(asked):
        try:
            said = answers.ask(asked)
        except ApiError as error:
            return engine._replace(problem=str(error))
    api = in_force.settings(said.info, said.version, said.networks)
    written = engine.settings["data-root"].written
    if "data-root" in api and isinstance(written, str) and _is_same_place(root, written, api["data-root"]):
        api["data-root"] = written
    return engine._replace(
        state=facts.RUNNING,
        settings=known.settings(api),
        version=said.version,
        info=said.info,
        networks=said.networks,
        containers=said.containers,
        images=said.images,
        swarm=said.swarm,
        execs=said.execs,
        problems=tuple(said.problems),
    )


def _is_same_place(root: Root, written: str, told: str) -> bool:
    try:
        return root.real(written) == root.real(told)
    except OSError:
        return False


def _data_root(setting: Setting, environment: t.Mapping[str, str], account: units.Account) -> str:
    value = setting.value if setting.value is not None else setting.written
    if isinstance(value, str) and value.startswith("/"):
        return value
    if account.is_user:
        data = environment.get("XDG_DATA_HOME") or posixpath.join(account.home, ".local/share")
        return posixpath.join(data, "docker")
    return "/var/lib/docker"


def _stopped_listeners(settings: t.Mapping[str, Setting], listens: t.Sequence[str]) -> tuple[Listener, ...]:
    has_tls, verifies = listeners.tls(settings)
    return tuple(
        listener
        if listener.address.startswith(_UNIX)
        else listener._replace(has_tls=has_tls, verifies_clients=verifies)
        for listener in configured.next_addresses(settings["hosts"], listens)
    )
