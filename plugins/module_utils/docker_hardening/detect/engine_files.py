# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the files of an engine that controls are about. A rootless engine uses its account's."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import listeners
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    STOPPED,
    Engine,
    FileFact,
    Host,
)

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"


class Chosen(t.NamedTuple):
    """Some files. absence: why a control is not applicable if none exists. problem: why the files are not known."""

    files: tuple[FileFact, ...]
    absence: str
    problem: str | None = None


def service_unit(_host: Host, engine: Engine) -> Chosen:
    files = [file for file in engine.units if not _is_of_socket(file.path)]
    return Chosen(tuple(files), "No service unit starts this engine.")


def socket_unit(_host: Host, engine: Engine) -> Chosen:
    files = [file for file in engine.units if _is_of_socket(file.path)]
    return Chosen(tuple(files), "No socket unit belongs to this engine.")


def _is_of_socket(path: str) -> bool:
    """Say whether a file is a socket unit or a drop-in of one."""
    return path.endswith(".socket") or posixpath.dirname(path).endswith((".socket.d", "/socket.d"))


def directory(host: Host, engine: Engine) -> Chosen:
    return at(host, directory_path(engine), "There is no directory %s." % printable(directory_path(engine)))


def directory_path(engine: Engine) -> str:
    """Return where the configuration is: beside the daemon.json of a rootless engine or a snap, else /etc/docker."""
    if (engine.is_rootless or engine.is_snap) and engine.config is not None:
        return posixpath.dirname(engine.config.file.path)
    return "/etc/docker"


def registry_certificates(_host: Host, engine: Engine) -> Chosen:
    return Chosen(
        engine.registry_certificates, "The engine has no certificates of registries.", engine.registry_problem
    )


def certificate(name: str) -> t.Callable[[Host, Engine], Chosen]:
    """Return what chooses a certificate or key by the name of its setting."""

    def choose(_host: Host, engine: Engine) -> Chosen:
        file = engine.certificates.get(name)
        if file is None:
            return Chosen((), "The engine has no %s." % name)
        return Chosen((file,), "%s is the %s of the engine, and does not exist." % (printable(file.path), name))

    return choose


def engine_sockets(host: Host, engine: Engine) -> Chosen:
    """Choose the unix sockets; of an engine that is stopped, those that are there because systemd waits at them."""
    files = listeners.socket_files(engine)
    if engine.state == STOPPED:
        files = [fact(host, file.path) or FileFact(file.path) for file in files]
    return Chosen(tuple(files), "The engine has no unix socket now.")


def daemon_json(_host: Host, engine: Engine) -> Chosen:
    if engine.config is None:
        return Chosen((), "", "It is not known which daemon.json the engine reads.")
    return Chosen((engine.config.file,), "There is no %s." % printable(engine.config.file.path))


def environment(path: str) -> t.Callable[[Host, Engine], Chosen]:
    """Return what chooses a file that distributions have for options and environment."""

    def choose(host: Host, engine: Engine) -> Chosen:
        for file in engine.environment_files:
            if file.path == path:
                return Chosen((file,), "There is no %s." % path)
        if engine.is_rootless:
            return Chosen((), "A rootless engine does not read %s." % path)
        return at(host, path, "There is no %s." % path)

    return choose


def containerd_socket(host: Host, engine: Engine) -> Chosen:
    path = containerd_path(host, engine)
    chosen = at(host, path, "There is no %s." % printable(path))
    if engine.state != STOPPED and not any(file.kind or file.problem for file in chosen.files):
        # An engine that runs has a containerd.
        return Chosen((), "", "The socket of containerd was not found at %s." % printable(path))
    return chosen


def containerd_path(host: Host, engine: Engine) -> str:
    """Return the socket of the containerd that an engine uses.

    Without the setting, an engine starts a containerd of its own unless that of the host runs (cmd/dockerd of Moby).
    """
    address, own = _address(engine), _own_containerd(engine)
    if address is not None:
        return address
    has_hosts = fact(host, CONTAINERD_SOCKET) is not None
    if engine.is_rootless or fact(host, own) is not None or (engine.state != STOPPED and not has_hosts):
        return own
    return CONTAINERD_SOCKET


def _address(engine: Engine) -> str | None:
    """Return the socket of containerd that an engine names."""
    told = engine.info.get("Containerd")
    address = told.get("Address") if isinstance(told, dict) else _value(engine, "containerd")
    return address if isinstance(address, str) and address.startswith("/") else None


def _own_containerd(engine: Engine) -> str:
    """Return the socket of a containerd that an engine starts, which is below its exec root."""
    root = _value(engine, "exec-root")
    return posixpath.join(root if isinstance(root, str) else _exec_root(engine), "containerd/containerd.sock")


def _exec_root(engine: Engine) -> str:
    """Return the default exec root: of a rootless engine in the runtime directory, where its socket is as well."""
    if not engine.is_rootless:
        return "/run/docker"
    names = [listeners.path_of(listener) for listener in listeners.sockets(engine)]
    runtime = [posixpath.dirname(name) for name in names if posixpath.basename(name) == "docker.sock"]
    return posixpath.join(runtime[0] if runtime else "/run/user/%d" % engine.uid, "docker")


def paths(engine: Engine) -> list[str]:
    """Return the paths to look at for one engine, beside those that the benchmark names."""
    sockets = [path for path in (_address(engine), _own_containerd(engine)) if path is not None]
    return [directory_path(engine), *sockets, *map(posixpath.dirname, sockets)]


def _value(engine: Engine, name: str) -> t.Any:
    setting = engine.settings.get(name)
    return setting.value if setting is not None else None


def at(host: Host, path: str, absence: str) -> Chosen:
    """Return the file at a path of the host."""
    file = host.files.get(path) or fact(host, path)
    if file is None:
        return Chosen((), "", "%s was not checked." % printable(path))
    return Chosen((file,), absence)


def fact(host: Host, path: str) -> FileFact | None:
    """Return what exists at a path of the host, under any name of the path; None if nothing was found there."""
    for known, file in host.files.items():
        if same(known) == same(path) and (file.kind or file.problem is not None):
            return file
    return None


def same(path: str) -> str:
    """Return a path without the links that all distributions have in it."""
    for link, target in (("/var/run/", "/run/"), ("/lib/systemd/", "/usr/lib/systemd/")):
        if path.startswith(link):
            return target + path[len(link) :]
    return path
