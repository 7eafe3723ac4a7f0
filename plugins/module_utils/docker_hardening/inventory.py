# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers of an engine as people ask for them: names only, never the value of a variable or of a secret."""

from __future__ import annotations

import calendar
import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    Container,
    Engine,
    Image,
    Json,
)

# Of one container; the counts of the rest are in the control that is about them.
_MOST = 100
_TEXT_LIMIT = 500
# Of all containers of a host; those of 5,000 have about 5 MB.
_MOST_TEXT = 16 * 1024 * 1024
_DAY = 86_400
_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})")
# Labels that only what manages containers sets, by its name. Anybody can set them, so they explain and excuse nothing.
_MANAGERS = (
    ("compose", "com.docker.compose.project"),
    ("swarm", "com.docker.swarm.service.name"),
    ("kubernetes", "io.kubernetes.pod.name"),
    ("nomad", "com.hashicorp.nomad.alloc_id"),
)


def containers(engines: t.Iterable[Engine], now: float) -> list[dict[str, t.Any]]:
    """Return the containers of all engines, plain and printable; without details from where they are too long on."""
    found = []
    room = _MOST_TEXT
    for engine in engines:
        images = {image.id: image for image in engine.images or ()}
        for container in engine.containers or ():
            entry = _entry(engine, container, images, now)
            room -= len(json.dumps(entry))
            if room < 0:
                bare = _entry(engine, Container(container.id, container.name, {}, container.is_running), {}, now)
                entry = {**bare, "problem": "left out, as the inventory of this host is too long"}
            found.append(entry)
    return found


def _entry(engine: Engine, container: Container, images: t.Mapping[str, Image], now: float) -> dict[str, t.Any]:
    inspect = container.inspect
    config, host, state = (_object(inspect, name) for name in ("Config", "HostConfig", "State"))
    image = images.get(_string(inspect, "Image"))
    labels = _object(config, "Labels")
    return {
        "engine": printable(engine.name),
        "id": _shown(container.id),
        "name": _shown(container.name),
        "state": _text(state, "Status"),
        "created": seconds(inspect.get("Created")),
        "started": seconds(state.get("StartedAt")) if container.is_running else None,
        "image": _text(config, "Image"),
        "image_id": _text(inspect, "Image"),
        "image_digest": _digest(image),
        "image_age_days": _age(image, now),
        "user": _text(config, "User") or "root",
        "ports": ports(inspect),
        "mounts": _mounts(inspect),
        "network": _text(host, "NetworkMode"),
        "privileges": privileges(host),
        "environment": _names(config.get("Env")),
        "managed_by": managed_by(labels),
        "started_by": None,
        "problem": container.problem,
    }


def managed_by(labels: Json) -> str | None:
    """Return what manages a container by its labels, such as ``compose shop``; None where nothing does."""
    for manager, label in _MANAGERS:
        if isinstance(labels.get(label), str):
            return "%s %s" % (manager, _shown(labels[label]))
    return None


def ports(inspect: Json) -> list[str]:
    """Return the ports of a container, as ``0.0.0.0:8080->80/tcp`` where one is published and ``80/tcp`` where not."""
    network = _object(inspect, "NetworkSettings")
    # One that does not run has none there, but publishes them when it starts.
    bound = _object(network, "Ports") or _object(_object(inspect, "HostConfig"), "PortBindings")
    found = []
    for port, bindings in bound.items():
        pairs = [binding for binding in bindings if isinstance(binding, dict)] if isinstance(bindings, list) else []
        found += ["%s:%s->%s" % (_text(pair, "HostIp"), _text(pair, "HostPort"), _shown(port)) for pair in pairs]
        if not pairs:
            found.append(_shown(port))
    return sorted(found)[:_MOST]


def privileges(host: Json) -> list[str]:
    """Return what a container may do beyond what containers may by themselves, by the names of Docker's options."""
    found = ["privileged"] if host.get("Privileged") is True else []
    found += ["cap-add %s" % _shown(name) for name in _texts(host.get("CapAdd"))]
    for option, name in (
        ("network", "NetworkMode"),
        ("pid", "PidMode"),
        ("ipc", "IpcMode"),
        ("uts", "UTSMode"),
        ("userns", "UsernsMode"),
        ("cgroupns", "CgroupnsMode"),
    ):
        if host.get(name) == "host":
            found.append("%s host" % option)
    # A profile of seccomp is there as a whole.
    options = [name.partition("{")[0] for name in _texts(host.get("SecurityOpt"))]
    found += ["security-opt %s" % _shown(name) for name in options]
    devices = host.get("Devices")
    found += [
        "device %s" % _text(device, "PathOnHost")
        for device in (devices if isinstance(devices, list) else ())
        if isinstance(device, dict)
    ]
    return found[:_MOST]


def seconds(text: t.Any) -> float | None:
    """Return a time of the API in seconds since the epoch; None for its zero, and for what is none."""
    found = _TIME.match(text) if isinstance(text, str) else None
    if found is None or found.group(1) == "0001":
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups())
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return float(calendar.timegm((year, month, day, hour, minute, second, 0, 0, 0)))


def _digest(image: Image | None) -> str | None:
    """Return the digest that a registry has the image by, None for one that comes from none."""
    digests = _texts(image.inspect.get("RepoDigests")) if image is not None else []
    return _shown(digests[0].rpartition("@")[2]) if digests else None


def _age(image: Image | None, now: float) -> int | None:
    created = seconds(image.inspect.get("Created")) if image is not None else None
    return None if created is None else max(0, int((now - created) / _DAY))


def _mounts(inspect: Json) -> list[dict[str, t.Any]]:
    mounts = inspect.get("Mounts")
    return [
        {
            "type": _text(mount, "Type"),
            "source": _text(mount, "Source"),
            "destination": _text(mount, "Destination"),
            "writable": mount.get("RW") is not False,
        }
        for mount in (mounts if isinstance(mounts, list) else ())
        if isinstance(mount, dict)
    ][:_MOST]


def _names(environment: t.Any) -> list[str]:
    """Return the names of variables; an entry without a value is a name too."""
    return sorted(_shown(entry.partition("=")[0]) for entry in _texts(environment))[:_MOST]


def _object(values: Json, name: str) -> Json:
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def _texts(values: t.Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def _string(values: Json, name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _text(values: Json, name: str) -> str:
    return _shown(_string(values, name))


def _shown(text: str) -> str:
    return printable(text[:_TEXT_LIMIT])
