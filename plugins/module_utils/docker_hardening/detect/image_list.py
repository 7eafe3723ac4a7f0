# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge each image of an engine, and show images as evidence."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import (
    each_container,
    values,
    verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import STOPPED, Engine, Image, Json

_MOST_DETAILS = 10
# Returns what is wrong with an image, nothing if it is right; raises UnknownError where that is not known.
Test = t.Callable[[Image], t.Sequence[str]]


def known(engine: Engine) -> t.Sequence[Image] | Verdict:
    """Return the images of an engine, or the verdict that there are none or that they are not known."""
    if engine.images is not None:
        return engine.images or verdict.not_applicable("The engine has no image.")
    if engine.state == STOPPED:
        return verdict.not_checked("The engine does not run, so that its images are not known.")
    return verdict.not_checked("The images are not known: %s." % each_container.problem_of(engine, "images"))


def judge(engine: Engine, test: Test, wrong: str, good: str) -> Verdict:
    """Return the verdict on all images. wrong: what those that fail are like."""
    images = known(engine)
    if isinstance(images, Verdict):
        return images
    failing, unknown = [], []
    for image in images:
        try:
            check_known(image)
            faults = test(image)
        except values.UnknownError as error:
            unknown.append("%s: %s" % (name_of(image), error))
            continue
        if faults:
            failing.append(item(image, "; ".join(_shortened(faults))))
    doubt = "%d could not be judged. %s." % (len(unknown), unknown[0]) if unknown else ""
    if failing:
        reason = "Images %s: %d of %d." % (wrong, len(failing), len(images))
        return verdict.failed(("%s %s" % (reason, doubt)).strip(), failing, len(images))
    if unknown:
        reason = "%d of %d images could not be judged. %s." % (len(unknown), len(images), unknown[0])
        return verdict.not_checked(reason)
    return verdict.passed(good, len(images))


def check_known(image: Image) -> None:
    """Raise UnknownError for an image that the engine did not describe."""
    if image.problem is not None:
        raise values.UnknownError(printable(image.problem.rstrip(".")))


def _shortened(found: t.Sequence[str]) -> list[str]:
    more = len(found) - _MOST_DETAILS
    return [*found[:_MOST_DETAILS], *(["%d more" % more] if more > 0 else [])]


def name_of(image: Image) -> str:
    return printable(image.names[0] if image.names else short_id(image))


def short_id(image: Image) -> str:
    return image.id[7:19] if image.id.startswith("sha256:") else image.id[:12]


def item(image: Image, detail: str, note: str = "") -> Item:
    name = name_of(image)
    return Item("image", name, detail, note, image=name, digests=(printable(image.id),))


def configuration(image: Image) -> Json:
    """Return the configuration that containers of an image start with, empty if it has none; raise UnknownError."""
    return values.mapping(image.inspect, "Config", may_miss=True)
