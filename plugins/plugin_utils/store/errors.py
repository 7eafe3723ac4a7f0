# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that the store raises."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot do what was asked; the message is one sentence that says why and what to do."""
