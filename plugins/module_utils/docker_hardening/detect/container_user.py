# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge as which account the first process of each container runs, or would."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import each_container, values
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.each_container import Fault
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Container, Engine, Host
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options


def check(_host: Host, engine: Engine, _options: Options) -> Verdict:
    """Judge all containers: by their first process while they run, by their configuration otherwise."""
    root = _root(engine)

    def test(container: Container) -> t.Iterable[Fault]:
        user = values.text(container.inspect, "Config.User", "")
        uid = None if root is None else _first_uid(container)
        if uid == root if uid is not None else is_root(user):
            yield Fault("user in its configuration: %s" % (printable(user) or "none"))

    return each_container.judge(engine, "root as its account", test, True, "an account of its own")


def is_root(user: str) -> bool:
    """Say whether the user of a configuration is root. A name is taken for another account, also an unknown one."""
    name = user.partition(":")[0].strip()
    return not name or name == "root" or (name.isdigit() and int(name) == 0)


def _root(engine: Engine) -> int | None:
    """Return the number on the host of root in a container; None if numbers are mapped and it is not known how."""
    if engine.is_rootless:
        return engine.uid
    setting = engine.settings.get("userns-remap")
    return 0 if setting is not None and setting.problem is None and not setting.value else None


def _first_uid(container: Container) -> int | None:
    """Return the account of the first process of a container, None if it does not run or /proc did not tell."""
    pid = values.number(container.inspect, "State.Pid", null=0)
    return next((process.uid for process in container.processes or () if process.pid == pid), None)
