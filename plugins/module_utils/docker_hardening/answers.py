# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine answers: its containers, images, networks and swarm. Nothing is executed in a container or changed."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.api_errors import (
    ApiError,
    GoneError,
    HangsError,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.client import (
    Client,
    as_object,
    as_objects,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    Container,
    Image,
    Json,
    Swarm,
)

# What the engine calls its things goes into the path of a question.
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{12,64}\Z")
_MOST_CONTAINERS = 5_000
_MOST_IMAGES = 2_000
_MOST_EXECS = 200
_NO_ID = "the engine gave it no id that can be asked for"
_UNKNOWN = "the engine lists it and does not describe it"
_NO_NAME = "<none>:<none>"


class Answers:
    """What an engine answered. problems: (what, why) of each question that it did not answer."""

    def __init__(self) -> None:
        self.version: Json = {}
        self.info: Json = {}
        self.networks: tuple[Json, ...] | None = None
        self.containers: tuple[Container, ...] | None = None
        self.images: tuple[Image, ...] | None = None
        self.swarm: Swarm | None = None
        self.execs: tuple[Json, ...] = ()
        self.problems: list[tuple[str, str]] = []

    def note(self, what: str, error: ApiError) -> None:
        self.problems.append((what, str(error)))


def ask(client: Client) -> Answers:
    """Ask an engine for everything; each question that fails is noted, and the others are asked all the same.

    ApiError where it does not answer as an engine does.
    """
    answers = Answers()
    try:
        answers.version = client.version()
    except HangsError:
        raise
    except ApiError as error:
        client.ping()
        answers.note("version", error)
    try:
        answers.info = client.object("/info")
    except ApiError as error:
        answers.note("information", error)
    try:
        answers.networks = tuple(client.objects("/networks"))
    except ApiError as error:
        answers.note("networks", error)
    try:
        answers.containers = _containers(client)
    except ApiError as error:
        answers.note("containers", error)
    answers.execs = _execs(client, answers)
    try:
        answers.images = _images(client, _used(answers.containers or ()))
    except ApiError as error:
        answers.note("images", error)
    answers.swarm = _swarm(client, answers)
    return answers


def _containers(client: Client) -> tuple[Container, ...]:
    listed = [_container(one) for one in _limited(client.objects("/containers/json?all=1"), _MOST_CONTAINERS)]
    found = [container._replace(problem=_NO_ID) for container in listed if not _ID.match(container.id)]
    known = [container for container in listed if _ID.match(container.id)]
    for container, answer in zip(known, client.each(["/containers/%s/json" % one.id for one in known])):
        try:
            inspect = as_object(answer)
        except GoneError:
            # It was removed after it was listed.
            continue
        except ApiError as error:
            found.append(container._replace(problem=str(error)))
            continue
        state = inspect.get("State")
        is_running = isinstance(state, dict) and state.get("Running") is True
        found.append(container._replace(inspect=inspect, is_running=is_running))
    return tuple(found)


def _container(listed: Json) -> Container:
    return Container(_text(listed, "Id"), _name(listed), {}, _text(listed, "State") in ("running", "paused"))


def _name(listed: Json) -> str:
    names = listed.get("Names")
    texts = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    # Links give a container further names, which have a slash.
    own = [name[1:] for name in texts if name.startswith("/") and "/" not in name[1:]]
    return (own or texts or [_text(listed, "Id")[:12]])[0]


def _used(containers: t.Iterable[Container]) -> frozenset[str]:
    return frozenset(_text(container.inspect, "Image") for container in containers)


def _images(client: Client, used: frozenset[str]) -> tuple[Image, ...]:
    listed = [_image(one, used) for one in _limited(client.objects("/images/json"), _MOST_IMAGES)]
    found = [image._replace(problem=_NO_ID) for image in listed if not _ID.match(image.id)]
    known = [image for image in listed if _ID.match(image.id)]
    answered = client.each(["/images/%s/%s" % (one.id, what) for one in known for what in ("json", "history")])
    gone = []
    for image, inspect, history in zip(known, answered, answered):
        try:
            image = image._replace(inspect=as_object(inspect))
            image = image._replace(history=tuple(as_objects(history)))
        except GoneError:
            gone.append(image)
            continue
        except ApiError as error:
            image = image._replace(problem=str(error))
        found.append(image)
    # Images were removed after they were listed; one of another platform is listed, and has no history.
    still_there = {_text(one, "Id") for one in client.objects("/images/json")} if gone else set()
    return (*found, *(image._replace(problem=_UNKNOWN) for image in gone if image.id in still_there))


def _image(listed: Json, used: frozenset[str]) -> Image:
    tags = listed.get("RepoTags")
    names = tuple(tag for tag in tags if isinstance(tag, str) and tag != _NO_NAME) if isinstance(tags, list) else ()
    identifier = _text(listed, "Id")
    return Image(identifier, names, {}, is_used=identifier in used)


def _execs(client: Client, answers: Answers) -> tuple[Json, ...]:
    """Return the execs that run, by what the containers say of them."""
    found: list[Json] = []
    for container in answers.containers or ():
        identifiers = container.inspect.get("ExecIDs")
        for identifier in identifiers if isinstance(identifiers, list) else ():
            if not isinstance(identifier, str) or not _ID.match(identifier):
                continue
            if len(found) == _MOST_EXECS:
                answers.problems.append(("execs", "there are more than %d" % _MOST_EXECS))
                return tuple(found)
            try:
                found.append(client.object("/exec/%s/json" % identifier))
            except GoneError:
                continue
            except ApiError as error:
                answers.note("execs", error)
                return tuple(found)
    return tuple(found)


def _swarm(client: Client, answers: Answers) -> Swarm | None:
    """Return the swarm, None where it is not known whether there is one."""
    state = answers.info.get("Swarm")
    if not isinstance(state, dict) or not isinstance(state.get("LocalNodeState"), str):
        return None
    if state["LocalNodeState"] == "inactive":
        return Swarm(is_active=False)
    swarm = Swarm(is_active=True, is_manager=state.get("ControlAvailable") is True)
    if not swarm.is_manager:
        return swarm
    try:
        return swarm._replace(
            cluster=_without_tokens(client.object("/swarm")),
            nodes=tuple(client.objects("/nodes")),
            services=tuple(client.objects("/services")),
            secrets=tuple(_secret(secret) for secret in client.objects("/secrets")),
        )
    except ApiError as error:
        return swarm._replace(problem=str(error))


def _without_tokens(cluster: Json) -> Json:
    """Return a swarm without the tokens that let nodes join it."""
    return {name: value for name, value in cluster.items() if name != "JoinTokens"}


def _secret(secret: Json) -> Json:
    """Return a secret's name and times; what it holds is not told by the engine either."""
    spec = secret.get("Spec")
    name = _text(spec, "Name") if isinstance(spec, dict) else ""
    return {"Spec": {"Name": name}, "CreatedAt": secret.get("CreatedAt"), "UpdatedAt": secret.get("UpdatedAt")}


def _limited(found: list[dict[str, t.Any]], most: int) -> list[dict[str, t.Any]]:
    if len(found) > most:
        raise ApiError("it has more than %d" % most)
    return found


def _text(values: Json, name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
