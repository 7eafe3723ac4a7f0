# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sigma rules on the host: the form that the controller compiled (plugin_utils/sigma), matched by the standard library.

``engine.RuleSet`` says which rules match one view of an event, ``correlator.Correlator`` which correlations follow from
such matches over time.
"""
