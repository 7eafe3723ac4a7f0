# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check ``alerts`` of ``content/edr/products/ID.yml``: where a product writes alerts, and its severities."""

from __future__ import annotations

import dataclasses
import re
import string
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import source
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

IMPORT = "import"
# The reader of what a host has; ``import`` is for exported files only.
FORMS = ("falco", "wazuh", "clamd", "osquery", "sysmon", "ecs", "mdatp", IMPORT)
_TEXTS = ("paths", "journal", "command", "identify", "hosts")
_KNOWN = ("form", "name", "always_logs", *_TEXTS, "severities", "steps", "floor", "rules", "console")
_PATTERN = re.compile(r"[*?[]")
_LINK_FIELDS = ("alert", "machine", "tenant")
_RULE_FIELDS = ("title", "query", "actions", "columns", "severity", "subject", "techniques")


@dataclasses.dataclass(frozen=True)
class AlertSource:
    """The alerts of one product.

    id, vendor: of the product. name: the product's title, or that of the part that alerts. form: of ``FORMS``. paths,
    journal, command, identify: where its alerts are, as in ``module_utils/edr/alerts/source.py``. programs: those of a
    product that always keeps alerts on its host. packages: those that its command must be of, if one of them is
    installed. accounts: the product's own, which may own its logs. severities, steps: its severities in ours. floor:
    alerts below are only counted. rules: what makes a record an alert. console: addresses of an alert with ``{alert}``,
    ``{machine}`` or ``{tenant}``, the best first. hosts: domains of the product's console.
    """

    id: str
    name: str
    vendor: str
    form: str
    paths: tuple[str, ...] = ()
    journal: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    severities: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    steps: tuple[tuple[float, str], ...] = ()
    floor: str = SEVERITIES[0]
    rules: tuple[t.Mapping[str, t.Any], ...] = ()
    console: tuple[str, ...] = ()
    identify: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    @property
    def entry(self) -> dict[str, t.Any]:
        """The part that a host needs."""
        names = (
            "id",
            "name",
            "form",
            "paths",
            "journal",
            "command",
            "identify",
            "programs",
            "packages",
            "accounts",
            "severities",
            "steps",
            "floor",
            "rules",
        )
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    def to_source(self) -> source.Source:
        """Return the source for the readers, to use them on the controller."""
        return source.parse([self.entry])[0]


def parse(data: t.Any, where: str, identifier: str, title: str, vendor: str, programs: t.Sequence[str]) -> AlertSource:
    """Return a product's alerts from its ``alerts``; raise ContentError with ``where`` and the field.

    programs: paths and patterns of the product's daemons.
    """
    fields = catalogue.mapping(data, where)
    for name in fields:
        if name not in _KNOWN:
            raise ContentError(f"{where}: unknown field '{name}'; known are {', '.join(_KNOWN)}")
    if not isinstance(fields.get("always_logs", False), bool):
        raise ContentError(f"{where}: always_logs is true or false")
    return AlertSource(
        id=identifier,
        name=catalogue.text({"name": title, **fields}, "name", where),
        vendor=vendor,
        form=catalogue.choice(fields, "form", FORMS, where),
        programs=tuple(each for each in programs if not _PATTERN.search(each)) if fields.get("always_logs") else (),
        severities=_severities(fields.get("severities", {}), f"{where}: severities"),
        steps=_steps(fields.get("steps", []), f"{where}: steps"),
        floor=catalogue.choice({"floor": SEVERITIES[0], **fields}, "floor", SEVERITIES, where),
        rules=tuple(_rule(rule, f"{where}: rules") for rule in _list(fields, "rules", where)),
        console=tuple(_console(each, where) for each in _list(fields, "console", where)),
        **{name: _texts(fields, name, where) for name in _TEXTS},
    )


def _list(fields: t.Mapping[str, t.Any], name: str, where: str) -> list[t.Any]:
    value = fields.get(name, [])
    if not isinstance(value, list):
        raise ContentError(f"{where}: {name} is not a list")
    return value


def _texts(fields: t.Mapping[str, t.Any], name: str, where: str) -> tuple[str, ...]:
    values = _list(fields, name, where)
    if not all(isinstance(value, str) and value for value in values):
        raise ContentError(f"{where}: {name} has an entry that is not text")
    return tuple(values)


def _severities(value: t.Any, where: str) -> dict[str, str]:
    return {
        str(word): catalogue.choice({"to": to}, "to", SEVERITIES, where)
        for word, to in catalogue.mapping(value, where).items()
    }


def _steps(value: t.Any, where: str) -> tuple[tuple[float, str], ...]:
    try:
        steps = [(float(least), catalogue.choice({"to": to}, "to", SEVERITIES, where)) for least, to in value]
    except (TypeError, ValueError):
        raise ContentError(f"{where}: a list of [number, severity] is needed") from None
    if steps != sorted(steps, key=lambda step: step[0]):
        raise ContentError(f"{where}: the numbers must rise")
    return tuple(steps)


def _rule(value: t.Any, where: str) -> dict[str, t.Any]:
    rule = dict(catalogue.mapping(value, where))
    for name in rule:
        if name not in _RULE_FIELDS:
            raise ContentError(f"{where}: unknown field '{name}'; known are {', '.join(_RULE_FIELDS)}")
    for name in ("title", "query"):
        catalogue.text(rule, name, where)
    catalogue.choice(rule, "severity", SEVERITIES, where)
    for column, patterns in catalogue.mapping(rule.get("columns", {}), f"{where}: columns").items():
        for pattern in patterns if isinstance(patterns, list) else [patterns]:
            try:
                re.compile(str(pattern))
            except re.error as error:
                raise ContentError(
                    f"{where}: '{rule['title']}': column {column}: no regular expression: {error}"
                ) from None
    return rule


def _console(value: t.Any, where: str) -> str:
    names = [name for _text, name, _form, _conversion in string.Formatter().parse(str(value)) if name is not None]
    if not str(value).startswith("https://") or not set(names) <= set(_LINK_FIELDS):
        raise ContentError(f"{where}: console must begin with https:// and name only {', '.join(_LINK_FIELDS)}")
    return str(value)
