# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check of one control says of one engine."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._control import (
    FAILED,
    MANUAL,
    NOT_APPLICABLE,
    NOT_CHECKED,
    PASSED,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine, Host
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options


class Item(t.NamedTuple):
    """One piece of evidence; see ``_control.item``. container, image, service: what exceptions are matched with.

    digests: of the image, which nobody can give to another. severity: of a failure by this item, None for the
    control's own.
    """

    kind: str
    name: str
    detail: str = ""
    note: str = ""
    container: str = ""
    image: str = ""
    service: str = ""
    digests: tuple[str, ...] = ()
    severity: str | None = None


class Verdict(t.NamedTuple):
    """The status of a control, with a sentence that says why. severity: of this failure, None for the control's own."""

    status: str
    reason: str
    items: tuple[Item, ...] = ()
    examined: int = 0
    severity: str | None = None


# Judges one control of one engine. What it does not know it answers with ``not_checked``.
Check = t.Callable[[Host, Engine, Options], Verdict]


def passed(reason: str, examined: int = 0, items: t.Sequence[Item] = ()) -> Verdict:
    return Verdict(PASSED, reason, tuple(items), examined)


def failed(reason: str, items: t.Sequence[Item], examined: int = 0, severity: str | None = None) -> Verdict:
    return Verdict(FAILED, reason, tuple(items), examined, severity)


def manual(reason: str, items: t.Sequence[Item], examined: int = 0) -> Verdict:
    return Verdict(MANUAL, reason, tuple(items), examined)


def not_applicable(reason: str) -> Verdict:
    return Verdict(NOT_APPLICABLE, reason)


def not_checked(reason: str) -> Verdict:
    return Verdict(NOT_CHECKED, reason)
