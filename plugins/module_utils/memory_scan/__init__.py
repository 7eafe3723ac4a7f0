# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory scans: ``collect`` lists the processes, lets each of ``checks`` look at them, and makes detections of that.

``model`` and ``view`` have what the parts say to each other. What the checks need is in ``proc`` (reading /proc),
``machine_code`` (what instructions do), ``mapped_code`` (files that code comes from, and memory that has none),
``identity`` (what a program is, where it came from, what it may do) and ``known_tools`` (signatures).
"""
