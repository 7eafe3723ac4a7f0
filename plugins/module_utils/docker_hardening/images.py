# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with setuid or setgid in the layers of images, read on disk: nothing is started and no image is unpacked."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import in_force
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Image, Json

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root

_LAYER = re.compile(r"(?:overlay2|fuse-overlayfs)/[0-9a-z]{1,80}(?:-init)?/diff\Z")
_SPECIAL = stat.S_ISUID | stat.S_ISGID
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
# Of one layer; a distribution has about 100,000.
_MOST_ENTRIES = 1_000_000
_MOST_FILES = 2_000
# Directories that are still to be read: a path has up to 4,096 bytes.
_MOST_WAITING = 50_000
# overlay2 allows 128.
_MOST_LAYERS = 500
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

Found = t.Tuple[t.Tuple[str, int], ...]


class LayerError(Exception):
    """The files of an image were not read; the message is one sentence."""


class Layers:
    """Reads each layer once, as images share them."""

    def __init__(self, root: Root, data_root: str, info: Json, deadline: Deadline) -> None:
        self._root = root
        self._data_root = in_force.data_directory(info, data_root).rstrip("/")
        self._store_problem = _store_problem(info)
        self._deadline = deadline
        self._known: dict[str, dict[str, int] | str] = {}

    def completed(self, image: Image) -> Image:
        """Return an image with the setuid files that a container of it has, or why they are not known."""
        if image.problem is not None:
            return image._replace(setuid_problem=image.problem)
        try:
            return image._replace(setuid=self._effective(self._paths(image.inspect)))
        except LayerError as error:
            return image._replace(setuid_problem=str(error))
        except OSError as error:
            return image._replace(setuid_problem="its layers cannot be read: %s" % error.strerror)

    def _paths(self, inspect: Json) -> list[str]:
        """Return the directories of the layers, the topmost first."""
        if self._store_problem is not None:
            raise LayerError(self._store_problem)
        driver = inspect.get("GraphDriver")
        data = driver.get("Data") if isinstance(driver, dict) else None
        if not isinstance(data, dict) or not isinstance(data.get("UpperDir"), str):
            raise LayerError("the engine does not say where its layers are")
        lower = data.get("LowerDir")
        paths = [data["UpperDir"], *(lower.split(":") if isinstance(lower, str) and lower else ())]
        if len(paths) > _MOST_LAYERS:
            raise LayerError("it has more than %d layers" % _MOST_LAYERS)
        for path in paths:
            inside = path[len(self._data_root) + 1 :] if path.startswith(self._data_root + "/") else ""
            if not _LAYER.match(inside):
                raise LayerError("the engine names a layer that is not below its data root")
        return paths

    def _effective(self, paths: t.Sequence[str]) -> Found:
        found: dict[str, int] = {}
        for number, path in enumerate(paths):
            for name, mode in self._layer(path).items():
                if self._deadline.passed():
                    raise LayerError(self._deadline.reason)
                if name not in found and not any(self._hides(upper, name) for upper in paths[:number]):
                    found[name] = mode
        _check_number(found)
        return tuple(sorted(found.items()))

    def _layer(self, path: str) -> dict[str, int]:
        """Return the files with setuid or setgid in a layer, read once; raise the same error each time."""
        if path not in self._known:
            try:
                with self._opened(path) as top:
                    self._known[path] = self._walked(top)
            except LayerError as error:
                self._known[path] = str(error)
        known = self._known[path]
        if isinstance(known, str):
            raise LayerError(known)
        return known

    @contextlib.contextmanager
    def _opened(self, path: str) -> t.Iterator[int]:
        pinned, real, _is_link = self._root.pin(path)
        try:
            # The account of a rootless engine could lead a scan to directories that are not its own.
            if real.split("/")[-2:] != path.split("/")[-2:]:
                raise LayerError("one of its layers is a link")
            descriptor = os.open("/proc/self/fd/%d" % pinned, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        finally:
            os.close(pinned)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _walked(self, top: int) -> dict[str, int]:
        found: dict[str, int] = {}
        device = os.fstat(top).st_dev
        waiting = ["."]
        count = 0
        while waiting:
            if self._deadline.passed():
                raise LayerError(self._deadline.reason)
            path = waiting.pop()
            descriptor = os.open(path, _DIRECTORY, dir_fd=top)
            try:
                # Nothing is mounted in a layer.
                if os.fstat(descriptor).st_dev != device:
                    raise LayerError("something is mounted in one of its layers")
                with os.scandir(descriptor) as entries:
                    for entry in entries:
                        count += 1
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append("%s/%s" % (path, entry.name))
                        elif entry.is_file(follow_symlinks=False):
                            mode = entry.stat(follow_symlinks=False).st_mode
                            if mode & _SPECIAL:
                                found["%s/%s" % (path[1:], entry.name)] = stat.S_IMODE(mode)
            finally:
                os.close(descriptor)
            _check_number(found)
            if count > _MOST_ENTRIES or len(waiting) > _MOST_WAITING:
                raise LayerError("a layer has more files than are read")
        return found

    def _hides(self, upper: str, name: str) -> bool:
        """Say whether an upper layer has something in the place of a file, or of a directory on the way to it."""
        with contextlib.ExitStack() as opened:
            directory = opened.enter_context(self._opened(upper))
            words = name.strip("/").split("/")
            for word in words[:-1]:
                try:
                    status = os.stat(word, dir_fd=directory, follow_symlinks=False)
                except FileNotFoundError:
                    return False
                if not stat.S_ISDIR(status.st_mode):
                    return True
                directory = os.open(word, _DIRECTORY, dir_fd=directory)
                opened.callback(os.close, directory)
                if _is_opaque(directory):
                    return True
            # A file that is deleted in a layer is a device there.
            with contextlib.suppress(FileNotFoundError):
                os.stat(words[-1], dir_fd=directory, follow_symlinks=False)
                return True
        return False


def _check_number(found: t.Sized) -> None:
    if len(found) > _MOST_FILES:
        raise LayerError("it has more than %d such files" % _MOST_FILES)


def _is_opaque(directory: int) -> bool:
    for name in _OPAQUE:
        with contextlib.suppress(OSError):
            if os.getxattr(directory, name) == b"y":
                return True
    return False


def _store_problem(info: Json) -> str | None:
    """Return why no layer of an engine can be read, None where they may be."""
    driver = info.get("Driver")
    status = info.get("DriverStatus")
    pairs = [pair for pair in status if isinstance(pair, list)] if isinstance(status, list) else []
    if ["driver-type", "io.containerd.snapshotter.v1"] in pairs:
        return "the engine keeps its images in containerd, which does not say where their layers are"
    if driver not in ("overlay2", "fuse-overlayfs"):
        return "layers of the storage driver %s are not read" % (
            printable(driver) if isinstance(driver, str) else "that it has"
        )
    return None
