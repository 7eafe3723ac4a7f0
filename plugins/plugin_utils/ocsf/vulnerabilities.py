# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a Vulnerability Finding that says which vulnerabilities a package has, and what fixes them.

The running kernel can have thousands. An event has the most serious in full, as many as fit, and the ids of all.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
import typing as t

# In full in one event, and how many characters of JSON those may take: half of what the store takes for an event.
MOST_IN_FULL = 200
_MOST_CHARACTERS = 262_144
# Names of all of them travel as lines, as a list of an event has at most 1,000 entries.
_MOST_IDS = 10_000
_IDS_IN_A_LINE = 50
_MOST_PACKAGES = 20
_LONGEST = 300
_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
# Whose page tells of a vulnerability or an advisory, by its whole id.
_PAGES = tuple(
    (re.compile(pattern), address)
    for pattern, address in (
        (r"CVE-[0-9]{4}-[0-9]{4,}", "https://nvd.nist.gov/vuln/detail/{}"),
        (r"GHSA(-[0-9a-z]{4}){3}", "https://github.com/advisories/{}"),
        (r"D[SL]A-[0-9]+-[0-9]+", "https://security-tracker.debian.org/tracker/{}"),
        (r"USN-[0-9]+-[0-9]+", "https://ubuntu.com/security/notices/{}"),
        (r"RH[SBE]A-[0-9]{4}:[0-9]+", "https://access.redhat.com/errata/{}"),
        (r"ELSA-[0-9]{4}-[0-9]+", "https://linux.oracle.com/errata/{}.html"),
        (r"FEDORA-[0-9]{4}-[0-9a-f]{10}", "https://bodhi.fedoraproject.org/updates/{}"),
        (r"(GO|PYSEC|RUSTSEC)-[0-9]{4}-[0-9]+", "https://osv.dev/vulnerability/{}"),
    )
)
_EPSS_PAGE = "https://www.first.org/epss/"
# EPSS scores from here on raise the severity (priority.yml).
_LIKELY = 0.1
_MOST_REFERENCES = 5


@dataclasses.dataclass(frozen=True)
class Affected:
    """An installed package that has the vulnerability. fixed: the version that fixes it here, "" for none."""

    name: str
    version: str
    fixed: str = ""
    arch: str = ""
    path: str = ""
    purl: str = ""
    manager: str = ""

    def to_ocsf(self) -> dict[str, t.Any]:
        """Return the OCSF ``affected_package``."""
        fields = {
            "name": self.name,
            "version": self.version,
            "fixed_in_version": self.fixed,
            "architecture": self.arch,
            "path": self.path,
            "purl": self.purl,
            "package_manager": self.manager,
        }
        return {name: value for name, value in fields.items() if value or name in ("name", "version")}


class Cvss(t.NamedTuple):
    """A base score. version: as ``3.1``."""

    version: str
    score: float
    vector: str


class Epss(t.NamedTuple):
    """How likely exploitation is within 30 days, from 0 to 1. date: the ISO day of this estimate."""

    score: float
    percentile: float
    date: str


@dataclasses.dataclass(frozen=True)
class Vulnerability:
    """One vulnerability of a package. id: a CVE, or the id of an advisory where there is no CVE.

    severity: the distribution's own. why: its priority in words. aliases: further names of it.
    """

    id: str
    packages: tuple[Affected, ...]
    title: str = ""
    severity: str = ""
    why: str = ""
    aliases: tuple[str, ...] = ()
    cvss: tuple[Cvss, ...] = ()
    epss: Epss | None = None
    is_exploited: bool = False
    is_fixed: bool = False

    def references(self) -> list[str]:
        """Return the pages about it and its advisories. EPSS explains only a score that matters."""
        pages = [page for name in (self.id, *self.aliases) for page in _pages(name)][:_MOST_REFERENCES]
        return pages + ([_EPSS_PAGE] if self.epss is not None and self.epss.score >= _LIKELY else [])

    def to_ocsf(self, remediation: t.Mapping[str, t.Any], now: float) -> dict[str, t.Any]:
        """Return the OCSF ``vulnerability``, which has exactly one of cve, advisory and cwe."""
        named: dict[str, t.Any] = {"uid": self.id}
        if _CVE.fullmatch(self.id):
            if self.cvss:
                named["cvss"] = [
                    {"version": version, "base_score": score, "vector_string": vector}
                    for version, score, vector in self.cvss
                ]
            if self.epss is not None:
                named["epss"] = _epss(self.epss)
        fields = {
            "cve" if _CVE.fullmatch(self.id) else "advisory": named,
            "title": self.title[:_LONGEST],
            "desc": self.why[:_LONGEST],
            "severity": self.severity.capitalize(),
            "affected_packages": [package.to_ocsf() for package in self.packages[:_MOST_PACKAGES]],
            "related_vulnerabilities": list(self.aliases[:_MOST_PACKAGES]),
            "references": self.references(),
            "is_exploit_available": self.is_exploited or None,
            "is_fix_available": self.is_fixed,
            "first_seen_time": int(now * 1000),
            "remediation": dict(remediation),
        }
        return {name: value for name, value in fields.items() if value not in (None, "", [])}


@dataclasses.dataclass(frozen=True)
class Upgrade:
    """An upgrade of a host, for a report to add up over all hosts.

    package: as people know it. to: the version, "" for a reboot or a restart. manager: dpkg, rpm, apk, or a language's.
    ends: how many vulnerabilities. exploited: the ids of those that are exploited.
    """

    package: str
    to: str
    manager: str
    ends: int
    exploited: tuple[str, ...] = ()

    def to_ocsf(self) -> dict[str, t.Any]:
        """Return it for ``unmapped.upgrade``."""
        return {**dataclasses.asdict(self), "exploited": list(self.exploited[:_MOST_PACKAGES])}


@dataclasses.dataclass(frozen=True)
class Vulnerabilities:
    """Everything that the controller knows of the vulnerabilities of one package on a host.

    entries: the most serious first. remediation: what to do on this host, in sentences. upgrade: None without
    a fix.
    """

    entries: tuple[Vulnerability, ...]
    remediation: str
    upgrade: Upgrade | None = None

    def to_ocsf(self, references: t.Sequence[str], now: float) -> list[dict[str, t.Any]]:
        """Return the OCSF ``vulnerabilities``: the most serious, as many as fit."""
        remediation: dict[str, t.Any] = {"desc": self.remediation}
        shown: list[dict[str, t.Any]] = []
        room = _MOST_CHARACTERS
        for entry in self.entries[:MOST_IN_FULL]:
            # What to do and where to read about it is the same for all of them.
            made = entry.to_ocsf(remediation if shown else {**remediation, "references": list(references)}, now)
            room -= len(json.dumps(made))
            if room < 0 and shown:
                break
            shown.append(made)
        return shown

    def unmapped(self) -> dict[str, t.Any]:
        """Return what OCSF has no attribute for."""
        ids = [entry.id for entry in self.entries[:_MOST_IDS]]
        return {
            "vulnerability_count": len(self.entries),
            "vulnerability_ids": [
                " ".join(ids[start : start + _IDS_IN_A_LINE]) for start in range(0, len(ids), _IDS_IN_A_LINE)
            ],
            **({"upgrade": self.upgrade.to_ocsf()} if self.upgrade is not None else {}),
        }


def _pages(name: str) -> list[str]:
    return [address.format(name) for pattern, address in _PAGES if pattern.fullmatch(name)]


def _epss(epss: Epss) -> dict[str, t.Any]:
    made: dict[str, t.Any] = {"score": f"{epss.score:.5f}", "percentile": epss.percentile}
    try:
        day = dt.datetime.strptime(epss.date, "%Y-%m-%d").replace(tzinfo=dt.UTC)
    except ValueError:
        return made
    return {**made, "created_time": int(day.timestamp() * 1000)}
