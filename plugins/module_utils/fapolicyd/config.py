# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""fapolicyd.conf: lines "NAME = VALUE", of which the daemon takes the last one of a name (fapolicyd.conf(5))."""

from __future__ import annotations

import typing as t

Config = t.Mapping[str, str]


def parse(text: str) -> Config:
    """Return the settings that a file makes, as the daemon reads it; those that it leaves out are absent."""
    raise NotImplementedError


def changed(text: str, settings: Config) -> str:
    """Return a file with these settings and everything else as it was; the same text if they count already."""
    raise NotImplementedError
