# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge as which account the first process of each container runs, or would."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    STOPPED,
    Container,
    Engine,
    Host,
    Json,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options


def check(_host: Host, engine: Engine, _options: Options) -> Verdict:
    """Judge all containers: by their first process while they run, by their configuration otherwise."""
    if engine.containers is None:
        reasons = dict(engine.problems)
        stopped = "the engine does not run" if engine.state == STOPPED else "the engine did not list them"
        why = reasons.get("containers") or engine.problem or stopped
        return verdict.not_checked("The containers are not known: %s." % printable(why).rstrip("."))
    if not engine.containers:
        return verdict.not_applicable("The engine has no container.")
    root = _root(engine)
    failing, unknown = [], []
    for container in engine.containers:
        if container.problem is not None:
            unknown.append("%s: %s" % (_name(container), printable(container.problem).rstrip(".")))
            continue
        uid = _first_uid(container) if root is not None else None
        user = _mapping(container.inspect.get("Config")).get("User")
        if uid == root if uid is not None else is_root(user):
            failing.append(_item(container, user, uid))
    examined = len(engine.containers)
    if failing:
        return verdict.failed("%d of %d containers run as root." % (len(failing), examined), failing, examined)
    if unknown:
        return verdict.not_checked(
            "%d of %d containers could not be judged. %s." % (len(unknown), examined, unknown[0])
        )
    return verdict.passed("No container runs as root.", examined)


def is_root(user: t.Any) -> bool:
    """Say whether the user of a configuration is root. A name is taken for another account, also an unknown one."""
    name = str(user or "").partition(":")[0].strip()
    return not name or name == "root" or (name.isdigit() and int(name) == 0)


def _root(engine: Engine) -> int | None:
    """Return the number on the host of root in a container; None if numbers are mapped and it is not known how."""
    if engine.is_rootless:
        return engine.uid
    setting = engine.settings.get("userns-remap")
    return 0 if setting is not None and setting.problem is None and not setting.value else None


def _first_uid(container: Container) -> int | None:
    """Return the account of the first process of a container, None if it does not run or /proc did not tell."""
    pid = _mapping(container.inspect.get("State")).get("Pid")
    for process in container.processes or ():
        if process.pid == pid:
            return process.uid
    return None


def _name(container: Container) -> str:
    return printable(container.name.lstrip("/") or container.id[:12])


def _item(container: Container, user: t.Any, uid: int | None) -> Item:
    labels = _mapping(_mapping(container.inspect.get("Config")).get("Labels"))
    project, service = labels.get("com.docker.compose.project"), labels.get("com.docker.compose.service")
    composed = (
        "%s/%s" % (project, service) if project and service else labels.get("com.docker.swarm.service.name") or ""
    )
    configured = "user %s" % printable(str(user)) if user else "no user"
    return Item(
        "container",
        _name(container),
        "%s in its configuration; %s" % (configured, "it is stopped" if uid is None else "its first process is root's"),
        container=_name(container),
        image=printable(str(_mapping(container.inspect.get("Config")).get("Image") or "")),
        service=printable(str(composed)),
    )


def _mapping(value: t.Any) -> Json:
    return value if isinstance(value, dict) else {}
