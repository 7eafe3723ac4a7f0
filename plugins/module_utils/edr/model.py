# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models of endpoint protection: the health of a product, and its alerts."""

from __future__ import annotations

import typing as t

# It stops what it finds, it only reports, or the kernel does not let it see everything.
BLOCK, PASSIVE, REDUCED = MODES = ("block", "passive", "reduced")


class Exclusion(t.NamedTuple):
    """Something that a product does not look at. kind: ``path``, ``extension``, ``process``, ``hash`` or ``other``."""

    kind: str
    value: str


class Health(t.NamedTuple):
    """The health that a product reports and that the system shows. None: not known, which is neither yes nor no.

    product: the id of its entry in the content. tenant: the id of the customer or management server that it reports to.
    engine, content: versions; content_time, expires: seconds since the epoch. conflicts: other products that it names.
    problems: what the product itself says is wrong, each one sentence or its own code. unread: sentences about what of
    its outputs is in an unknown form.
    """

    product: str
    version: str | None = None
    running: bool | None = None
    onboarded: bool | None = None
    tenant: str | None = None
    real_time: bool | None = None
    mode: str | None = None
    engine: str | None = None
    content: str | None = None
    content_time: float | None = None
    up_to_date: bool | None = None
    tamper_protection: bool | None = None
    cloud: bool | None = None
    expires: float | None = None
    exclusions: t.Sequence[Exclusion] | None = None
    conflicts: t.Sequence[str] = ()
    problems: t.Sequence[str] = ()
    unread: t.Sequence[str] = ()
    details: t.Mapping[str, t.Any] = {}


class ProductAlert(t.NamedTuple):
    """An alert of a product, from a log of the host, from its command, or from an exported file.

    product: the id of its entry in the content. uid: the product's own id of the alert, None if it has none. title,
    rule: what the product calls it and the rule that raised it. severity: one of ``_finding.SEVERITIES``,
    translated by the content of the product; own_severity: the product's word or number, empty if it has none.
    outcome: ``detected``, ``blocked``, ``quarantined`` or ``remediated``. subject: identifies the same threat in the
    same file or process in later alerts. evidences: OCSF evidences. malware: names of malware. host: names, addresses
    and product ids of the host that the alert is about; empty for the host that it was read on. link: parameters for
    the console's address.
    """

    product: str
    title: str
    subject: str
    time: float | None
    severity: str
    own_severity: str
    uid: str | None = None
    rule: str | None = None
    outcome: str = "detected"
    techniques: t.Sequence[str] = ()
    malware: t.Sequence[str] = ()
    evidences: t.Sequence[t.Mapping[str, t.Any]] = ()
    host: t.Sequence[str] = ()
    link: t.Mapping[str, str] = {}
