# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge what lies about: section 6."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import (
    each_container,
    values,
    verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import STOPPED, Engine, Host
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options


def _images(_host: Host, engine: Engine, options: Options) -> Verdict:
    if engine.images is None:
        why = "the engine does not run" if engine.state == STOPPED else each_container.problem_of(engine, "images")
        return verdict.not_checked(f"The images are not known: {why}.")
    if not engine.images:
        return verdict.not_applicable("The engine has no image.")
    items = []
    for image in engine.images:
        if not image.is_used:
            names = tuple(map(printable, image.names))
            name = names[0] if names else printable(image.id)
            items.append(Item("image", name, printable(image.id), image=name, digests=(printable(image.id),)))
    return _sprawl(items, len(engine.images), "Images that no container uses", options)


def _containers(_host: Host, engine: Engine, options: Options) -> Verdict:
    try:
        containers = each_container.known(engine)
        for each in containers:
            each_container.check_known(each)
    except values.UnknownError as error:
        return verdict.not_checked(f"The containers are not known: {error}.")
    if not containers:
        return verdict.not_applicable("The engine has no container.")
    items = [each_container.item(each, []) for each in containers if each_container.is_stopped(each)]
    return _sprawl(items, len(containers), "Stopped containers", options)


def _sprawl(items: t.Sequence[Item], examined: int, what: str, options: Options) -> Verdict:
    reason = "%s: %d of %d" % (what, len(items), examined)
    if not items:
        return verdict.passed(reason + ".", examined)
    if options.sprawl is None:
        return verdict.manual(reason + ".", items, examined)
    if len(items) > options.sprawl:
        return verdict.failed(
            "%s, more than the %d of docker_hardening_sprawl." % (reason, options.sprawl), items, examined
        )
    return verdict.passed("%s, not more than the %d of docker_hardening_sprawl." % (reason, options.sprawl), examined)


CHECKS: t.Mapping[str, verdict.Check] = {
    "docker_images_unused": _images,
    "docker_containers_unused": _containers,
}
