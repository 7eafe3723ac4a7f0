# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof of a configuration by a daemon of our own, which decides about one file system of our own and nothing else."""

from __future__ import annotations


class ProofError(Exception):
    """A configuration doesn't do what it should; the message is one sentence with the daemon's own words."""


def prove(directory: str, executable: str) -> None:
    """Start the daemon with the configuration in a directory; an untrusted program must be refused, a trusted one run.

    Raises ProofError.
    """
    raise NotImplementedError
