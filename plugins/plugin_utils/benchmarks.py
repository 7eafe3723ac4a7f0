# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks that the collection judges, each from ``content/CAPABILITY/benchmark.yml`` and ``controls``."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

# How a control is judged: from what the host shows, with a variable of the operator, or by a person.
METHODS = ("machine", "parameter", "person")
LEVELS = (1, 2)

_FIELDS = (
    *("numbers", "title", "level", "profile", "method", "severity", "evidence", "parameter", "question"),
    # The catalogue reads these for the alert.
    *("problem", "description", "remediation", "references", "attack"),
)
_NUMBER = re.compile(r"\d+(?:\.\d+)+")


@dataclasses.dataclass(frozen=True)
class Control:
    """One control of a benchmark.

    id: of the alert that a failure raises; it survives editions. numbers: what each edition calls it, such as "5.10";
    an edition that has no such control is missing. title: what is required. level: 1 or 2. profile: of the
    benchmark's profiles, such as docker or swarm. severity: of a failure, unless what failed is worse, and the weight
    in the score. parameter: the variable that turns the question into a verdict, None without. question: for a
    person, None where the machine always judges.
    """

    id: str
    numbers: t.Mapping[str, str]
    section: str
    title: str
    level: int
    profile: str
    method: str
    severity: str
    evidence: str
    parameter: str | None
    question: str | None


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A benchmark: its editions, the newest first, its sections in their order, and its controls by id."""

    id: str
    title: str
    capability: str
    editions: tuple[str, ...]
    sections: t.Mapping[str, str]
    controls: t.Mapping[str, Control]


@functools.lru_cache(maxsize=1)
def load() -> t.Mapping[str, Benchmark]:
    """Return all benchmarks by id; raise ContentError for a file that is wrong."""
    benchmarks: dict[str, Benchmark] = {}
    for path in sorted(catalogue.CONTENT.glob("*/benchmark.yml")):
        where = f"{path.parent.name}/{path.name}"
        files = {file.name: catalogue.read(file) for file in sorted((path.parent / "controls").glob("*.yml"))}
        benchmark = parse(catalogue.read(path), files, path.parent.name)
        if benchmark.id in benchmarks:
            raise ContentError(f"{where}: {benchmarks[benchmark.id].capability} has a benchmark '{benchmark.id}', too")
        benchmarks[benchmark.id] = benchmark
    return benchmarks


def parse(data: t.Any, files: t.Mapping[str, t.Any], capability: str) -> Benchmark:
    """Return a benchmark from what its benchmark.yml holds, and its files of controls by name (``5_containers.yml``).

    Raise ContentError for an entry that is wrong.
    """
    where = f"{capability}/benchmark.yml"
    data = catalogue.mapping(data, where)
    _check_names(data, ("id", "title", "editions", "sections"), where)
    editions = data.get("editions")
    if not isinstance(editions, list) or not editions or not all(isinstance(name, str) for name in editions):
        raise ContentError(f'{where}: editions is a list of texts such as "1.8.0", the newest first')
    sections = catalogue.mapping(data.get("sections"), f"{where}: sections")
    controls: dict[str, Control] = {}
    for name, entries in files.items():
        file = f"{capability}/controls/{name}"
        section = pathlib.PurePath(name).stem.split("_")[0]
        if section not in sections:
            raise ContentError(
                f"{file}: '{section}', with which the name begins, is not one of the sections in {where}"
            )
        for identifier, fields in catalogue.mapping(entries, file).items():
            place = f"{file}: {identifier}"
            if identifier in controls:
                raise ContentError(f"{place}: another file has a control of this id, too")
            controls[identifier] = _control(identifier, catalogue.mapping(fields, place), section, editions, place)
    _check_numbers(controls.values(), f"{capability}/controls")
    return Benchmark(
        id=catalogue.text(data, "id", where),
        title=catalogue.text(data, "title", where),
        capability=capability,
        editions=tuple(editions),
        sections={str(key): str(title) for key, title in sections.items()},
        controls=controls,
    )


def _control(
    identifier: str, fields: t.Mapping[str, t.Any], section: str, editions: t.Sequence[str], place: str
) -> Control:
    _check_names(fields, _FIELDS, place)
    if fields.get("level") not in LEVELS:
        raise ContentError(f"{place}: level is 1 or 2, not {fields.get('level')!r}")
    method = catalogue.choice(fields, "method", METHODS, place)
    if (method == "parameter") != ("parameter" in fields):
        raise ContentError(f"{place}: 'parameter' names the variable of a control with the method parameter, no other")
    if method != "machine" and "question" not in fields:
        raise ContentError(f"{place}: a person may have to decide; give the question in 'question'")
    return Control(
        id=identifier,
        numbers=_numbers(fields, section, editions, place),
        section=section,
        title=catalogue.text(fields, "title", place),
        level=fields["level"],
        profile=catalogue.text(fields, "profile", place),
        method=method,
        severity=catalogue.choice(fields, "severity", SEVERITIES, place),
        evidence=catalogue.text(fields, "evidence", place),
        parameter=catalogue.text(fields, "parameter", place) if "parameter" in fields else None,
        question=catalogue.text(fields, "question", place) if "question" in fields else None,
    )


def _numbers(fields: t.Mapping[str, t.Any], section: str, editions: t.Sequence[str], place: str) -> t.Mapping[str, str]:
    numbers = catalogue.mapping(fields.get("numbers"), f"{place}: numbers")
    if not numbers:
        raise ContentError(f"{place}: numbers is empty; say what an edition calls the control")
    for edition, number in numbers.items():
        if edition not in editions:
            raise ContentError(f"{place}: edition '{edition}' is not one of {', '.join(editions)}; quote it")
        if not isinstance(number, str) or not _NUMBER.fullmatch(number):
            raise ContentError(f'{place}: number {number!r} is not text such as "5.10"; quote it')
        if not number.startswith(f"{section}."):
            raise ContentError(f"{place}: number {number} is not of section {section}, which the file is of")
    return dict(numbers)


def _check_numbers(controls: t.Iterable[Control], where: str) -> None:
    owners: dict[tuple[str, str], str] = {}
    for control in controls:
        for edition, number in control.numbers.items():
            other = owners.setdefault((edition, number), control.id)
            if other != control.id:
                raise ContentError(f"{where}: {control.id}: {other} has the number {number} of {edition}, too")


def _check_names(fields: t.Mapping[str, t.Any], known: t.Sequence[str], place: str) -> None:
    for name in fields:
        if name not in known:
            raise ContentError(f"{place}: unknown field '{name}'; known are {', '.join(known)}")
