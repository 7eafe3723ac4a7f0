#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: store_copy
short_description: Copy the store to another database
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Copies everything from O(store) to O(destination), from SQLite to PostgreSQL, back, or between two databases of the
    same kind. Findings keep their status and history, baselines their seals, logs their checkpoints, and requests for
    open ports their state. A scan with the destination goes on where the last one ended.
  - Reads the store as it is at one time, also while a scan writes into it. What is recorded in it afterwards is not in
    the destination, so let running scans end first, and use only the destination from then on.
  - Writes in one transaction. Before that is committed, each table is read back and compared by its number of rows and
    a digest. A copy that fails or is killed leaves no rows in the destination.
  - Refuses a destination that has anything in a table of the store.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
    details:
      - Counts the rows that would be copied, and refuses what would be refused.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - The second copy to the same destination fails, because that is not empty any more.
  platform:
    support: full
    platforms: all
options:
  destination:
    description:
      - SQLAlchemy URL of the database to copy to, as in V(postgresql://bulwark@db.example.com/bulwark) or
        V(sqlite:////var/lib/bulwark/findings.db).
      - A file that does not exist is created with mode C(0600). A PostgreSQL database must exist. It may hold other
        tables.
      - Keep a password out of the URL. PostgreSQL takes it from C(~/.pgpass) or E(PGPASSFILE).
    type: str
    required: true
seealso:
  - module: bulwark.servers.findings_run
"""

EXAMPLES = r"""
- name: Take the store of this account to PostgreSQL
  bulwark.servers.store_copy:
    destination: postgresql://bulwark@db.example.com/bulwark
  run_once: true
  register: copied

- name: Show the number of rows and the digest of each table
  ansible.builtin.debug:
    var: copied.tables
  run_once: true

- name: Take it back into a file
  bulwark.servers.store_copy:
    store: postgresql://bulwark@db.example.com/bulwark
    destination: sqlite:////var/lib/bulwark/findings.db
  run_once: true
"""

RETURN = r"""
source:
  description: The file or URL of the store, without a password.
  returned: success
  type: str
  sample: /home/alice/.local/state/bulwark/findings.db
destination:
  description: The file or URL of the destination, without a password.
  returned: success
  type: str
  sample: postgresql://bulwark@db.example.com/bulwark
rows:
  description: The number of rows of all tables together.
  returned: success
  type: int
  sample: 9817
tables:
  description: The tables that were copied, or would be.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the table.
      returned: always
      type: str
      sample: bulwark_findings
    rows:
      description: The number of its rows.
      returned: always
      type: int
      sample: 412
    digest:
      description:
        - Digest of its rows, the same in both databases, as hexadecimal digits. It is the sum, modulo 2 to the power of
          256, of the SHA-256 of each row as a JSON array of its values. It does not depend on the order of the rows.
        - None in check mode.
      returned: always
      type: str
      sample: 3f1c0a6f9f6a5a1d4f1f2b7f6f0f6f1b2c7d8e9fa0b1c2d3e4f5061728394a5b
summary:
  description: The same for people, as lines of text.
  returned: success
  type: list
  elements: str
  sample:
    - "table                           rows  digest"
    - "bulwark_runs                       3  3f1c0a6f9f6a5a1d4f1f2b7f6f0f6f1b2c7d8e9fa0b1c2d3e4f5061728394a5b"
"""
