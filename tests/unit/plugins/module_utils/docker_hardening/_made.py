# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a host, made of what a real engine (26.1, API 1.45) answered: recorded/engine.json."""

from __future__ import annotations

import copy
import json
import pathlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import facts, options
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import judge

RECORDED = pathlib.Path(__file__).with_name("recorded") / "engine.json"
# 2026-11-29 12:00 UTC
NOW = 1795953600.0
DAY = 86400.0
PID = 4157944


def recorded(name: str) -> t.Any:
    return json.loads(RECORDED.read_text(encoding="utf-8"))[name]


def changed(source: t.Any, changes: t.Mapping[str, t.Any]) -> t.Any:
    """Return a copy of an answer with other values. changes: by paths of keys, joined by dots."""
    result = copy.deepcopy(source)
    for path, value in changes.items():
        *above, last = path.split(".")
        place = result
        for key in above:
            place = place.setdefault(key, {})
        place[last] = value
    return result


def process(executable: str = "/bin/sleep", **values: t.Any) -> facts.Process:
    arguments = values.pop("arguments", (executable, "3000"))
    defaults = {"host_namespaces": ("user", "cgroup"), "no_new_privileges": False, "seccomp": 2}
    name = values.pop("name", pathlib.PurePath(executable).name[:15])
    return facts.Process(values.pop("pid", PID), executable, name, 0, arguments, **{**defaults, **values})


def container(name: str = "web", stopped: bool = False, **changes: t.Any) -> facts.Container:
    """Return the recorded container, with changes as ``HostConfig__Memory=5``, and fields of the fact itself."""
    fields = {key: changes.pop(key) for key in ("processes", "mounted", "problem") if key in changes}
    inspect = changed(recorded("container"), {key.replace("__", "."): value for key, value in changes.items()})
    if stopped:
        inspect["State"].update(Running=False, Status="exited", Pid=0)
    identifier = (name.encode("utf-8", "backslashreplace").hex() + "0" * 64)[:64]
    inspect.update(Id=identifier, Name=f"/{name}")
    fields.setdefault("processes", () if stopped else (process(),))
    fields.setdefault("mounted", None if stopped else ())
    return facts.Container(identifier, name, inspect, not stopped, **fields)


def image(identifier: str | None = None, names: tuple[str, ...] = ("bb:1",), used: bool = True) -> facts.Image:
    inspect = changed(recorded("image"), {"Created": "2026-11-19T00:00:00.5Z"})
    return facts.Image(identifier or inspect["Id"], names, inspect, (), used)


def swarm(**values: t.Any) -> facts.Swarm:
    cluster = recorded("cluster")
    state = {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": "192.0.2.1:2377", "DataPathAddr": ""}
    known = {"is_manager": True, "cluster": cluster, "nodes": tuple(recorded("nodes")), "state": state}
    return facts.Swarm(True, **{**known, "services": tuple(recorded("services")), **values})


def engine(*containers: facts.Container, **values: t.Any) -> facts.Engine:
    info = changed(recorded("info"), values.pop("info", {}))
    if "swarm" not in values:
        info["Swarm"]["LocalNodeState"] = "inactive"
    known = {
        "name": "unix:///run/docker.sock",
        "state": facts.RUNNING,
        "info": info,
        "containers": containers,
        "images": (image(),),
        "networks": tuple(recorded("networks")),
        "swarm": facts.Swarm(False),
        "started": NOW - DAY,
        "data_root": facts.DataRoot("/var/lib/docker"),
    }
    return facts.Engine(**{**known, **values})


def host(*engines: facts.Engine, **values: t.Any) -> facts.Host:
    known = {
        "files": {},
        "audit": facts.Audit(),
        "accounts": {},
        "accounts_problem": None,
        "has_apparmor": False,
        "has_selinux": False,
        "other": (),
        "packages": {},
        "boot_time": NOW - DAY,
        "now": NOW,
        "is_root": True,
    }
    return facts.Host(engines, **{**known, **values})


def judged(control: str, where: facts.Host | facts.Engine, **chosen: t.Any) -> dict[str, t.Any]:
    """Return the result of one control of the first engine. chosen: options of the operator."""
    where = where if isinstance(where, facts.Host) else host(where)
    results = judge.judge(where, options.Options(**chosen)).controls
    (result,) = (each for each in results if each["control"] == control and each["subject"] == where.engines[0].name)
    return result
