# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the same of each container of an engine, and sum it up as one verdict.

A container that is stopped is started as it is, so that what it was made with counts, too. Only controls about what
happens in containers are about those that run.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES, printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import values, verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import STOPPED, Container, Engine

# More would be a list to nobody.
_DETAILS = 10
_NONE = "The engine has no container."


class Fault(t.NamedTuple):
    """Why a container fails a control. severity: of all faults of a control, or None, which is the control's own."""

    detail: str
    severity: str | None = None


# Yields all faults of a container; raises UnknownError where they are not known.
Test = t.Callable[[Container], t.Iterable[Fault]]


def judge(engine: Engine, fault: str, test: Test, with_stopped: bool = False, virtue: str | None = None) -> Verdict:
    """Return the verdict on all containers.

    fault: what those that fail have, as the end of a sentence. virtue: what the others have, where they have anything.
    """
    try:
        containers, absence = chosen(engine, with_stopped)
    except values.UnknownError as error:
        return verdict.not_checked(f"The containers are not known: {error}.")
    if not containers:
        return verdict.not_applicable(absence)
    failing, unknown = [], []
    for container in containers:
        try:
            faults = list(test(container)) if container.problem is None else _unknown(container.problem.rstrip("."))
        except values.UnknownError as error:
            unknown.append(f"{name_of(container)}: {error}")
            continue
        if faults:
            failing.append(item(container, faults))
    return _summed_up(failing, unknown, len(containers), fault, virtue)


def chosen(engine: Engine, with_stopped: bool = False) -> tuple[t.Sequence[Container], str]:
    """Return the containers that count, and why there are none if there are none; raise UnknownError."""
    containers = known(engine)
    if with_stopped:
        return containers, _NONE
    running = [container for container in containers if not is_stopped(container)]
    if not containers:
        return (), _NONE
    return running, "No container runs. Stopped containers: %d." % len(containers)


def known(engine: Engine) -> tuple[Container, ...]:
    """Return all containers; raise UnknownError where the engine did not list them."""
    if engine.containers is not None:
        return engine.containers
    if engine.state == STOPPED:
        raise values.UnknownError("the engine does not run")
    raise values.UnknownError(problem_of(engine, "containers"))


def problem_of(engine: Engine, what: str) -> str:
    """Return why the engine did not say something, as the end of a sentence."""
    said = [why for asked, why in engine.problems if asked == what]
    return printable((said or [engine.problem or "the engine did not say"])[0].rstrip("."))


def check_known(container: Container) -> None:
    """Raise UnknownError for a container of which nobody knows whether it runs."""
    if container.problem is not None:
        raise values.UnknownError(f"{name_of(container)}: {printable(container.problem.rstrip('.'))}")
    values.flag(container.inspect, "State.Running")


def is_stopped(container: Container) -> bool:
    """Say whether a container certainly does not run; of what is not understood the test says so."""
    try:
        return not container.is_running and not values.flag(container.inspect, "State.Running")
    except values.UnknownError:
        return False


def _unknown(problem: str) -> t.NoReturn:
    raise values.UnknownError(printable(problem))


def _summed_up(
    failing: t.Sequence[Item], unknown: t.Sequence[str], examined: int, fault: str, virtue: str | None
) -> Verdict:
    of_all = "1 container" if examined == 1 else "%d containers" % examined
    doubt = "%d of %s could not be judged; %s" % (len(unknown), of_all, unknown[0]) if unknown else ""
    if failing:
        reason = "%d of %s %s %s." % (len(failing), of_all, "has" if len(failing) == 1 else "have", fault)
        return verdict.failed(reason + (f" {doubt}." if doubt else ""), failing, examined)
    if unknown:
        return verdict.not_checked(doubt + ".")
    return verdict.passed(
        f"{of_all} examined, {'none with ' + fault if virtue is None else 'all with ' + virtue}.", examined
    )


def name_of(container: Container) -> str:
    return printable(container.name.lstrip("/") or container.id[:12])


def item(container: Container, faults: t.Sequence[Fault], note: str = "") -> Item:
    """Return a container as evidence. Whoever starts it chooses its name and labels; only its image's id is a proof."""
    details = [each.detail for each in faults[:_DETAILS]]
    if len(faults) > _DETAILS:
        details.append("%d more (%s)" % (len(faults) - _DETAILS, _control.mark_of(*(each.detail for each in faults))))
    if is_stopped(container):
        details.append("stopped")
    return Item(
        "container",
        name_of(container),
        "; ".join(details),
        note,
        container=name_of(container),
        image=printable(_optional(container, "Config.Image")),
        service=printable(_service(container)),
        digests=(printable(_optional(container, "Image")),),
        severity=max((each.severity for each in faults if each.severity), key=SEVERITIES.index, default=None),
    )


def _service(container: Container) -> str:
    """Return the service that labels name: ``PROJECT/SERVICE`` of compose, or the name of a swarm's."""
    try:
        labels = values.mapping(container.inspect, "Config.Labels")
    except values.UnknownError:
        return ""
    project, service = labels.get("com.docker.compose.project"), labels.get("com.docker.compose.service")
    if isinstance(project, str) and isinstance(service, str):
        return f"{project}/{service}"
    swarm = labels.get("com.docker.swarm.service.name")
    return swarm if isinstance(swarm, str) else ""


def _optional(container: Container, path: str) -> str:
    try:
        return values.text(container.inspect, path)
    except values.UnknownError:
        return ""
