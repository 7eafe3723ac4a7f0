# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images for the engines of the tests, made as archives that an engine loads: with any date, history and files."""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import tarfile
import typing as t

from tests.support import commands

OLD = "2020-01-01T00:00:00Z"
_LINKS = ("sh", "sleep", "true")


class Made(t.NamedTuple):
    """An image. history: its lines, the oldest first; the first one makes the files. modes: of further files."""

    name: str
    created: str
    config: t.Mapping[str, t.Any] = {}
    history: t.Sequence[str] = ("COPY / /",)
    modes: t.Mapping[str, int] = {}

    def archive(self) -> bytes:
        """Return what ``docker load`` takes: https://github.com/moby/docker-image-spec."""
        layer = _layer(self.modes)
        digest = hashlib.sha256(layer).hexdigest()
        lines = [{"created": self.created, "created_by": line, "empty_layer": True} for line in self.history]
        lines[0].pop("empty_layer")
        config = {
            "architecture": "amd64",
            "os": "linux",
            "created": self.created,
            "config": {"Env": ["PATH=/bin:/usr/sbin"], "Cmd": ["/bin/sleep", "3000"], **self.config},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": lines,
        }
        manifest = [{"Config": "config.json", "RepoTags": [self.name], "Layers": ["layer.tar"]}]
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, content in (("config.json", config), ("manifest.json", manifest)):
                _add(archive, name, json.dumps(content).encode())
            _add(archive, "layer.tar", layer)
        return stream.getvalue()


def _layer(modes: t.Mapping[str, int]) -> bytes:
    stream = io.BytesIO()
    busybox = pathlib.Path(str(commands.find("busybox"))).read_bytes()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("bin/busybox", "usr/sbin/sshd"):
            _add(archive, name, busybox, 0o755)
        for name in _LINKS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for name, mode in sorted(modes.items()):
            _add(archive, name, b"", mode)
    return stream.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    archive.addfile(member, io.BytesIO(content))
