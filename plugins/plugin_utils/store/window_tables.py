# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of maintenance windows, in which hosts let everything run."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def windows(metadata: sa.MetaData) -> sa.Table:
    """One row for each window that somebody asked a host for, as in ``AppWindow``."""
    return sa.Table(
        "bulwark_app_windows",
        metadata,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False, index=True),
        sa.Column("opened_by", sa.Text, nullable=False),
        sa.Column("opened_account", sa.Text, nullable=False),
        sa.Column("opened_login", sa.Text),
        sa.Column("opened_asserted", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("ended_by", sa.Text),
        sa.Column("end_reason", sa.Text),
    )
