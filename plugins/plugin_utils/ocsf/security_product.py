# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe in a finding the security product that raised the alert: its name, its rule, its severity, its malware.

The host sends an id and texts. Name, vendor and the address of the console come from the content of this collection,
so that no host can put words into the mouth of another product, or a link of its choice into a finding.
"""

from __future__ import annotations

import re
import string
import typing as t
import urllib.parse

from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import AttackReference, Catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence

_LIMIT = 1_000
_MALWARE_LIMIT = 20
_TECHNIQUES_LIMIT = 50
OUTCOMES = ("detected", "blocked", "quarantined", "remediated")
_TECHNIQUE = re.compile(r"T\d{4}(\.\d{3})?")
# What an address can hold whatever it means there.
_LINK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}")
# OCSF's malware.classification_ids by words in a name of malware; what has none of them is Unknown.
_CLASSES = (
    ("ransom", 10, "Ransomware"),
    ("rootkit", 15, "Rootkit"),
    ("backdoor", 2, "Backdoor"),
    ("webshell", 20, "Webshell"),
    ("miner", 13, "Resource-Exploitation"),
    ("trojan", 18, "Trojan"),
    ("worm", 22, "Worm"),
    ("adware", 1, "Adware"),
    ("spyware", 17, "Spyware"),
    ("keylog", 9, "Keylogger"),
    ("dropper", 7, "Dropper"),
    ("exploit", 8, "Exploit-Kit"),
    ("virus", 19, "Virus"),
)


class Description(t.NamedTuple):
    """A product as the content describes it. console: addresses with ``{name}`` for what alerts have, the best first.

    hosts: domains that an address which the product itself gives may be below.
    """

    id: str
    name: str
    vendor: str
    console: t.Sequence[str] = ()
    hosts: t.Sequence[str] = ()


class SecurityProduct(t.NamedTuple):
    """What a detection says of the product that raised the alert, checked."""

    description: Description
    uid: str | None
    title: str | None
    rule: str | None
    severity: str | None
    outcome: str
    malware: t.Sequence[str]
    techniques: t.Sequence[str]
    link: str | None
    reporter: str | None

    def apply(self, event: dict[str, t.Any], unknown: t.Sequence[str], ours: t.Mapping[str, t.Any]) -> None:
        """Add the product to an event. unknown: its techniques without an entry in ``attack.yml``; ours: product."""
        name = self.description.name
        described = {"name": name, "vendor_name": self.description.vendor, "uid": self.description.id}
        rule = self.rule or self.title or name
        finding = event["finding_info"]
        finding["analytic"] = {"type_id": 1, "type": "Rule", "uid": rule, "name": self.title or rule, "category": name}
        finding["product"] = described
        if self.title:
            finding["title"] = f"{name}: {self.title}"
        if self.uid:
            finding["uid_alt"] = self.uid
        if self.link:
            finding["src_url"] = self.link
        event["metadata"]["product"] = described
        event["metadata"]["loggers"] = [{"name": ours["name"], "product": dict(ours)}]
        if self.malware:
            event["malware"] = [_malware(each, self.description) for each in self.malware]
        details = {
            "id": self.description.id,
            "alert_uid": self.uid,
            "rule": self.rule,
            "severity": self.severity,
            "outcome": self.outcome,
            "reporter": self.reporter,
        }
        event["unmapped"]["product"] = {key: value for key, value in details.items() if value is not None}
        if unknown:
            event["unmapped"]["product"]["unknown_techniques"] = list(unknown)


def read(value: t.Any, known: t.Mapping[str, Description]) -> SecurityProduct:
    """Return what a detection says of a product; raise UnfitError for one that is not known, or a wrong kind."""
    fields = evidence.mapping(value)
    identifier = fields.get("id")
    if not isinstance(identifier, str) or identifier not in known:
        raise evidence.UnfitError("its id is not that of a product whose alerts this collection reads")
    description = known[identifier]
    return SecurityProduct(
        description=description,
        uid=alert_uid(fields.get("uid")),
        title=_text(fields, "title"),
        rule=_text(fields, "rule"),
        severity=_text(fields, "severity"),
        outcome=evidence.choice(fields.get("outcome", "detected"), OUTCOMES),
        malware=_texts(fields.get("malware"), _MALWARE_LIMIT),
        techniques=_techniques(fields.get("techniques")),
        link=_link(fields.get("link"), description),
        reporter=_text(fields, "reporter"),
    )


def alert_uid(value: t.Any) -> str | None:
    """Return a product's own id of an alert as events have it, None for none; raise UnfitError for another kind."""
    return _text({"uid": value}, "uid")


def attacks(
    named: t.Sequence[str], before: t.Sequence[AttackReference], catalogue: Catalogue
) -> tuple[list[AttackReference], list[str]]:
    """Return the techniques with those that a product names, and the ids that the catalogue has no entry of.

    Products name techniques that this collection never raises; an alert must not be lost for that. The technique of a
    sub-technique that is not listed may be listed itself.
    """
    references = {reference.technique: reference for reference in before}
    unknown = []
    for identifier in named:
        for candidate in (identifier, identifier.partition(".")[0]):
            if candidate in catalogue.techniques:
                reference = catalogue.technique(candidate)
                references.setdefault(reference.technique, reference)
                break
        if identifier not in catalogue.techniques:
            unknown.append(identifier)
    return list(references.values()), unknown


def _text(fields: t.Mapping[t.Any, t.Any], name: str) -> str | None:
    value = fields.get(name)
    return None if value is None or value == "" else evidence.line(value, _LIMIT)


def _texts(value: t.Any, limit: int) -> list[str]:
    lines = (evidence.line(each, _LIMIT) for each in evidence.sequence(value or ())[:limit])
    return list(dict.fromkeys(each for each in lines if each))


def _techniques(value: t.Any) -> list[str]:
    """Return the ids of techniques; what has not their form is named nowhere."""
    given = evidence.sequence(value or ())[:_TECHNIQUES_LIMIT]
    return list(dict.fromkeys(each for each in given if isinstance(each, str) and _TECHNIQUE.fullmatch(each)))


def _link(value: t.Any, description: Description) -> str | None:
    """Return the address of an alert in the product's console, None where not all is known that it needs."""
    given = {
        key: each
        for key, each in evidence.mapping(value or {}).items()
        if isinstance(key, str) and isinstance(each, str) and each
    }
    own = given.get("url")
    if own is not None and _is_of_product(own, description):
        return own
    known = {name: urllib.parse.quote(each, safe="") for name, each in given.items() if _LINK.fullmatch(each)}
    for template in description.console:
        if all(part[1] is None or part[1] in known for part in string.Formatter().parse(template)):
            return template.format(**known)
    return None


def _is_of_product(address: str, description: Description) -> bool:
    """Say whether an address leads to the product's console, and to nothing else for any reader of addresses."""
    if (
        not address.isascii()
        or not address.isprintable()
        or len(address) > _LIMIT
        or re.search(r"[\s\\<>\"'`]", address)
    ):
        return False
    try:
        parts = urllib.parse.urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    is_plain = parts.scheme == "https" and parts.username is None and parts.netloc.lower() == host
    return is_plain and any(host == each or host.endswith("." + each) for each in description.hosts)


def _malware(name: str, description: Description) -> dict[str, t.Any]:
    lowered = name.lower()
    number, caption = next(((uid, shown) for word, uid, shown in _CLASSES if word in lowered), (0, "Unknown"))
    return {
        "name": name,
        "classification_ids": [number],
        "classifications": [caption],
        "provider": description.name,
    }
