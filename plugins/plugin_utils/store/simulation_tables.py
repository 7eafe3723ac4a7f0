# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of simulated attacks."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def simulations(metadata: sa.MetaData) -> sa.Table:
    """One row for each host and simulation, as in ``Simulation``."""
    return sa.Table(
        "bulwark_simulations",
        metadata,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
        sa.Column("by", sa.Text, nullable=False),
        # As JSON.
        sa.Column("alerts", sa.Text, nullable=False),
        sa.Column("sessions", sa.Text, nullable=False),
        sa.Index("ix_bulwark_simulations_host", "host", "started"),
    )
