# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step of ``migrations`` that adds simulated attacks, and the simulation of each finding."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def create(connection: sa.Connection) -> None:
    """Add the table of simulations, and their column in the findings."""
    number = "DOUBLE PRECISION" if connection.dialect.name == "postgresql" else "DOUBLE"
    for statement in (
        f"""CREATE TABLE bulwark_simulations (
            id TEXT NOT NULL,
            host TEXT NOT NULL,
            started {number} NOT NULL,
            ended {number},
            "by" TEXT NOT NULL,
            alerts TEXT NOT NULL,
            sessions TEXT NOT NULL,
            PRIMARY KEY (id)
        )""",
        "CREATE INDEX ix_bulwark_simulations_host ON bulwark_simulations (host, started)",
        "ALTER TABLE bulwark_findings ADD COLUMN simulation TEXT",
        "CREATE INDEX ix_bulwark_findings_simulation ON bulwark_findings (simulation) WHERE simulation IS NOT NULL",
    ):
        connection.exec_driver_sql(statement)
