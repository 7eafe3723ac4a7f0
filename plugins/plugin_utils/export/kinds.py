# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of destinations. A new kind is a module in ``destinations``, a line here, and its documentation."""

from __future__ import annotations

import importlib
import types
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Receiver

# The kinds, each with the option that says where the receiver is. The module in ``destinations`` has the kind's name.
KINDS: t.Mapping[str, str] = types.MappingProxyType(
    {
        "elastic": "url",
        "file": "path",
        "kafka": "brokers",
        "sentinel": "endpoint",
        "splunk": "url",
        "syslog": "address",
        "webhook": "url",
    }
)

_PACKAGE = f"{__name__.rpartition('.')[0]}.destinations"


class Kind(t.Protocol):
    """A module of ``destinations``.

    ARGUMENTS: the argument spec of its options, in which each secret has ``no_log``. It is read without the kind's
    library, so that the module imports this in its functions.
    """

    ARGUMENTS: t.Mapping[str, t.Mapping[str, t.Any]]

    def check(self, settings: t.Mapping[str, t.Any]) -> None:
        """Raise ExportError for options that cannot work, and for a library that is missing. Makes no connection."""

    def open_receiver(self, settings: t.Mapping[str, t.Any], destination_name: str) -> Receiver:
        """Return a receiver; raise ExportError.

        The first ``send`` makes the connection, and nothing before it: a dry run opens a receiver and only prepares.
        """


def load(kind: str) -> Kind:
    """Return the module of a kind."""
    return t.cast("Kind", importlib.import_module(f"{_PACKAGE}.{kind}"))


def arguments() -> dict[str, dict[str, t.Any]]:
    """Return an option for each kind, with the options of the kind in it."""
    return {kind: {"type": "dict", "options": dict(load(kind).ARGUMENTS)} for kind in KINDS}
