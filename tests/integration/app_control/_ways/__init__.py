# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to run code as harmless scripts, and what each look reports of them.

``table`` and ``binaries`` say what is expected, ``starters`` has the scripts, ``host`` the system that they run on,
``looks`` what is then asked. ``document`` writes the page. All that they start ends by itself after ten minutes.
"""
