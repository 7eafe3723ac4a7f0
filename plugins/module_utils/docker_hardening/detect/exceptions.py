# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply the operator's exceptions to a verdict.

A name, a label and a tag are chosen by whoever starts a container: an exception by them trusts everybody who may. Only
the digest of an image says what runs. Whatever is excepted stays listed.
"""

from __future__ import annotations

import fnmatch
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine, Image
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import PATTERNS, Excepted

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAMED_LIMIT = 5
_TEXT_LIMIT = 80


class Outcome(t.NamedTuple):
    """A verdict without what is excepted. excepted: with the exception that covers each item.

    covers: whether each exception of the control and the engine covers an item, also after its end; None where that is
    not known.
    """

    verdict: Verdict
    excepted: tuple[tuple[Item, Excepted], ...] = ()
    covers: t.Mapping[Excepted, bool | None] = {}


def apply(verdict: Verdict, control: str, exceptions: t.Sequence[Excepted], engine: Engine, now: float) -> Outcome:
    """Take out of a verdict what exceptions of a control cover. control: its id. now: seconds since the epoch."""
    own = [each for each in exceptions if each.control == control and _is_about(each, engine)]
    if verdict.status == _control.NOT_CHECKED:
        return Outcome(verdict, covers=dict.fromkeys(own))
    if not own or verdict.status not in (_control.FAILED, _control.MANUAL):
        return Outcome(verdict, covers=dict.fromkeys(own, False))
    registries = {image.id: _names_with_digest(image) for image in engine.images or ()}
    left: list[Item] = []
    excepted: list[tuple[Item, Excepted]] = []
    ended: set[str] = set()
    used: set[Excepted] = set()
    for item in verdict.items or (_whole(engine),):
        digests = [*item.digests, *(name for digest in item.digests for name in registries.get(digest, ()))]
        covering = [each for each in own if _covers(each, item, digests)]
        used.update(covering)
        valid = [each for each in covering if not _has_ended(each, now)]
        if valid:
            excepted.append((item, max(valid, key=_last_day)))
        else:
            left.append(item)
            ended.update(each.until for each in covering if each.until)
    reason = verdict.reason
    if excepted:
        reason += " %d excepted." % len(excepted)
    if ended:
        reason += f" An exception ended on {max(ended)}."
    status = _control.EXCEPTED if excepted and not left else verdict.status
    items = tuple(left) if verdict.items else ()
    return Outcome(
        verdict._replace(status=status, reason=reason, items=items),
        tuple(excepted),
        {each: each in used for each in own},
    )


def unused(exceptions: t.Sequence[Excepted], outcomes: t.Sequence[t.Mapping[Excepted, bool | None]]) -> list[Excepted]:
    """Return the exceptions that cover nothing on any engine; not those whose control could be judged on none.

    outcomes: ``Outcome.covers`` of all controls and engines.
    """
    known = {each: [outcome[each] for outcome in outcomes if each in outcome] for each in exceptions}
    return [each for each, covers in known.items() if not any(covers) and (False in covers or not covers)]


def unused_note(unused: t.Sequence[Excepted]) -> str:
    """Return sentences that name exceptions that cover nothing."""
    sentences = ["The exception of %s for %s covers nothing." % (each.control, _words(each)) for each in unused]
    more = len(sentences) - _NAMED_LIMIT
    if more > 0:
        noun = "exception covers" if more == 1 else "exceptions cover"
        sentences[_NAMED_LIMIT:] = ["%d more %s nothing." % (more, noun)]
    return " ".join(sentences)


def _words(exception: Excepted) -> str:
    patterns = ((name, getattr(exception, name)) for name in PATTERNS)
    return " and ".join("the %s %s" % (name, printable(text)[:_TEXT_LIMIT]) for name, text in patterns if text)


def _whole(engine: Engine) -> Item:
    """Return what stands for a control without evidence, so that an exception of the engine has what it covers."""
    return Item("host", printable(engine.name))


def _names_with_digest(image: Image) -> list[str]:
    """Return what registries call an image, such as ``NAME@sha256:...``."""
    names = image.inspect.get("RepoDigests")
    return [printable(name) for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _is_about(exception: Excepted, engine: Engine) -> bool:
    return exception.engine is None or _matches(exception.engine, (printable(engine.name),))


def _covers(exception: Excepted, item: Item, digests: t.Sequence[str]) -> bool:
    """Say whether all patterns of an exception match an item of its engine; one without patterns covers nothing."""
    wanted = (
        (exception.container, (item.container,)),
        (exception.image, (item.image, *digests)),
        (exception.service, (item.service,)),
    )
    given = [(pattern, names) for pattern, names in wanted if pattern is not None]
    return bool(given or exception.engine) and all(_matches(pattern, names) for pattern, names in given)


def _matches(pattern: str, names: t.Sequence[str]) -> bool:
    return any(name and fnmatch.fnmatchcase(name, pattern) for name in names)


def _last_day(exception: Excepted) -> str:
    """Return what sorts exceptions by their end; one without is last."""
    return exception.until or "no end"


def _has_ended(exception: Excepted, now: float) -> bool:
    """Say whether the last day of an exception is over, by UTC. A day that is none is over."""
    if exception.until is None:
        return False
    return _DAY.fullmatch(exception.until) is None or time.strftime("%Y-%m-%d", time.gmtime(now)) > exception.until
