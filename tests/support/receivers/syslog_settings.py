# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a syslog destination, as the module gives them to the exporter."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations import syslog
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Prepared

from tests.support import option_defaults


def settings(**given: t.Any) -> dict[str, t.Any]:
    """Return settings with the defaults of all that is not given."""
    return option_defaults.filled(syslog.ARGUMENTS, {"address": "localhost", **given})


def receiver(**given: t.Any) -> syslog.SyslogReceiver:
    """Return an opened receiver; its settings were checked before."""
    chosen = settings(**given)
    syslog.check(chosen)
    return syslog.open_receiver(chosen, "siem")


def prepared(text: str, number: int = 0) -> Prepared:
    """Return a message of its own text, ready to be sent."""
    message = f"<134>1 2026-11-29T22:24:00.000Z web1 bulwark - detection - {text}"
    return Prepared(f"uid-{number}", "key", message.encode())
