# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# /// script
# dependencies = ["nox>=2025.02.09", "antsibull-nox"]
# ///
"""The checks of the Ansible community over the whole version matrix; `make test` runs what one machine can."""

from __future__ import annotations

import sys

import nox

try:
    import antsibull_nox
except ImportError:
    sys.exit("noxfile.py needs antsibull-nox: run 'make test-environment', then '.build/test/bin/nox'.")

antsibull_nox.load_antsibull_nox_toml()

if __name__ == "__main__":
    nox.main()
