# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment of the AWX guide, built by ansible-builder from what the guide shows.

Different from the guide are the base image, which is Debian without a registry, and the options for a build without
internet, which are the guide's, too.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
import typing as t

import yaml

from tests.fleet import images
from tests.fleet.engine import Engine
from tests.support import artefact, paths

_GUIDE = paths.ROOT / "docs" / "docsite" / "rst" / "awx.rst"
_NAME = "bulwark-servers/execution-environment"
# Path in the base image for the certificates of this machine's package index.
_AUTHORITIES = "etc/package-index.crt"
# Older images that stay, for other checkouts.
_SPARE = 2
# Debian's images for Docker have it: an image that a crash interrupts is built again.
_DPKG = ("etc/dpkg/dpkg.cfg.d/docker-apt-speedup", b"force-unsafe-io\n")


def ensure(engine: Engine, collection: pathlib.Path, directory: pathlib.Path) -> str:
    """Build the image with this artefact of the collection unless the engine has it, and return its name.

    directory: an empty one, for the definition and what ansible-builder makes of it.
    """
    definition = _definition(collection.name)
    text = yaml.safe_dump(definition, sort_keys=False)
    digest = hashlib.sha256((text + images.tag("trixie") + _DPKG[0]).encode() + _contents(collection)).hexdigest()[:12]
    name = f"{_NAME}:{digest}"
    images.ensure(engine, ["trixie"])
    with _building():
        if engine.run("image", "inspect", name).returncode == 0:
            return name
        definition["images"]["base_image"]["name"] = _base(engine)
        (directory / "execution-environment.yml").write_text(yaml.safe_dump(definition, sort_keys=False))
        (directory / "pip.conf").write_text(_pip_settings())
        shutil.copy(collection, directory)
        _build(engine, name, directory)
        _tidy(engine, name)
    return name


def blocks(language: str) -> list[str]:
    """Return the guide's code blocks of a language, in order."""
    shown: list[str] = []
    for part in _GUIDE.read_text(encoding="utf-8").split(f".. code-block:: {language}\n")[1:]:
        lines = part.splitlines()
        end = next((number for number, line in enumerate(lines) if line and not line.startswith("   ")), len(lines))
        shown.append(textwrap.dedent("\n".join(lines[:end])).strip() + "\n")
    return shown


def _definition(collection: str) -> dict[str, t.Any]:
    """Return the guide's definition together with what it says to add without internet."""
    yaml_blocks = blocks("yaml")
    (first,) = [block for block in yaml_blocks if block.startswith("# execution-environment.yml\n")]
    (offline,) = [block for block in yaml_blocks if "additional_build_files" in block]
    definition: dict[str, t.Any] = yaml.safe_load(first)
    added: dict[str, t.Any] = yaml.safe_load(re.sub(r"bulwark-servers-[0-9.]+\.tar\.gz", collection, offline))
    definition["dependencies"] |= added["dependencies"]
    definition["additional_build_files"] = added["additional_build_files"]
    definition["additional_build_steps"]["prepend_base"][:0] = added["additional_build_steps"]["prepend_base"]
    return definition


def _contents(collection: pathlib.Path) -> bytes:
    """Return the digests of all files of an artefact; the archive itself has times in it."""
    with tarfile.open(collection) as archive:
        listed = archive.extractfile("FILES.json")
        assert listed is not None
        return listed.read()


def _pip_settings() -> str:
    """Return a pip.conf with this machine's package index."""
    sys.path.insert(0, str(paths.ROOT / "tools"))
    import pip_settings  # type: ignore[import-not-found]  # the tools are no package

    lines = ["[global]", f"cert = /{_AUTHORITIES}"]
    index = pip_settings.index()
    return "\n".join([*lines, *([f"index-url = {index}"] if index else [])]) + "\n"


def _base(engine: Engine) -> str:
    """Make the base image: Debian with this machine's package mirror and certificates, and nothing of Ansible."""
    authorities = pathlib.Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt").read_bytes()
    digest = hashlib.sha256(images.tag("trixie").encode() + authorities + _DPKG[1]).hexdigest()[:12]
    name = f"{_NAME}-base:{digest}"
    # Made anew it would be another image, and no layer of an earlier build would fit.
    if engine.run("image", "inspect", name).returncode == 0:
        return name
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, content in ((_AUTHORITIES, authorities), _DPKG):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    container = engine("create", images.tag("trixie"), "true")
    try:
        engine("cp", "-", f"{container}:/", stdin=stream.getvalue())
        engine("commit", container, name)
    finally:
        engine("rm", container)
    return name


def _build(engine: Engine, name: str, directory: pathlib.Path) -> None:
    command = [str(artefact.programs() / "ansible-builder"), "build", "--container-runtime", "docker", "--tag", name]
    # An engine of ours has no bridge.
    command += ["--extra-build-cli-args=--network=host", "-v3"]
    answer = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **environment(engine)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-5000:]


def environment(engine: Engine) -> dict[str, str]:
    """Return variables with which programs find the engine and its client."""
    search = os.pathsep.join([str(pathlib.Path(engine.client).parent), os.environ["PATH"]])
    return {"PATH": search, **({"DOCKER_HOST": engine.address} if engine.address else {})}


def _tidy(engine: Engine, newest: str) -> None:
    """Remove images of older collections from an engine of ours, and what builds left."""
    if engine.address is None:
        return
    names = engine("images", "--format", "{{.Repository}}:{{.Tag}}", _NAME).splitlines()
    for name in [name for name in names if name != newest][_SPARE:]:
        engine("rmi", name, check=False)
    engine("image", "prune", "--force", check=False)


@contextlib.contextmanager
def _building() -> t.Iterator[None]:
    with open(paths.cache() / "execution-environment.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
