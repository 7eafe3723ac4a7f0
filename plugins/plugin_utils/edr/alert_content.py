# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The products whose alerts are read, on hosts or from exported files."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import products
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.alert_sources import IMPORT, AlertSource
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.security_product import Description


@functools.lru_cache(maxsize=1)
def load() -> t.Mapping[str, AlertSource]:
    """Return the alerts of all products by the product's id; raise ContentError for an entry that is wrong."""
    return {name: product.alerts for name, product in products.load().items() if product.alerts is not None}


@functools.lru_cache(maxsize=1)
def on_hosts() -> t.Mapping[str, AlertSource]:
    """Return those of products that keep alerts on the host."""
    return {name: each for name, each in load().items() if each.form != IMPORT}


@functools.lru_cache(maxsize=1)
def descriptions() -> t.Mapping[str, Description]:
    """Return how findings describe the products, by id."""
    return {each.id: Description(each.id, each.name, each.vendor, each.console, each.hosts) for each in load().values()}


@functools.lru_cache(maxsize=1)
def packed() -> str:
    """Return the option ``_content`` for hosts."""
    return payload.packed({"sources": [each.entry for each in on_hosts().values()]})
