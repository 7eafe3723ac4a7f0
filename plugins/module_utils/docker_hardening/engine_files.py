# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of an engine: units, certificates, and where its data is."""

from __future__ import annotations

import contextlib
import posixpath
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import (
    certificates,
    configuration,
    in_force,
    listeners,
    units,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    DataRoot,
    Engine,
    FileFact,
    Setting,
    Swarm,
)

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root

_DISTRIBUTION_FILES = ("/etc/default/docker", "/etc/sysconfig/docker")
_CERTIFICATES = {"tlscacert": "ca.pem", "tlscert": "cert.pem", "tlskey": "key.pem"}
_DATA_ROOT = "/var/lib/docker"
_NODE_CERTIFICATE = "swarm/certificates/swarm-node.crt"
_NODE_STATE = "swarm/docker-state.json"
_MOST_REGISTRIES = 200
_MOST_CERTIFICATES = 1_000
_READ_LIMIT = 256 * 1024


class Places(t.NamedTuple):
    """Where an engine has its files. host: the root that its units are below. configuration: its directory."""

    root: Root
    host: Root
    account: units.Account
    configuration: str
    certificates: str
    data_root: str


def completed(engine: Engine, unit: units.Unit, places: Places) -> Engine:
    """Return an engine with the files that belong to it."""
    service = unit.name or ("docker.service" if engine.name == listeners.MAIN_ADDRESS else "")
    loaded: list[units.Unit] = []
    if service:
        socket = service[: -len(".service")] + ".socket"
        loaded = [unit if unit.name else units.load(places.host, service, places.account)]
        loaded.append(units.load(places.host, socket, places.account))
    named = [fact for each in loaded for fact in each.environment_files]
    others = [] if places.account.is_user else [places.host.fact(path) for path in _DISTRIBUTION_FILES]
    known = {fact.path for fact in named}
    registries, problem = _registries(places.root, posixpath.join(places.configuration, "certs.d"))
    return engine._replace(
        units=tuple(fact for each in loaded for fact in each.files),
        environment_files=tuple(named + [fact for fact in others if fact.kind and fact.path not in known]),
        certificates=_certificates(engine, places),
        registry_certificates=registries,
        registry_problem=problem,
        data_root=data_root(places.root, places.data_root),
        swarm=_swarm(engine, places),
    )


def _certificates(engine: Engine, places: Places) -> dict[str, FileFact]:
    """Return the certificates that are named, and those that the engine looks for by itself where it uses TLS."""
    found = {}
    for name, default in _CERTIFICATES.items():
        path = _path(engine.settings[name])
        if path is None and any(listeners.tls(engine.settings)):
            path = posixpath.join(places.certificates, default)
        if path is not None:
            found[name] = places.root.fact(path)
    return found


def _path(setting: Setting) -> str | None:
    value = setting.value if setting.value is not None else setting.written
    return value if isinstance(value, str) and value.startswith("/") else None


def _registries(root: Root, directory: str) -> tuple[tuple[FileFact, ...], str | None]:
    """Return the certificates of registries: the files in a directory for each of them."""
    found: list[FileFact] = []
    try:
        for registry in root.names(directory, _MOST_REGISTRIES):
            path = posixpath.join(directory, registry)
            fact = root.fact(path)
            if fact.kind == "directory":
                found += [root.fact(posixpath.join(path, name)) for name in root.names(path, _MOST_CERTIFICATES)]
    except FileNotFoundError:
        return (), None
    except OSError as error:
        return tuple(found), "%s cannot be read: %s" % (printable(directory), error.strerror)
    return tuple(fact for fact in found if fact.kind != "directory"), None


def data_root(root: Root, path: str) -> DataRoot:
    """Return the devices of a data root and of the directory that it is in.

    An engine mounts its data root on itself, which gives it a mount point and no device of its own.
    """
    try:
        real = root.real(path)
        return DataRoot(path, root.status(real).st_dev, root.status(posixpath.dirname(real)).st_dev)
    except OSError as error:
        return DataRoot(path, problem="%s cannot be looked at: %s" % (printable(path), error.strerror))


def _swarm(engine: Engine, places: Places) -> Swarm | None:
    swarm = engine.swarm
    if swarm is None or not swarm.is_active:
        return swarm
    directory = in_force.data_directory(engine.info, places.data_root)
    with contextlib.suppress(OSError):
        pem, _status = places.root.read(posixpath.join(directory, _NODE_CERTIFICATE), _READ_LIMIT)
        swarm = swarm._replace(certificate_expires=certificates.ends(pem))
    with contextlib.suppress(OSError):
        data, _status = places.root.read(posixpath.join(directory, _NODE_STATE), _READ_LIMIT)
        values, _doubled, _problem = configuration.parse(data)
        state = values.get("LocalNodeState", values) if values is not None else {}
        swarm = swarm._replace(state=state if isinstance(state, dict) else {})
    return swarm
