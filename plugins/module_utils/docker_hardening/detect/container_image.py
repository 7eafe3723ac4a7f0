# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the age of the images that containers run: 5.28."""

from __future__ import annotations

import calendar
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import (
    each_container,
    values,
    verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.each_container import Fault
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    Container,
    Engine,
    Host,
    Image,
    Json,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

DAY = 86400
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?(?:Z|([+-])(\d{2}):(\d{2}))")
# Builds that are the same each time have no date, or the beginning of time. Docker is younger than this.
_FIRST_DATE = "2013-01-01T00:00:00Z"


def timestamp(text: str) -> float:
    """Return seconds since the epoch of a time by RFC 3339; raise UnknownError."""
    match = _TIME.fullmatch(text)
    try:
        seconds = calendar.timegm(time.strptime(match.group(1), "%Y-%m-%dT%H:%M:%S")) if match else None
    except (ValueError, OverflowError):
        seconds = None
    if match is None or seconds is None:
        raise values.UnknownError(f"the time '{printable(text[:40])}' is not understood")
    offset = 0 if match.group(2) is None else int(match.group(3)) * 3600 + int(match.group(4)) * 60
    return float(seconds - offset if match.group(2) != "-" else seconds + offset)


def age(now: float, source: Json, path: str) -> int:
    """Return how many days ago the time at a path of an answer was, never less than 0; raise UnknownError."""
    return max(0, int((now - timestamp(values.text(source, path))) // DAY))


def check(host: Host, engine: Engine, options: Options) -> Verdict:
    try:
        containers, absence = each_container.chosen(engine)
        if not containers:
            return verdict.not_applicable(absence)
        images = _images(engine)
        judged = [_Judged(each, *_state(host.now, images, each)) for each in containers]
    except values.UnknownError as error:
        return verdict.not_checked(f"The images of the containers are not known: {error}.")
    examined = len(judged)
    if options.image_age is None:
        return verdict.manual(
            "docker_hardening_image_age does not say how old an image may be.", _items(judged), examined
        )
    failing = [each for each in judged if each.age is not None and (each.age > options.image_age or each.is_replaced)]
    if failing:
        reason = "%d of %d containers run an image that is older than %d days or was replaced."
        return verdict.failed(reason % (len(failing), examined, options.image_age), _items(failing), examined)
    undated = [each for each in judged if each.age is None]
    if undated:
        return verdict.manual("%d images have no date." % len(undated), _items(undated), examined)
    return verdict.passed("No image is older than %d days." % options.image_age, examined)


def _images(engine: Engine) -> dict[str, Image]:
    if engine.images is None:
        raise values.UnknownError(each_container.problem_of(engine, "images"))
    return {image.id: image for image in engine.images}


class _Judged(t.NamedTuple):
    """The image of a container. age: in days, None where the build has no date. is_replaced: its name is another's."""

    container: Container
    image: Image
    name: str
    age: int | None
    is_replaced: bool


def _state(now: float, images: t.Mapping[str, Image], container: Container) -> tuple[Image, str, int | None, bool]:
    each_container.check_known(container)
    image = images.get(values.text(container.inspect, "Image"))
    if image is None or image.problem is not None:
        why = "it is not in the list" if image is None or image.problem is None else image.problem
        raise values.UnknownError(f"the image of {each_container.name_of(container)}: {why}")
    name = values.text(container.inspect, "Config.Image")
    full = name if ":" in name.rpartition("/")[2] else name + ":latest"
    is_replaced = any(full in other.names for other in images.values() if other.id != image.id)
    created = values.text(image.inspect, "Created", "") or _FIRST_DATE
    seconds = timestamp(created)
    days = int((now - seconds) // DAY) if seconds > timestamp(_FIRST_DATE) else None
    return image, name, days, is_replaced


def _items(judged: t.Sequence[_Judged]) -> list[Item]:
    items = []
    for each in judged:
        detail = printable(f"{each.name} is {each.image.id}")
        if each.is_replaced:
            detail += ", and its name now another image's"
        note = "no date" if each.age is None else "%d days" % each.age
        items.append(each_container.item(each.container, [Fault(detail)], note))
    return items
