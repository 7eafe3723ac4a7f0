# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge what containers have of the host's files, by what is really mounted: parts of section 5."""

from __future__ import annotations

import functools
import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import (
    each_container,
    values,
    verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.each_container import Fault
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Container, Engine, Host
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

# With what /lib and others are links to.
_SYSTEM = ("/boot", "/dev", "/etc", "/proc", "/sys", "/usr") + tuple(
    f"{above}/{name}" for above in ("", "/usr") for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
)
# The engine mounts files of these names in containers that share a network or memory.
_ENGINE_FILES = re.compile(r"/containers/[^/]+/(?:hosts|hostname|resolv\.conf|mounts/.+)")
# Links on every host that has them; of a container that runs, the kernel says what they led to.
_LINKS = (("/var/run", "/run"), ("/var/lock", "/run/lock"))
# Sockets with which whoever can write to them is root on the host.
_SOCKETS = (
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/docker/containerd/containerd.sock",
    "/run/snap.docker/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
    "/run/k3s/containerd/containerd.sock",
)
_ACCOUNTS = "/run/user/"
_ACCOUNT_SOCKETS = ("docker.sock", "podman/podman.sock")
_SHARED = ("shared", "rshared")
_VOLUME = "volume"
# Their sources are no paths of the host.
_NO_PATHS = ("tmpfs", "npipe", "cluster")


class _Seen(t.NamedTuple):
    """A mount of a container. sources: paths on the host. is_volume: of the engine, which keeps it in its data root."""

    destination: str
    sources: tuple[str, ...]
    is_writable: bool
    is_volume: bool = False


def _seen(container: Container) -> list[_Seen]:
    """Return what a container has of the host; raise UnknownError where only the engine's word for it is known."""
    asked = values.mappings(container.inspect, "Mounts")
    paths = [_asked(each) for each in asked if values.text(each, "Type") not in (*_NO_PATHS, _VOLUME)]
    # One that is about to be restarted runs, the engine says, and has no process.
    if each_container.is_stopped(container) or values.number(container.inspect, "State.Pid", null=0) == 0:
        return paths
    if container.mounted is None:
        raise values.UnknownError("what is mounted in it could not be read")
    volumes = {_path(values.text(each, "Source")) for each in asked if values.text(each, "Type") == _VOLUME}
    found = []
    for each in container.mounted:
        sources = tuple(map(_path, each.sources))
        found.append(_Seen(each.destination, sources, each.is_writable, not volumes.isdisjoint(sources)))
    # What the host has no path to any more was what the engine was asked for.
    known = {source for each in found for source in each.sources} | {each.destination for each in found}
    return found + [each for each in paths if each.destination not in known and each.sources[0] not in known]


def _asked(mount: t.Mapping[str, t.Any]) -> _Seen:
    source = _path(values.text(mount, "Source"))
    return _Seen(values.text(mount, "Destination"), (source,), values.flag(mount, "RW"))


def _path(path: str) -> str:
    # Two slashes at the beginning are kept by POSIX, which Linux takes for one.
    path = posixpath.normpath("/" + path.lstrip("/"))
    for link, target in _LINKS:
        if path == link or path.startswith(link + "/"):
            return target + path[len(link) :]
    return path


def _is_below(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip("/") + "/") and path != directory


def _system_directories(host: Host, engine: Engine, _options: Options) -> Verdict:
    own = frozenset(_data_roots(engine))
    # Any account may run what it calls an engine, and say anything of its data root.
    others = frozenset(root for each in host.engines if each.uid == 0 for root in _data_roots(each)) - own
    test = functools.partial(_system_mounts, own, others)
    return each_container.judge(engine, "directories of the host's system", test, with_stopped=True)


def _data_roots(engine: Engine) -> list[str]:
    """Return the data root as it is set, and the directory in it that an engine uses which maps users."""
    paths = [engine.info.get("DockerRootDir"), engine.data_root.path if engine.data_root is not None else None]
    return [_path(path) for path in paths if isinstance(path, str) and path.startswith("/")]


def _system_mounts(own: frozenset[str], others: frozenset[str], container: Container) -> t.Iterator[Fault]:
    seen = _seen(container)
    if seen and not own:
        raise values.UnknownError("the data root of the engine is not known")
    for mount, reason in _topmost(seen, functools.partial(_why, own, others)):
        rights = "rw" if mount.is_writable else "ro"
        detail = f"{reason} on {mount.destination} ({rights})"
        yield Fault(printable(detail), "high" if mount.is_writable else "medium")


def _topmost(seen: t.Sequence[_Seen], why: t.Callable[[str, _Seen], str | None]) -> t.Iterator[tuple[_Seen, str]]:
    """Yield each mount with what is wrong about it, without those that come along below another such mount."""
    above: set[str] = set()
    for mount in sorted(seen):
        reason = next(filter(None, (why(source, mount) for source in mount.sources)), None)
        if reason is not None and above.isdisjoint(_directories_above(mount.destination)):
            above.add(mount.destination)
            yield mount, reason


def _directories_above(path: str) -> t.Iterator[str]:
    """Yield the directories that a path is in, with and without a slash at their end."""
    place = path.rstrip("/").rfind("/")
    while place >= 0:
        yield path[: place + 1]
        yield path[:place]
        place = path.rfind("/", 0, place)


def _why(own: frozenset[str], others: frozenset[str], source: str, mount: _Seen) -> str | None:
    """Return the path that should not be in a container, None for one that may. own: where volumes may be."""
    if source == "/" or source in _SYSTEM:
        return source
    inside = [source[len(root) :] for root in own if _is_below(source, root)]
    if any(mount.is_volume or _ENGINE_FILES.fullmatch(path) for path in inside):
        return None
    if any(source == root or _is_below(source, root) or _is_below(root, source) for root in own | others):
        return source
    # Single files and directories are common, such as a time zone; those who can change them change the host.
    return source if mount.is_writable and any(_is_below(source, directory) for directory in _SYSTEM) else None


def _engine_sockets(host: Host, engine: Engine, _options: Options) -> Verdict:
    test = functools.partial(_socket_mounts, _sockets(host))
    return each_container.judge(engine, "the socket of an engine", test, with_stopped=True)


def _sockets(host: Host) -> tuple[str, ...]:
    """Return the sockets of all engines of the host, then those that others have as a rule."""
    found: set[str] = set()
    for engine in host.engines:
        addresses = [listener.address for listener in engine.listeners] + [engine.name]
        found.update(_path(each[len("unix://") :]) for each in addresses if each.startswith("unix:///"))
        found.update(_path(each.file.target) for each in engine.listeners if each.file and each.file.target)
        found.update(f"{_path(root)}/containerd/containerd.sock" for root in _exec_roots(engine))
    return (*sorted(found), *_SOCKETS)


def _exec_roots(engine: Engine) -> t.Iterator[str]:
    setting = engine.settings.get("exec-root")
    if setting is not None and isinstance(setting.value, str) and setting.value.startswith("/"):
        yield setting.value


def _socket_mounts(sockets: tuple[str, ...], container: Container) -> t.Iterator[Fault]:
    for mount, reason in _topmost(_seen(container), lambda source, _mount: _socket_in(source, sockets)):
        # Also through a mount that is read only: who connects writes to the engine, not to the file system.
        yield Fault(printable(f"{reason} on {mount.destination}"))


def _socket_in(source: str, sockets: tuple[str, ...]) -> str | None:
    """Return the socket that a mount of the host's path shows, None without one."""
    if source in sockets:
        return source
    of_account = source[len(_ACCOUNTS) :].partition("/")[2] if source.startswith(_ACCOUNTS) else None
    if of_account in _ACCOUNT_SOCKETS:
        return source
    inside = next((socket for socket in sockets if _is_below(socket, source)), None)
    return None if inside is None else f"{source} with {inside}"


def _propagation(_host: Host, engine: Engine, _options: Options) -> Verdict:
    return each_container.judge(engine, "mounts that it shares with the host", _propagated, with_stopped=True)


def _propagated(container: Container) -> t.Iterator[Fault]:
    for mount in values.mappings(container.inspect, "Mounts"):
        mode = values.text(mount, "Propagation", "")
        if mode in _SHARED:
            yield Fault(printable("{} on {}".format(mode, values.text(mount, "Destination"))))


CHECKS: t.Mapping[str, verdict.Check] = {
    "docker_container_mounts_system_directory": _system_directories,
    "docker_container_mount_propagated": _propagation,
    "docker_container_mounts_engine_socket": _engine_sockets,
}
