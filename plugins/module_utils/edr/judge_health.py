# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the health that a product reports. Pure.

One cause is one finding: a product in passive mode is not reported for its real-time protection as well.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import detection, printable
from ansible_collections.bulwark.servers.plugins.module_utils.edr import exclusions
from ansible_collections.bulwark.servers.plugins.module_utils.edr.entry import PROTECTION, SCANNER, SENSOR, Entry
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import PASSIVE, REDUCED, Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.options import Options

HEALTH_SCOPE = "health"

_DAY = 86_400.0
_MOST_NAMED = 5

Detection = t.Dict[str, t.Any]


def judge_health(entry: Entry, health: Health, options: Options, now: float) -> list[Detection]:
    """Return the detections about the health of a product that runs. now: seconds since the epoch."""
    detections = [
        _protecting(entry, health),
        _reporting(entry, health),
        _content(entry, health, options.content_age, now),
        _tampering(entry, health),
        _excluding(entry, health, options.accepted_exclusions),
        _expiring(entry, health, options.expiry_days, now),
    ]
    if health.conflicts:
        names = ", ".join(printable(name) for name in health.conflicts[:_MOST_NAMED])
        message = "%s reports conflicts with %s." % (entry.title, names)
        detections.append(about(entry, "edr_conflict", HEALTH_SCOPE, message, [_facts(health)]))
    if health.problems:
        listed = "; ".join(printable(problem) for problem in health.problems[:_MOST_NAMED])
        message = "%s reports: %s." % (entry.title, listed.rstrip("."))
        detections.append(about(entry, "edr_problem", HEALTH_SCOPE, message, [_facts(health)]))
    return [each for each in detections if each is not None]


def _protecting(entry: Entry, health: Health) -> Detection | None:
    """Judge whether it stops anything. One that only searches when asked has no real-time protection to be off."""
    healthy = " It calls itself healthy." if health.details.get("healthy") else ""
    if health.mode == REDUCED:
        message = "%s runs in reduced mode: the kernel does not show it what processes do." % entry.title
        return about(entry, "edr_reduced", HEALTH_SCOPE, message, [_facts(health)])
    if health.real_time is False and entry.kind != SCANNER:
        passive = " and it runs in passive mode" if health.mode == PASSIVE else ""
        message = "%s does not protect: real-time protection is off%s.%s" % (entry.title, passive, healthy)
        return about(entry, "edr_protection_off", HEALTH_SCOPE, message, [_facts(health)])
    if health.mode == PASSIVE:
        message = "%s runs in passive mode: it reports and stops nothing." % entry.title
        return about(entry, "edr_passive", HEALTH_SCOPE, message, [_facts(health)])
    return None


def _reporting(entry: Entry, health: Health) -> Detection | None:
    if health.onboarded is False:
        message = "%s reports to no tenant or manager, so nobody sees its alerts." % entry.title
        return about(entry, "edr_not_onboarded", HEALTH_SCOPE, message, [_facts(health)])
    if health.cloud is False:
        message = "%s has no connection to %s." % (entry.title, printable(health.tenant or "its management"))
        return about(entry, "edr_disconnected", HEALTH_SCOPE, message, [_facts(health)])
    return None


def _content(entry: Entry, health: Health, days: int, now: float) -> Detection | None:
    """Judge the age of signatures. The product's own word counts only where it gives no time."""
    if not days:
        return None
    age = (now - health.content_time) / _DAY if health.content_time is not None else None
    if not (age > days if age is not None else health.up_to_date is False):
        return None
    version = " %s" % printable(health.content) if health.content else ""
    known = "are %d days old" % age if age is not None else "are out of date, as it reports"
    message = "The signatures%s of %s %s." % (version, entry.title, known)
    return about(entry, "edr_content_old", HEALTH_SCOPE, message, [_facts(health)])


def _tampering(entry: Entry, health: Health) -> Detection | None:
    if health.tamper_protection is not False or entry.kind not in (PROTECTION, SENSOR):
        return None
    message = "%s lets root stop and change it: tamper protection does not block." % entry.title
    return about(entry, "edr_tamper_protection_off", HEALTH_SCOPE, message, [_facts(health)])


def _excluding(entry: Entry, health: Health, accepted: t.Container[str]) -> Detection | None:
    broad = exclusions.broad(health.exclusions or (), accepted)
    if not broad:
        return None
    listed = ["%s %s: %s" % (each.kind, printable(each.value), reason) for each, reason in broad]
    more = len(listed) - _MOST_NAMED
    message = "%s excludes too much (%s%s)." % (
        entry.title,
        "; ".join(listed[:_MOST_NAMED]),
        "; and %d more" % more if more > 0 else "",
    )
    evidence = {"data": {"exclusions": listed[:100]}}
    return about(entry, "edr_broad_exclusion", HEALTH_SCOPE, message, [evidence])


def _expiring(entry: Entry, health: Health, days: int, now: float) -> Detection | None:
    if health.expires is None or health.expires - now > days * _DAY:
        return None
    is_over = health.expires <= now
    message = "%s %s on %s." % (entry.title, "expired" if is_over else "expires", day(health.expires))
    severity = "high" if is_over else None
    return about(entry, "edr_expiring", HEALTH_SCOPE, message, [_facts(health)], severity=severity)


def about(
    entry: Entry, alert: str, scope: str, message: str, evidences: t.Sequence[t.Mapping[str, t.Any]], **more: t.Any
) -> Detection:
    """Return a detection about a product, which is its subject. more: as of ``_finding.detection``."""
    return detection(alert, entry.id, scope, evidences, message=message, **more)


def _facts(health: Health) -> dict[str, t.Any]:
    """Return the reported health as evidence, without unknown values and without lists."""
    values = {
        name: printable(value) if isinstance(value, str) else value
        for name, value in health._asdict().items()
        if name not in ("exclusions", "conflicts", "problems", "details") and value is not None
    }
    return {"data": values}


def day(seconds: float) -> str:
    """Return the day of a time, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
