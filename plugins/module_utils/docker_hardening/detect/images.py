# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge section 4: the images of an engine, by their configuration and history, and the accounts of containers."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _secrets
from ansible_collections.bulwark.servers.plugins.module_utils._control import NOT_APPLICABLE, PASSED
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import (
    container_user,
    image_history,
    image_origin,
    listeners,
    old_images,
    package_commands,
    values,
    verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.image_history import Line
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.image_list import (
    check_known,
    configuration,
    item,
    judge,
    known,
    name_of,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Item, Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine, Host, Image
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

# Names of variables that hold what nobody else should know. PWD is the directory of a shell.
_SECRET = re.compile(
    r"(?:^|[_.-])(?:pass(?:word|wd|phrase|code)?|pw|pwd|secrets?|tokens?|(?:api|access|private|secret|auth)?[_.-]?keys?"
    r"|credentials?|auth)(?:$|[_.-])",
    re.IGNORECASE,
)
_NO_SECRETS = frozenset(("PWD", "OLDPWD"))
_NOTHING = "nothing seen"


def _check_health(_host: Host, engine: Engine, _options: Options) -> Verdict:
    def faults(image: Image) -> t.Sequence[str]:
        check = configuration(image).get("Healthcheck")
        test = check.get("Test") if isinstance(check, dict) else None
        # Without a test of its own, an image has that of the image that it is built on, which is here, too.
        return [] if isinstance(test, list) and test and test != ["NONE"] else ["no health check"]

    return judge(engine, faults, "without a health check", "Each image has a health check.")


def _of_lines(fault: t.Callable[[Line], t.Iterable[str]], wrong: str, good: str) -> verdict.Check:
    """Return the check of the lines that history shows. Images without any were not built from a Dockerfile."""

    def check(_host: Host, engine: Engine, _options: Options) -> Verdict:
        images = known(engine)
        if isinstance(images, Verdict):
            return images
        if not any(_may_be_built(image) for image in images):
            return verdict.not_applicable("No image has the history of a Dockerfile.")
        return judge(engine, lambda image: _faults_of_lines(image, fault), wrong, good)

    return check


def _may_be_built(image: Image) -> bool:
    try:
        return bool(image_history.lines(image.history))
    except values.UnknownError:
        return True


def _faults_of_lines(image: Image, fault: t.Callable[[Line], t.Iterable[str]]) -> t.Sequence[str]:
    lines = _without_root(image_history.lines(image.history))
    return ["line %d: %s" % (line.number, what) for line in lines for what in fault(line)]


def _without_root(lines: t.Sequence[Line]) -> list[Line]:
    """Return lines without the one that unpacks a root file system, which only ADD can."""
    made = [line for line in lines if line.instruction in ("ADD", "COPY", "RUN")]
    first = made[0] if made else None
    is_root = first is not None and first.instruction == "ADD" and _destination(first) == "/"
    return [line for line in lines if not (is_root and line is first)]


def _destination(line: Line) -> str:
    words = line.text.split()
    return words[-1] if words else ""


def _added(line: Line) -> t.Iterable[str]:
    return ["ADD to %s" % printable(_destination(line))] if line.instruction == "ADD" else []


def _updated(line: Line) -> t.Iterable[str]:
    return ["package lists are updated alone"] if package_commands.updates_alone(line) else []


def _check_packages(_host: Host, engine: Engine, _options: Options) -> Verdict:
    def evidence(image: Image) -> t.Iterable[str]:
        lines = image_history.lines(image.history)
        return sorted({word for line in lines for word in package_commands.installed(line)})

    return _ask(engine, evidence, "A person says which packages are needed; images: %d.")


def _ask(engine: Engine, evidence: t.Callable[[Image], t.Iterable[str]], question: str) -> Verdict:
    """Return the verdict of a person's control: each image with its evidence, one item for each piece of it."""
    images = known(engine)
    if isinstance(images, Verdict):
        return images
    try:
        items = [each for image in images for each in _asked(image, evidence)]
    except values.UnknownError as error:
        return verdict.not_checked("%s." % error)
    return verdict.manual(question % len(images), items, len(images))


def _asked(image: Image, evidence: t.Callable[[Image], t.Iterable[str]]) -> list[Item]:
    try:
        check_known(image)
        return [item(image, printable(what)) for what in list(evidence(image)) or [_NOTHING]]
    except values.UnknownError as error:
        raise values.UnknownError("%s: %s" % (name_of(image), error)) from None


def _check_secrets(_host: Host, engine: Engine, _options: Options) -> Verdict:
    return _ask(engine, _secret_names, "A person says whether there are secrets; images: %d.")


def _secret_names(image: Image) -> t.Iterable[str]:
    """Yield names that look like those of secrets, and lines that have one by its form; never a value."""
    for entry in values.texts(configuration(image), "Env", may_miss=True):
        name, _equals, value = entry.partition("=")
        if value and _is_secret(name):
            yield "environment: %s" % name
    for line in image_history.lines(image.history):
        names = sorted({name for name in image_history.assigned(line) if _is_secret(name)})
        if names:
            yield "line %d, %s: %s" % (line.number, line.instruction, ", ".join(names))
        elif _secrets.masked(line.text) != line.text:
            yield "line %d, %s: the form of a secret" % (line.number, line.instruction)


def _is_secret(name: str) -> bool:
    return name not in _NO_SECRETS and _SECRET.search(name) is not None


def _check_verified(_host: Host, engine: Engine, _options: Options) -> Verdict:
    def fault(line: Line) -> t.Iterable[str]:
        return package_commands.unverified(line)

    result = _of_lines(fault, "with packages that were not verified", "")(_host, engine, _options)
    if result.status not in (PASSED, NOT_APPLICABLE):
        return result

    def evidence(image: Image) -> t.Iterable[str]:
        return (
            "line %d installs packages" % line.number
            for line in image_history.lines(image.history)
            if package_commands.installed(line)
        )

    return _ask(engine, evidence, "No history switches verification off; images: %d.")


def _check_setuid(_host: Host, engine: Engine, _options: Options) -> Verdict:
    images = known(engine)
    if isinstance(images, Verdict):
        return images
    for image in images:
        if image.setuid is None:
            why = image.setuid_problem or "its layers were not read"
            return verdict.not_checked("%s: %s." % (name_of(image), why.rstrip(".")))
    items = [
        item(image, "%04o %s" % (mode, printable(path)))
        for image in images
        for path, mode in sorted(image.setuid or ())
    ]
    if not items:
        return verdict.passed("No image has a file with setuid or setgid.", len(images))
    return verdict.manual(
        "Files with setuid or setgid: %d; images: %d." % (len(items), len(images)), items, len(images)
    )


def _check_trust(host: Host, engine: Engine, _options: Options) -> Verdict:
    accounts = {
        account for listener in listeners.sockets(engine) for account in host.accounts.get(listener.address, ())
    }
    items = [Item("account", printable(account.name), printable(account.by)) for account in sorted(accounts)]
    return verdict.manual(
        "Clients verify signatures, not the engine: the environment of each account decides.",
        items or [Item("account", "root", "may use the engine")],
        len(items),
    )


def _check_signatures(_host: Host, engine: Engine, _options: Options) -> Verdict:
    return _ask(engine, image_origin.digests, "The engine verifies no signatures; images: %d.")


CHECKS: t.Mapping[str, verdict.Check] = {
    "docker_container_user_root": container_user.check,
    "docker_image_registry_untrusted": image_origin.check,
    "docker_image_packages_unneeded": _check_packages,
    "docker_image_outdated": old_images.check,
    "docker_content_trust_off": _check_trust,
    "docker_image_healthcheck_missing": _check_health,
    "docker_image_update_alone": _of_lines(
        _updated, "that update package lists alone", "No line updates package lists alone."
    ),
    "docker_image_setuid": _check_setuid,
    "docker_image_add_used": _of_lines(_added, "built with ADD", "No image was built with ADD."),
    "docker_image_secrets": _check_secrets,
    "docker_image_packages_unverified": _check_verified,
    "docker_image_signature_unverified": _check_signatures,
}
