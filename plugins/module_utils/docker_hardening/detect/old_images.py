# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge how old images are: nothing gets into one after it was made."""

from __future__ import annotations

import calendar
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.image_list import item, known
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine, Host, Image
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

_DAY = 86400.0
_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})")
# Reproducible builds write a date that has nothing to do with when they ran: 1970, 1980 or the year 1.
_FIRST_YEAR = 2013


def check(host: Host, engine: Engine, options: Options) -> Verdict:
    """Judge the age of all images by the days that the operator allows."""
    images = known(engine)
    if isinstance(images, Verdict):
        return images
    broken = [image for image in images if image.problem is not None]
    ages = [(image, days(image, host.now)) for image in images if image.problem is None]
    most = options.image_age
    if most is None:
        if broken:
            return verdict.not_checked("%d images could not be read: %s." % (len(broken), broken[0].problem))
        return verdict.manual(
            "Only a person knows what was fixed since the images were made.", _items(ages), len(images)
        )
    old = [(image, age) for image, age in ages if age is not None and age > most]
    if old:
        reason = "%d of %d images are older than %d days." % (len(old), len(images), most)
        return verdict.failed(reason, _items(old), len(images))
    if broken:
        return verdict.not_checked("%d images could not be read: %s." % (len(broken), broken[0].problem))
    undated = [(image, age) for image, age in ages if age is None]
    if undated:
        return verdict.manual("%d images do not say when they were made." % len(undated), _items(undated), len(images))
    return verdict.passed("No image is older than %d days." % most, len(images))


def _items(ages: t.Iterable[tuple[Image, float | None]]) -> list[verdict.Item]:
    return [
        item(
            image,
            "made %s" % printable(str(image.inspect.get("Created"))[:19]),
            "of unknown age" if age is None else "%d days old" % age,
        )
        for image, age in ages
    ]


def days(image: Image, now: float) -> float | None:
    """Return the age of an image in days; None if its date can't be that of its build."""
    created = image.inspect.get("Created")
    match = _TIME.match(created) if isinstance(created, str) else None
    if match is None:
        return None
    fields = tuple(int(group) for group in match.groups())
    # A year of ten thousand would be no number that the clock knows; one below is no date of an image.
    if fields[0] < _FIRST_YEAR or not 1 <= fields[1] <= 12 or not 1 <= fields[2] <= 31:
        return None
    age = (now - calendar.timegm((*fields, 0, 0, 0))) / _DAY
    return age if age > -1 else None
