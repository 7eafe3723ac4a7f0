# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threat lists: addresses, domains, hashes and file names that others report, from text, CSV and STIX 2.1 files.

``options`` checks what the user says, ``text`` and ``stix`` read, ``entries`` says what an entry is, and ``rules``
makes rules of them that hosts match as they do all others (``module_utils/sigma/threats.py``).
"""
