# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scan asks of a host for a capability: the entry ``looks`` of its ``capability.yml``."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

PLATFORMS = ("linux", "windows")


@dataclasses.dataclass(frozen=True)
class Look:
    """One module that a scan asks, and how its options come from the variables of the role.

    module: its name without that of the collection; an action of the same name knows what its answer means. scope:
    what the coverage calls it where it fails. subject: the same for a sentence. options: by name, the variable that
    holds the value, or a number or truth value itself. A variable that holds nothing is not passed on, and one of
    ``unless_empty`` not where it holds an empty text or list. check_mode: it only looks in check mode.
    when: a Jinja expression over the role's variables; where it does not hold, ``otherwise`` says in the coverage why
    nothing was looked at, None says nothing. answers: options that the controller takes from what another look
    answered, as ``module.key``. is_recorded: whether it has findings and coverage of its own. platforms: of the hosts
    that are asked this; those of one platform are in one module on Linux, and each is a module of its own on Windows.
    """

    module: str
    scope: str
    subject: str
    options: t.Mapping[str, str | int | bool]
    unless_empty: tuple[str, ...] = ()
    check_mode: bool = False
    when: str | None = None
    otherwise: str | None = None
    answers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    is_recorded: bool = True
    platforms: tuple[str, ...] = ("linux",)


_KINDS: t.Mapping[str, tuple[type, str]] = {
    "module": (str, "a text"),
    "scope": (str, "a text"),
    "subject": (str, "a text"),
    "options": (dict, "a mapping"),
    "unless_empty": (list, "a list"),
    "check_mode": (bool, "true or false"),
    "when": (str, "a text"),
    "otherwise": (str, "a text"),
    "answers": (dict, "a mapping"),
    "is_recorded": (bool, "true or false"),
    "platforms": (list, "a list"),
}
_NEEDED = ("module", "scope", "subject", "options")


def parse(data: t.Any, where: str) -> tuple[Look, ...]:
    """Return the looks that a capability's entry names, in their order; raise ContentError for one that is wrong."""
    if not isinstance(data, list):
        raise ContentError(f"{where}: looks is missing or no list; [] says that a scan asks nothing")
    looks = tuple(_look(fields, f"{where}: look {number}") for number, fields in enumerate(data, 1))
    known = [look.module for look in looks]
    for module in known:
        if known.count(module) > 1:
            raise ContentError(f"{where}: looks names {module} twice")
    for number, look in enumerate(looks):
        for option, source in look.answers.items():
            if source.partition(".")[0] not in known[:number]:
                raise ContentError(f"{where}: {look.module}: answers.{option} names '{source}', of no look before it")
    return looks


def _look(fields: t.Any, where: str) -> Look:
    if not isinstance(fields, dict):
        raise ContentError(f"{where}: a mapping is needed, not {type(fields).__name__}")
    for name in fields:
        if name not in _KINDS:
            raise ContentError(f"{where}: unknown entry '{name}'; known are {', '.join(_KINDS)}")
    for name in _NEEDED:
        if name not in fields:
            raise ContentError(f"{where}: {name} is missing")
    for name, value in fields.items():
        kind, words = _KINDS[name]
        if not isinstance(value, kind):
            raise ContentError(f"{where}: {name} is {type(value).__name__}; {words} is needed")
    for value in fields.get("platforms", ()):
        if value not in PLATFORMS:
            raise ContentError(f"{where}: platforms has '{value}', which is not one of {', '.join(PLATFORMS)}")
    given: dict[str, t.Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    return Look(**given)
