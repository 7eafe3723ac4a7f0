# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The products of endpoint protection: ``content/edr/products/ID.yml``, checked, and as the host gets them."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.entry import KINDS, SYSTEM
from ansible_collections.bulwark.servers.plugins.module_utils.edr.options import ANY
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_sources
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.alert_sources import AlertSource

DIRECTORY = catalogue.CONTENT / "edr" / "products"

_ID = re.compile(r"[a-z][a-z0-9_]{1,40}")
_TEXTS = ("title", "vendor", "reference")
_NAMES = ("packages", "units", "accounts")
_PATHS = ("programs", "sockets", "paths")
# The lists of each source of ``commands``, ``files`` and ``queries``, and what else one can have.
_SOURCES: t.Mapping[str, tuple[str, t.Mapping[str, type]]] = {
    "commands": ("programs", {"arguments": list}),
    "files": ("paths", {"fresh": int}),
    "queries": ("sockets", {"send": str}),
}
_KNOWN = (*_TEXTS, "kind", *_NAMES, *_PATHS, *_SOURCES, "self_updating", "alerts")


@dataclasses.dataclass(frozen=True)
class Product:
    """One product. payload: what the host gets to look at its health. alerts: None for one that raises none.

    reference: where its maker describes its health.
    """

    id: str
    title: str
    vendor: str
    kind: str
    reference: str
    payload: t.Mapping[str, t.Any]
    alerts: AlertSource | None = None


@functools.lru_cache(maxsize=1)
def load() -> t.Mapping[str, Product]:
    """Return the products by id; raise ContentError for a file that is wrong."""
    return {path.stem: parse(catalogue.read(path), path.stem) for path in sorted(DIRECTORY.glob("*.yml"))}


@functools.lru_cache(maxsize=1)
def packed() -> str:
    """Return the option ``_content`` of edr_info."""
    return payload.packed({"products": {product.id: product.payload for product in load().values()}})


def check_expected(expected: t.Sequence[str]) -> None:
    """Raise ContentError for a name that is neither a product's nor ``any``."""
    known = load()
    for name in expected:
        if name != ANY and name not in known:
            listed = ", ".join([ANY, *known])
            raise ContentError(f"expected: there is no product '{name}'; the collection knows {listed}")


def parse(data: t.Any, identifier: str) -> Product:
    """Return a product from the mapping that its file holds; raise ContentError for one that is wrong."""
    where = f"edr/products/{identifier}.yml"
    if not _ID.fullmatch(identifier):
        raise ContentError(f"{where}: a name is lower-case letters, digits and underscores")
    fields = catalogue.mapping(data, where)
    for name in fields:
        if name not in _KNOWN:
            raise ContentError(f"{where}: unknown field '{name}'; known are {', '.join(_KNOWN)}")
    texts = {name: catalogue.text(fields, name, where) for name in _TEXTS}
    kind = catalogue.choice(fields, "kind", KINDS, where)
    sent: dict[str, t.Any] = {"title": texts["title"], "kind": kind}
    for name in (*_NAMES, *_PATHS):
        values = _list(fields.get(name, []), f"{where}: {name}", name in _PATHS)
        if values:
            sent[name] = values
    for name in _SOURCES:
        if name in fields:
            sent[name] = _sources(fields[name], name, where)
    if not isinstance(fields.get("self_updating", False), bool):
        raise ContentError(f"{where}: self_updating is true or false")
    if fields.get("self_updating"):
        sent["self_updating"] = True
    if not any(sent.get(name) for name in ("packages", "programs", "paths")):
        raise ContentError(f"{where}: nothing shows that it is there; give it packages, programs or paths")
    if kind != SYSTEM and "programs" not in sent:
        raise ContentError(f"{where}: programs is missing; without it nobody knows whether the product runs")
    return Product(
        id=identifier,
        kind=kind,
        payload=sent,
        alerts=_alerts(fields, where, identifier, sent),
        **texts,
    )


def _alerts(
    fields: t.Mapping[str, t.Any], where: str, identifier: str, sent: t.Mapping[str, t.Any]
) -> AlertSource | None:
    if "alerts" not in fields:
        return None
    title, vendor = (catalogue.text(fields, name, where) for name in ("title", "vendor"))
    alerts = alert_sources.parse(
        fields["alerts"], f"{where}: alerts", identifier, title, vendor, sent.get("programs", ())
    )
    # One that replaces its own programs has others than its package shipped.
    packages = () if sent.get("self_updating") else tuple(sent.get("packages", ()))
    accounts = tuple(sent.get("accounts", ()))
    return dataclasses.replace(alerts, packages=packages if alerts.command else (), accounts=accounts)


def _list(values: t.Any, field: str, are_paths: bool) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        raise ContentError(f"{field} is not a list of texts")
    for value in values:
        if are_paths and not value.startswith("/"):
            raise ContentError(f"{field}: '{value}' is relative; give an absolute path")
    return values


def _sources(value: t.Any, name: str, where: str) -> dict[str, t.Any]:
    listed, optional = _SOURCES[name]
    sources = {}
    for source, given in catalogue.mapping(value, f"{where}: {name}").items():
        label = f"{where}: {name}: {source}"
        fields = catalogue.mapping(given, label)
        if not _list(fields.get(listed, []), f"{label}: {listed}", are_paths=True):
            raise ContentError(f"{label}: {listed} is missing")
        for field, content in fields.items():
            if field != listed and (field not in optional or not isinstance(content, optional[field])):
                raise ContentError(f"{label}: {field} is unknown or wrong; known are {', '.join((listed, *optional))}")
        sources[str(source)] = dict(fields)
    return sources
