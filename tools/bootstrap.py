# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set up a Python environment with the packages of requirements files, from the standard library alone.

    python3 tools/bootstrap.py ENVIRONMENT -r FILE [-r FILE ...] [--package SPECIFIER ...]

Does nothing when ENVIRONMENT already holds just that. An interrupted set-up is started again by the next
call, and of several calls at once one works while the others wait.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import pip_wheel

_STAMP = "bulwark-stamp"
_SOURCES = [
    pathlib.Path(__file__).with_name(f"{name}.py")
    for name in ("bootstrap", "pip_wheel", "pip_settings", "package_index")
]

# A user's settings for their own installs would send the packages somewhere else.
_NOT_INHERITED = (
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "PYTHONHOME",
    "PYTHONPATH",
    "VIRTUAL_ENV",
)

# What pip says, depending on its release, when it has no certificate authorities or not the right ones.
_NO_AUTHORITIES = ("CERTIFICATE_VERIFY_FAILED", "TLS CA certificate bundle", "load_verify_locations")


class BootstrapError(Exception):
    """Why no environment could be made, and what to do, in one sentence."""


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        ensure(options.environment.absolute(), options.requirement, options.package)
    except (BootstrapError, pip_wheel.NoPipError) as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"bootstrap: {error.filename or options.environment}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bootstrap.py", description="Set up a Python environment.")
    parser.add_argument("environment", type=pathlib.Path, help="directory of the environment")
    parser.add_argument("-r", "--requirement", type=pathlib.Path, action="append", default=[], metavar="FILE")
    parser.add_argument("--package", action="append", default=[], metavar="SPECIFIER")
    return parser


def ensure(environment: pathlib.Path, requirements: list[pathlib.Path], packages: list[str]) -> None:
    """Make ``environment`` hold what the requirements and package specifiers name; raise BootstrapError."""
    missing = [str(file) for file in requirements if not file.is_file()]
    if missing:
        raise BootstrapError(f"the requirements file {missing[0]} does not exist")
    wanted = _fingerprint(requirements, packages)
    if _holds(environment, wanted):
        return
    environment.parent.mkdir(parents=True, exist_ok=True)
    with open(environment.with_name(f"{environment.name}.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _holds(environment, wanted):  # another call may have made it while this one waited
            _build(environment, requirements, packages)
            (environment / _STAMP).write_text(
                wanted, encoding="utf-8"
            )  # last: without it the environment is unfinished


def _fingerprint(requirements: list[pathlib.Path], packages: list[str]) -> str:
    """Return a digest of everything the environment is made from."""
    digest = hashlib.sha256(f"{sys.version}\0{os.path.realpath(sys.executable)}\0".encode())
    for file in (*_SOURCES, *requirements):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    for package in packages:
        digest.update(f"{package}\0".encode())
    return digest.hexdigest()


def _holds(environment: pathlib.Path, wanted: str) -> bool:
    try:
        stamp = (environment / _STAMP).read_text(encoding="utf-8")
    except OSError:
        return False
    return stamp == wanted and os.access(environment / "bin" / "python", os.X_OK)


def _build(environment: pathlib.Path, requirements: list[pathlib.Path], packages: list[str]) -> None:
    started = time.monotonic()
    print(f"Setting up {environment} with Python {sys.version.split()[0]} ...", file=sys.stderr, flush=True)
    if environment.exists():
        shutil.rmtree(environment)
    variables = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    variables["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    _create(environment, variables)
    # Modules are compiled when they are first imported: most of Ansible never is.
    command = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input", "--no-compile"]
    command.append("--prefer-binary")
    for file in requirements:
        command += ["-r", str(file)]
    _run([*command, *packages], variables)
    print(f"Set up in {time.monotonic() - started:.0f} s.", file=sys.stderr, flush=True)


def _create(environment: pathlib.Path, variables: dict[str, str]) -> None:
    """Create an empty environment with pip in it.

    Debian and Ubuntu keep ensurepip in a package of its own, and some builds leave venv out. Then pip comes
    as a wheel from elsewhere, and virtualenv, which brings what it needs, does venv's work.
    """
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        _run([sys.executable, "-m", "venv", str(environment)], variables)
        return
    with tempfile.TemporaryDirectory(prefix="bulwark-bootstrap-") as scratch:
        pip = pip_wheel.obtain(pathlib.Path(scratch))
        target = os.path.join(scratch, "virtualenv")
        _run(
            [sys.executable, f"{pip}/pip", "install", "--quiet", "--target", target, "virtualenv>=20.26,<22"], variables
        )
        create = [sys.executable, "-m", "virtualenv", "--quiet", "--no-download", "--no-periodic-update"]
        # Its cache of unpacked wheels would stay behind in the user's home.
        private = {"PYTHONPATH": target, "VIRTUALENV_OVERRIDE_APP_DATA": os.path.join(scratch, "app-data")}
        _run([*create, str(environment)], {**variables, **private})


def _run(command: list[str], variables: dict[str, str]) -> None:
    answer = subprocess.run(
        command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if answer.returncode == 0:
        return
    said = (answer.stderr or answer.stdout).strip()
    if any(sign in said for sign in _NO_AUTHORITIES):
        raise BootstrapError(
            "the package index's certificate could not be checked: 'apt-get install ca-certificates'"
            " (or your system's package of that name), or name your own authority's file in PIP_CERT"
        )
    raise BootstrapError(f"'{' '.join(command)}' failed:\n{said}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
