# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule says when it matches: its identity, alert, severity, techniques, subject and message."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import EXPLANATIONS, USER_ALERT
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import Alert
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.documents import Document
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import UnusableError

# The key of a rule that is not Sigma's.
OWN_KEY = "bulwark"
# step: the rule is only part of correlations, and no finding by itself.
_OWN_FIELDS = ("alert", "subject", "message", "step", "explained_by")
_LONGEST_TITLE = 256


class Known(t.NamedTuple):
    """What rules may name. fields_of: the fields that events of a source can have, None where their records decide."""

    alerts: t.Mapping[str, Alert]
    techniques: t.Collection[str]
    fields_of: t.Callable[[str], t.Collection[str] | None]


def facts(rule: t.Any, document: Document, known: Known, component: bool) -> dict[str, t.Any]:
    """Return the facts of one rule of pySigma as the compiled form has them. Raises UnusableError.

    component: the rule is only part of correlations.
    """
    own = document.data.get(OWN_KEY)
    own = {} if own is None else own
    if not isinstance(own, dict):
        raise UnusableError(f"{OWN_KEY} is a mapping with some of {', '.join(_OWN_FIELDS)}", OWN_KEY)
    for name in own:
        if name not in _OWN_FIELDS:
            raise UnusableError(f"{OWN_KEY}: '{name}' is not one of {', '.join(_OWN_FIELDS)}", OWN_KEY)
    component = component or _step(own)
    alert = _alert(own, document, known.alerts, component)
    title = str(rule.title or "").strip()
    if not title and document.own and not component:
        title = known.alerts[alert].title
    if not title:
        raise UnusableError("title is missing; say what the rule finds")
    found = {
        "id": str(rule.id or rule.name or title),
        "alert": alert,
        "title": title[:_LONGEST_TITLE],
        "severity": _severity(rule, known.alerts, alert, component),
        "techniques": _techniques(rule, document, known.techniques),
        "subject": _subject(own),
        "message": _message(own),
        "component": component,
        "explained_by": _explained_by(own, rule),
    }
    return {name: value for name, value in found.items() if value not in (None, [], False, {})}


def _techniques(rule: t.Any, document: Document, known: t.Collection[str]) -> list[str]:
    """Return the ATT&CK techniques that a rule's tags name, as T1059.004.

    Of a user's rule that names one which the catalogue doesn't have, the technique above it counts, or none: ATT&CK
    changes, and a detection is worth more than its label.
    """
    names = (str(tag.name).upper() for tag in rule.tags if tag.namespace == "attack")
    found = set()
    for name in names:
        if name[:1] != "T" or not name[1:].replace(".", "", 1).isdigit():
            continue
        above = name.partition(".")[0]
        if name in known:
            found.add(name)
        elif document.own:
            raise UnusableError(f"tags: the technique {name} is not in attack.yml; add it there", "tags")
        elif above in known:
            found.add(above)
    return sorted(found)


def _severity(rule: t.Any, alerts: t.Mapping[str, Alert], alert: str, component: bool) -> str | None:
    """Return a rule's level; without one the severity of its alert, or, where rules give it that, of a user's rules."""
    if rule.level is not None:
        return str(rule.level.name.lower())
    return None if component else alerts[alert].severity or alerts[USER_ALERT].severity


def _alert(own: t.Mapping[str, t.Any], document: Document, alerts: t.Container[str], component: bool) -> str:
    alert = own.get("alert")
    if alert is None:
        if document.own and not component:
            raise UnusableError(f"{OWN_KEY}: alert is missing; name one of the catalogue", OWN_KEY)
        return USER_ALERT
    if alert not in alerts:
        raise UnusableError(f"{OWN_KEY}: there is no alert '{alert}' in the catalogue", f"{OWN_KEY}.alert")
    return str(alert)


def _subject(own: t.Mapping[str, t.Any]) -> list[str]:
    subject = own.get("subject") or []
    if not isinstance(subject, list) or not all(isinstance(field, str) and field for field in subject):
        raise UnusableError(f"{OWN_KEY}: subject is a list of field names", f"{OWN_KEY}.subject")
    return subject


def _step(own: t.Mapping[str, t.Any]) -> bool:
    step = own.get("step", False)
    if not isinstance(step, bool):
        raise UnusableError(f"{OWN_KEY}: step is true or false", f"{OWN_KEY}.step")
    return step


def _explained_by(own: t.Mapping[str, t.Any], rule: t.Any) -> dict[str, str]:
    """Return the kinds that may explain a match, each with the severity that remains."""
    explained = own.get("explained_by", {})
    part = f"{OWN_KEY}.explained_by"
    if not isinstance(explained, dict):
        raise UnusableError(f"{OWN_KEY}: explained_by is a mapping of kinds to severities", part)
    for kind, severity in explained.items():
        if kind not in EXPLANATIONS:
            raise UnusableError(f"{OWN_KEY}: explained_by: '{kind}' is not one of {', '.join(EXPLANATIONS)}", part)
        if severity not in SEVERITIES:
            raise UnusableError(f"{OWN_KEY}: explained_by: '{severity}' is not one of {', '.join(SEVERITIES)}", part)
        level = rule.level.name.lower() if rule.level is not None else None
        if level is not None and SEVERITIES.index(severity) > SEVERITIES.index(level):
            raise UnusableError(f"{OWN_KEY}: explained_by: an explanation can't raise {level} to {severity}", part)
    return explained


def _message(own: t.Mapping[str, t.Any]) -> str | None:
    message = own.get("message")
    if message is not None and (not isinstance(message, str) or not message.strip()):
        raise UnusableError(f"{OWN_KEY}: message is a sentence", f"{OWN_KEY}.message")
    return message
