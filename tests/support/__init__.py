# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests share: ``require`` and the paths and interpreters it knows about."""

from __future__ import annotations

from tests.support._require import give_up, missing, require

__all__ = ["give_up", "missing", "require"]
