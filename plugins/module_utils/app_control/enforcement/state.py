# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State of enforcement on a host: what is deployed, what was there before, and what is on trial."""

from __future__ import annotations

import base64
import contextlib
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _state
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import records
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import POLICY

CAPABILITY = "app_enforcement"
# The name of a policy's trial.
TRIAL = "fapolicyd"
_LOST = "fapolicyd enforces"


class Before(t.NamedTuple):
    """The state of a host before the first deployment.

    files: contents of the files that a deployment replaces, by their paths below /etc/fapolicyd; None for one that was
    not there. times: their times of modification in nanoseconds. is_enabled, is_active: of the unit. database: names in
    fapolicyd's directory of its database.
    """

    files: t.Mapping[str, bytes | None]
    times: t.Mapping[str, int]
    is_enabled: bool
    is_active: bool
    database: tuple[str, ...]


class Deployed(t.NamedTuple):
    """A policy on the host.

    mode: of ``policy.MODES``, never audit. digests: SHA-256 of all files of ours and of those that we changed, by their
    paths below /etc/fapolicyd. settings: of fapolicyd.conf, those that we changed. content: the allowlist of the
    controller, packed; options: those that the policy was made with, so that the host can make it anew after an
    upgrade. confirmed: seconds since the epoch. token: of its trial. connection: the controller's way in, as its action
    says it. has_watcher: whether a unit kills a daemon that hangs.
    """

    mode: str
    digests: t.Mapping[str, str]
    settings: t.Mapping[str, str]
    before: Before
    content: str
    options: t.Mapping[str, t.Any]
    confirmed: float
    token: str
    connection: t.Mapping[str, t.Any] = {}
    has_watcher: bool = False


@contextlib.contextmanager
def directory(state_dir: str | None, create: bool) -> t.Iterator[StateDirectory | None]:
    """Give the directory of the state, None where there is none and ``create`` is false. Raises StateError."""
    root = state_dir or _state.default_root(os.environ, os.geteuid())
    where = StateDirectory.open(root, CAPABILITY, create)
    try:
        yield where
    finally:
        if where is not None:
            where.close()


def read(where: StateDirectory | None, name: str = POLICY) -> Deployed | None:
    """Return what is deployed, or with PROPOSED what is on trial; None where nothing is. Raises StateError."""
    return records.read(where, name, _parsed, _LOST)


def write(where: StateDirectory, deployed: Deployed, name: str = POLICY) -> None:
    """Write what is deployed, or with PROPOSED what is on trial. Raises StateError."""
    before = deployed.before
    records.write(
        where,
        name,
        {
            **deployed._asdict(),
            "before": {
                **before._asdict(),
                "files": {path: None if data is None else _text(data) for path, data in before.files.items()},
            },
        },
    )


def _parsed(content: t.Mapping[str, t.Any]) -> Deployed:
    before = content["before"]
    return Deployed(
        mode=content["mode"],
        digests=dict(content["digests"]),
        settings=dict(content["settings"]),
        before=Before(
            files={path: None if text is None else _data(text) for path, text in before["files"].items()},
            times=before["times"],
            is_enabled=bool(before["is_enabled"]),
            is_active=bool(before["is_active"]),
            database=tuple(before["database"]),
        ),
        content=content["content"],
        options=content["options"],
        confirmed=float(content["confirmed"]),
        token=content["token"],
        connection=content["connection"],
        has_watcher=content.get("has_watcher", False),
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _data(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
