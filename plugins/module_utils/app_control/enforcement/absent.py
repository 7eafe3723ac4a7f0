# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take enforcement back: what was there before is there again, byte by byte."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._exchange import exchange
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import (
    deployment,
    hooks,
    state,
    upgrade,
    watchers,
    window,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.state import Before, Deployed
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import config, daemon, staging
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import POLICY


def before(files: t.Iterable[str]) -> Before:
    """Return what is on the host before a first deployment that makes or changes these files. Raises DaemonError."""
    present = deployment.present(daemon.DIRECTORY, files)
    return Before(
        files={path: present.get(path) for path in files if path not in deployment.OWN},
        times={path: os.stat(os.path.join(daemon.DIRECTORY, path)).st_mtime_ns for path in present},
        is_enabled=daemon.is_enabled(),
        is_active=daemon.is_active(),
        database=tuple(_names(daemon.DATABASE)),
    )


def is_deployed() -> bool:
    """Say whether files of ours are in the directory of fapolicyd, which everybody can see."""
    return any(os.path.lexists(os.path.join(daemon.DIRECTORY, path)) for path in deployment.OWN)


def take_back(where: StateDirectory | None, check_mode: bool) -> dict[str, t.Any]:
    """Remove our files, restore those that were changed, and the state of the unit; return more of the result.

    Raises DaemonError, StagingError and StateError. Killed at any point, the next run goes on.
    """
    deployed = state.read(where)
    if not os.path.isdir(daemon.DIRECTORY) or (deployed is None and not is_deployed()):
        # A run that was cut off may have left them.
        return {"changed": True} if not check_mode and hooks.remove(where) else {}
    paths = (*deployment.OWN, deployment.CONFIGURATION, deployment.COMPILED)
    now = deployment.present(daemon.DIRECTORY, paths)
    files, without = _restored(deployed, now)
    result = {
        "changed": True,
        "diff": deployment.difference(now, {**{path: now[path] for path in now if path not in without}, **files}),
    }
    if deployed is None:
        result["warnings"] = [
            "It is not known what fapolicyd.conf was before, so that only the files of this collection were removed."
        ]
    if check_mode:
        return result
    # First: a package manager that calls a hook without its program changes no package.
    hooks.remove(where)
    watchers.remove(where)
    # Nothing of it is decided by the daemon any more when it is started the next time, whatever happens to this run.
    staging.build(daemon.DIRECTORY, staging.STAGED, files, without, deployed.before.times if deployed else {})
    exchange(daemon.DIRECTORY, staging.STAGED)
    _end_window()
    if daemon.installed() is not None:
        _restore_unit(deployed)
    if deployed is not None and not deployed.before.is_active:
        for name in _names(daemon.DATABASE):
            if name not in deployed.before.database:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(daemon.DATABASE, name))
    staging.discard(staging.STAGED)
    if where is not None:
        upgrade.discard(where)
        where.remove(POLICY)
    return result


def _restored(deployed: Deployed | None, now: t.Mapping[str, bytes]) -> tuple[dict[str, bytes], frozenset[str]]:
    """Return the contents of files that are written, and the paths of those that are removed."""
    without = {*deployment.OWN, deployment.UPGRADE}
    files: dict[str, bytes] = {}
    if deployed is None:
        return {deployment.COMPILED: deployment.compiled(daemon.DIRECTORY, None)}, frozenset(without)
    digests = deployment.digests(now)
    for path, data in deployed.before.files.items():
        if digests.get(path) == deployed.digests.get(path):
            if data is None:
                without.add(path)
            else:
                files[path] = data
        elif path == deployment.CONFIGURATION and path in now:
            files[path] = without_settings(now[path], data or b"", deployed.settings)
        elif path == deployment.COMPILED:
            # Others have changed rules of theirs since.
            files[path] = deployment.compiled(daemon.DIRECTORY, None)
    return files, frozenset(without)


def without_settings(now: bytes, former: bytes, settings: t.Mapping[str, str]) -> bytes:
    """Return a file that others have changed, with the settings that were ours as they were before."""
    text, old = (data.decode("utf-8", "surrogateescape") for data in (now, former))
    values = config.parse(old)
    ours = [{name: value} for name, value in settings.items() if name not in values]
    lines = [line for line in text.splitlines(keepends=True) if _settings(line) not in ours]
    current = _settings(text)
    if current is None:
        # The daemon does not start with it, whatever else is in it.
        return "".join(lines).encode("utf-8", "surrogateescape")
    # Those that others have set to something else since are theirs.
    back = {name: values[name] for name in settings if name in values and current.get(name) == settings[name]}
    return config.changed("".join(lines), back).encode("utf-8", "surrogateescape")


def _settings(text: str) -> config.Config | None:
    try:
        return config.parse(text)
    except ValueError:
        return None


def _restore_unit(deployed: Deployed | None) -> None:
    if deployed is not None and deployed.before.is_active:
        daemon.restart()
    else:
        daemon.stop()
    if deployed is not None and not deployed.before.is_enabled:
        daemon.disable()


def _end_window() -> None:
    """Have the daemon start as its unit says, where the end of a maintenance window did not go well."""
    if os.path.lexists(window.DROP_IN):
        os.unlink(window.DROP_IN)
        daemon.reload_units()


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
