# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge where images come from.

A name with a digest was given by a registry. A name with a tag alone is what somebody on the host called an image that
was built or loaded there. An engine that keeps images in containerd has a digest for each name, so that only a name is
known.
"""

from __future__ import annotations

import fnmatch
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.image_list import item, known
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine, Host, Image
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

_HUB = "docker.io"
_LOCAL = "built or loaded here"


def check(_host: Host, engine: Engine, options: Options) -> Verdict:
    """Judge the registries of all images by those that the operator trusts."""
    images = known(engine)
    if isinstance(images, Verdict):
        return images
    broken = [image for image in images if image.problem is not None]
    sources = [(image, repositories(image)) for image in images if image.problem is None]
    trusted = options.registries
    if trusted is not None:
        # One trusted source is enough: the same digest is the same image.
        wrong = [
            (image, found) for image, found in sources if found and not any(_is_trusted(one, trusted) for one in found)
        ]
        if wrong:
            reason = "%d of %d images are from registries that are not in docker_hardening_registries." % (
                len(wrong),
                len(images),
            )
            return verdict.failed(reason, _items(wrong), len(images))
    if broken:
        return verdict.not_checked("%d images could not be read: %s." % (len(broken), broken[0].problem))
    if trusted is None:
        return verdict.manual("No registries are listed as trusted.", _items(sources), len(images))
    local = [(image, found) for image, found in sources if not found]
    if local:
        return verdict.manual("Images that were built or loaded here: %d." % len(local), _items(local), len(images))
    if _is_in_containerd(engine):
        reason = "Only names say where the images are from: the engine keeps them in containerd."
        return verdict.manual(reason, _items(sources), len(images))
    return verdict.passed("All images are from registries that are trusted.", len(images))


def _is_in_containerd(engine: Engine) -> bool:
    status = engine.info.get("DriverStatus")
    return isinstance(status, list) and ["driver-type", "io.containerd.snapshotter.v1"] in status


def _items(sources: t.Iterable[tuple[Image, t.Sequence[str]]]) -> list[Item]:
    return [item(image, printable(", ".join(found) or _LOCAL)) for image, found in sources]


def repositories(image: Image) -> list[str]:
    """Return the repositories with their registries that an image was pulled from or pushed to, in order."""
    return sorted({repository(name) for name in _texts(image, "RepoDigests")})


def digests(image: Image) -> t.Iterable[str]:
    """Return the digests that a signature of an image would be of."""
    return sorted(_texts(image, "RepoDigests")) or [_LOCAL]


def _texts(image: Image, key: str) -> list[str]:
    values = image.inspect.get(key)
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def repository(name: str) -> str:
    """Return the repository of an image's name in full: ``busybox@sha256:...`` is docker.io/library/busybox."""
    bare = name.partition("@")[0]
    first, slash, rest = bare.partition("/")
    if not slash:
        return "%s/library/%s" % (_HUB, bare)
    # A registry has a dot, a port or capital letters; a name of an account at the hub has none.
    if "." in first or ":" in first or first == "localhost" or first != first.lower():
        return "%s/%s" % (_HUB if first == "index.docker.io" else first, rest)
    return "%s/%s" % (_HUB, bare)


def _is_trusted(name: str, trusted: t.Iterable[str]) -> bool:
    """Say whether a repository is one that is trusted, or is below one: a registry, a path in it, or a pattern."""
    return any(
        name == one.rstrip("/") or name.startswith(one.rstrip("/") + "/") or fnmatch.fnmatchcase(name, one)
        for one in trusted
        if one.strip("/")
    )
