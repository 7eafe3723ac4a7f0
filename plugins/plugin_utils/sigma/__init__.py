# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sigma rules on the controller: read, parsed by pySigma, and compiled to what module_utils/sigma matches on hosts.

``documents`` reads files, ``sources`` maps log sources, ``nodes`` and ``correlate`` translate, ``prefilter``
finds what a match can't do without, and ``compiler`` puts it together. A rule that can't be used becomes a ``Problem``.
"""
