# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of docker_benchmark_info, for the module and its action plugin."""

from __future__ import annotations

import dataclasses
import typing as t

# What the coverage names.
ENGINES = "engines"


@dataclasses.dataclass(frozen=True)
class Excepted:
    """An exception of the operator: a control that some containers, images or services need not meet.

    control: number of the edition, or id. container, image, service: patterns of names, None for any; service is of a
    compose project, as ``PROJECT/SERVICE``, or of a swarm. until: the last day as ``YYYY-MM-DD``, None for no end.
    """

    control: str
    container: str | None
    image: str | None
    service: str | None
    reason: str
    until: str | None


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of docker_benchmark_info, parsed. None: the operator has not said, so that a person decides.

    trusted_users: accounts that may control engines. registries: names that images may come from. ports: published
    ports that are wanted, as ``443`` or ``127.0.0.1:8080/tcp``. image_age: days. sprawl: (images, containers) that may be
    unused. seccomp: names of profiles. log_drivers: those that send logs elsewhere. authorization: plugins. swarm:
    whether a swarm is wanted. level: 1 or 2.
    """

    trusted_users: tuple[str, ...] | None = None
    registries: tuple[str, ...] | None = None
    ports: tuple[str, ...] | None = None
    image_age: int | None = None
    sprawl: int | None = None
    seccomp: tuple[str, ...] | None = None
    log_drivers: tuple[str, ...] | None = None
    authorization: tuple[str, ...] | None = None
    swarm: bool | None = None
    level: int = 2
    edition: str = "1.8.0"
    exceptions: tuple[Excepted, ...] = ()
    time_budget: int = 60
    idle: bool = True
