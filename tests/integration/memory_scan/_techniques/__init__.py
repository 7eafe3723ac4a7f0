# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Techniques of fileless attacks as harmless programs, and what has to be seen of each.

``table`` says what is expected, ``starters`` start them, ``programs`` and ``scripts`` are their sources, ``bench``
builds and ends them. All of it only waits, or connects to loopback, and ends by itself after two minutes.
"""
