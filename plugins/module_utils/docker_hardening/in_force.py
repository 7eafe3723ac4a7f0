# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine itself says of its settings: ``GET /info`` and its default bridge."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Json
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.flags import BOOL, LIST, SETTINGS

# Always allowed without TLS, whatever is configured.
_LOOPBACK = frozenset(("127.0.0.0/8", "::1/128"))
_REMAPPED = re.compile(r"/[0-9]+\.[0-9]+\Z")
# Since then the engine says when it keeps containers from new privileges.
_SAYS_NO_NEW_PRIVILEGES = 23
# A setting of that name whose value the engine does not tell, only that it has one.
ENABLED = "enabled"


def data_directory(info: Json, data_root: str) -> str:
    """Return where the data is: in the data root, or, of an engine that maps users, in a directory of its own there."""
    told = info.get("DockerRootDir")
    return told if isinstance(told, str) and _REMAPPED.sub("", told) == data_root.rstrip("/") else data_root


def settings(info: Json, version: Json, networks: t.Sequence[Json] | None) -> dict[str, t.Any]:
    """Return the settings that the API tells, by their names in daemon.json. Answers of another shape tell nothing."""
    found: dict[str, t.Any] = {}
    for name, key, kind in (
        ("live-restore", "LiveRestoreEnabled", bool),
        ("debug", "Debug", bool),
        ("experimental", "ExperimentalBuild", bool),
        ("log-driver", "LoggingDriver", str),
        ("storage-driver", "Driver", str),
        ("data-root", "DockerRootDir", str),
        ("default-runtime", "DefaultRuntime", str),
        ("labels", "Labels", list),
    ):
        if isinstance(info.get(key), kind):
            found[name] = info[key]
    if info.get("Labels", 0) is None:
        found["labels"] = []
    if "data-root" in found:
        found["data-root"] = _REMAPPED.sub("", found["data-root"])
    found.update(_registries(info.get("RegistryConfig")))
    plugins = info.get("Plugins")
    if isinstance(plugins, dict) and "Authorization" in plugins:
        found["authorization-plugins"] = _texts(plugins["Authorization"])
    options = info.get("SecurityOptions")
    if isinstance(options, list):
        number = version.get("Version") or info.get("ServerVersion")
        found.update(_security([option for option in options if isinstance(option, str)], _major(number)))
    found.update(_bridge(networks))
    return found


def _registries(config: t.Any) -> dict[str, t.Any]:
    if not isinstance(config, dict):
        return {}
    indexes = config.get("IndexConfigs")
    names = [
        name
        for name, index in (indexes.items() if isinstance(indexes, dict) else ())
        if isinstance(index, dict) and index.get("Secure") is False
    ]
    networks = [network for network in _texts(config.get("InsecureRegistryCIDRs")) if network not in _LOOPBACK]
    return {"insecure-registries": sorted(names + networks), "registry-mirrors": _texts(config.get("Mirrors"))}


def _security(options: t.Sequence[str], major: int) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {}
    names = {option.partition(",")[0] for option in options}
    profiles = [option.rpartition("profile=")[2] for option in options if option.startswith("name=seccomp,")]
    if profiles:
        found["seccomp-profile"] = profiles[0]
    found["userns-remap"] = ENABLED if "name=userns" in names else ""
    found["selinux-enabled"] = "name=selinux" in names
    if "name=no-new-privileges" in names:
        found["no-new-privileges"] = True
    elif major >= _SAYS_NO_NEW_PRIVILEGES:
        found["no-new-privileges"] = False
    return found


def _bridge(networks: t.Sequence[Json] | None) -> dict[str, t.Any]:
    """Return what the default bridge says; the engine makes it anew each time that it starts."""
    for network in networks or ():
        options = network.get("Options")
        if network.get("Name") == "bridge" and network.get("Driver") == "bridge" and isinstance(options, dict):
            allowed = options.get("com.docker.network.bridge.enable_icc")
            if allowed in ("true", "false"):
                return {"icc": allowed == "true"}
    return {}


def _major(text: t.Any) -> int:
    number = text.partition(".")[0] if isinstance(text, str) else ""
    return int(number) if number.isdigit() and len(number) < 6 else 0


def _texts(values: t.Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def completed(name: str, told: t.Any, written: t.Any) -> t.Any:
    """Return what the engine told of a setting, with what is written where it only tells that there is something."""
    return written if told == ENABLED and name == "userns-remap" and written else told


def is_same(name: str, written: t.Any, current: t.Any) -> bool:
    """Say whether what is written means what is in force."""
    known = SETTINGS[name]
    if written is None or written == "":
        # The engine chooses, or it is a text without a value.
        return known.default is None or _normal(name, current) == _normal(name, known.default)
    return bool(_normal(name, written) == _normal(name, current))


def _normal(name: str, value: t.Any) -> t.Any:
    kind = SETTINGS[name].kind
    if name == "seccomp-profile" and value in ("", "default", "builtin"):
        return "builtin"
    if name == "insecure-registries" and isinstance(value, list):
        return sorted(_without_scheme(each) for each in value if each not in _LOOPBACK)
    if name == "registry-mirrors" and isinstance(value, list):
        return sorted(each.rstrip("/") if isinstance(each, str) else "" for each in value)
    if name == "data-root" and isinstance(value, str):
        return value.rstrip("/")
    if name == "log-level" and isinstance(value, str):
        return value.lower()
    if kind == LIST and isinstance(value, list):
        return sorted(str(each) for each in value)
    if kind == LIST and value is None:
        return []
    if kind == BOOL and value is None:
        return SETTINGS[name].default
    return value


def _without_scheme(value: t.Any) -> str:
    return str(value).partition("://")[2] or str(value)
