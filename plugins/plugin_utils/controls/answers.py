# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a host says of controls, and join it with what the benchmark says of them.

The host may be compromised: it says which status a control has and shows the evidence. Number, title, level and weight
are the benchmark's, and so is the severity that a failure has at least.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._control import (
    FAILED,
    ITEMS_LIMIT,
    MANUAL,
    NOT_CHECKED,
    STATUSES,
    control,
    digest,
)
from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmark_score import WEIGHTS
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmarks import Benchmark, Control
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence

# Forty engines with all controls of a benchmark, as each has them all in the end.
_CONTROLS_LIMIT = 5_000
_SUBJECTS_LIMIT = 40
_SUBJECT_LIMIT = 1_000
_TEXT_LIMIT = 500
_REASON_LIMIT = 1_000
_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNANSWERED = "The host's answer says nothing of it."


class AnswerError(ContentError):
    """What a host says of controls cannot be used; the message says why."""


def joined(reported: t.Any, benchmark: Benchmark, edition: str, level: int, scope: str) -> list[dict[str, t.Any]]:
    """Return the controls of an edition, up to a level, as the store keeps them: for each subject, all of them.

    reported: a list of ``_control.control``. scope: of the coverage that their subjects belong to. A control that the
    host says nothing of was not checked. Raises AnswerError for what is no result of a control of this benchmark, and
    ContentError for an edition that it does not have.
    """
    if edition not in benchmark.editions:
        raise ContentError(
            f"{benchmark.title} has no edition '{edition}' here; the collection has {', '.join(benchmark.editions)}"
        )
    try:
        answers = _answers(reported, benchmark)
    except evidence.UnfitError as error:
        raise AnswerError(f"its 'controls' cannot be used: {error}") from None
    wanted = [each for each in benchmark.controls.values() if edition in each.numbers and each.level <= level]
    return [
        _joined(answers.get((subject, content.id)) or _unanswered(benchmark, content, subject), content, edition, scope)
        for subject in dict.fromkeys(subject for subject, _control in answers)
        for content in wanted
    ]


def _joined(answer: dict[str, t.Any], content: Control, edition: str, scope: str) -> dict[str, t.Any]:
    return {
        **answer,
        "edition": edition,
        "number": content.numbers[edition],
        "section": content.section,
        "title": content.title,
        "level": content.level,
        "profile": content.profile,
        "question": content.question if answer["status"] == MANUAL else None,
        "scope": scope,
        "severity": _severity(answer, content),
        "weight": WEIGHTS[content.severity],
        "judgement": None,
    }


def _severity(answer: t.Mapping[str, t.Any], content: Control) -> str:
    """Return the severity of a failure, which a host can make worse and not better."""
    if answer["status"] != FAILED or answer["severity"] is None:
        return content.severity
    worse: str = max(content.severity, answer["severity"], key=SEVERITIES.index)
    return worse


def _unanswered(benchmark: Benchmark, content: Control, subject: str) -> dict[str, t.Any]:
    return control(benchmark.id, content.id, subject, NOT_CHECKED, _UNANSWERED)


def _answers(reported: t.Any, benchmark: Benchmark) -> dict[tuple[str, str], dict[str, t.Any]]:
    """Return what a host says by subject and control, plain and bounded; raise UnfitError where it is none."""
    given = evidence.sequence(reported)
    if len(given) > _CONTROLS_LIMIT:
        raise evidence.UnfitError(f"{len(given)} are more than {_CONTROLS_LIMIT}")
    answers: dict[tuple[str, str], dict[str, t.Any]] = {}
    for fields in map(evidence.mapping, given):
        answer = _answer(fields, benchmark)
        if (answer["subject"], answer["control"]) in answers:
            raise evidence.UnfitError(f"{answer['control']} has two results about '{answer['subject']}'")
        answers[answer["subject"], answer["control"]] = answer
    number = len({subject for subject, _control in answers})
    if number > _SUBJECTS_LIMIT:
        raise evidence.UnfitError(f"they are about {number} subjects, more than {_SUBJECTS_LIMIT}")
    return answers


def _answer(fields: t.Mapping[t.Any, t.Any], benchmark: Benchmark) -> dict[str, t.Any]:
    evidence.choice(fields.get("benchmark"), (benchmark.id,))
    identifier = fields.get("control")
    if not isinstance(identifier, str) or identifier not in benchmark.controls:
        raise evidence.UnfitError(f"it names a control that {benchmark.title} does not have")
    try:
        answer = {
            "benchmark": benchmark.id,
            "control": evidence.plain_text(identifier),
            "subject": _subject(fields.get("subject")),
            "status": evidence.choice(fields.get("status"), STATUSES),
            "reason": evidence.line(fields.get("reason"), _REASON_LIMIT),
            "severity": None if fields.get("severity") is None else evidence.choice(fields["severity"], SEVERITIES),
            "examined": _count(fields.get("examined")),
            **_listed(fields, "evidences", "count", ()),
            **_listed(fields, "excepted", "excepted_count", ("exception", "until")),
        }
        answer["digest"] = _digest(fields.get("digest"), answer)
    except evidence.UnfitError as error:
        raise evidence.UnfitError(f"{identifier}: {error}") from None
    return answer


def _listed(
    fields: t.Mapping[t.Any, t.Any], name: str, counter: str, more: tuple[str, ...]
) -> dict[str, list[dict[str, t.Any]] | int]:
    """Return a list of items, and how many there are: what the host says, and no less than it lists."""
    items = [evidence.mapping(item) for item in evidence.sequence(fields.get(name))[:ITEMS_LIMIT]]
    keys = ("kind", "name", "detail", "note", *more)
    texts = [{key: evidence.text(item.get(key), _TEXT_LIMIT) for key in keys} for item in items]
    return {
        name: [{**each, "is_new": False} for each in texts],
        counter: max(_count(fields.get(counter)), len(items)),
    }


def _subject(value: t.Any) -> str:
    subject = evidence.name(value)
    if len(subject) > _SUBJECT_LIMIT:
        raise evidence.UnfitError(f"a subject of 1 to {_SUBJECT_LIMIT} characters is needed")
    return subject


def _digest(value: t.Any, answer: t.Mapping[str, t.Any]) -> str:
    """Return the digest of the evidence: where all of it is listed, of what people are shown."""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise evidence.UnfitError("a digest in hexadecimal is needed")
    is_all = answer["count"] == len(answer["evidences"])
    return digest(answer["status"], answer["evidences"]) if is_all else evidence.plain_text(value)


def _count(value: t.Any) -> int:
    number = evidence.integer(value, 63)
    if number < 0:
        raise evidence.UnfitError("a number of 0 or more is needed")
    return number
