# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge each image of an engine, and show images as evidence."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import STOPPED, Engine, Image, Json

_MOST_DETAILS = 10
# What is wrong with an image, nothing if it is right; a text says why that is not known.
Faults = t.Union[t.Sequence[str], str]


def known(engine: Engine) -> t.Sequence[Image] | Verdict:
    """Return the images of an engine, or the verdict that they are not known."""
    if engine.images is not None:
        return engine.images
    if engine.state == STOPPED:
        return verdict.not_checked("The engine does not run, so that its images are not known.")
    reasons = dict(engine.problems)
    why = reasons.get("images") or engine.problem or "the engine did not list them"
    return verdict.not_checked("The images are not known: %s." % printable(why).rstrip("."))


def judge(engine: Engine, faults: t.Callable[[Image], Faults], wrong: str, good: str) -> Verdict:
    """Return the verdict on all images. wrong: what those that fail do, without the subject."""
    images = known(engine)
    if isinstance(images, Verdict):
        return images
    if not images:
        return verdict.not_applicable("The engine has no image.")
    failing, unknown = [], []
    for image in images:
        found = image.problem if image.problem is not None else faults(image)
        if isinstance(found, str):
            unknown.append("%s: %s" % (name_of(image), printable(found).rstrip(".")))
        elif found:
            failing.append(item(image, "; ".join(_shortened(found))))
    doubt = "%d could not be judged. %s." % (len(unknown), unknown[0]) if unknown else ""
    if failing:
        reason = "%d of %d images %s." % (len(failing), len(images), wrong)
        return verdict.failed(("%s %s" % (reason, doubt)).strip(), failing, len(images))
    if unknown:
        return verdict.not_checked("Of %d images %s" % (len(images), doubt))
    return verdict.passed(good, len(images))


def _shortened(found: t.Sequence[str]) -> list[str]:
    more = len(found) - _MOST_DETAILS
    return [*found[:_MOST_DETAILS], *(["%d more" % more] if more > 0 else [])]


def name_of(image: Image) -> str:
    return printable(image.names[0] if image.names else short_id(image))


def short_id(image: Image) -> str:
    return image.id[7:19] if image.id.startswith("sha256:") else image.id[:12]


def item(image: Image, detail: str, note: str = "") -> Item:
    name = name_of(image)
    return Item("image", name, detail, note, image=name)


def configuration(image: Image) -> Json:
    """Return the configuration that containers of an image start with; empty if it has none."""
    found = image.inspect.get("Config")
    return found if isinstance(found, dict) else {}
