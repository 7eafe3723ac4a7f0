# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 4: images by configuration and history, as both builders write it, and accounts of containers."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import (
    image_history,
    image_origin,
    images,
    package_commands,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.verdict import Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    Account,
    Container,
    Engine,
    Image,
    Process,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

from tests.unit.plugins.module_utils.docker_hardening.detect import engine_samples as samples

OF_IMAGES = sorted(set(images.CHECKS) - {"docker_container_user_root", "docker_content_trust_off"})


def judged(control: str, engine: Engine, **options: t.Any) -> Verdict:
    return images.CHECKS[control](samples.host(), engine, Options(**options))


def of(control: str, *found: Image, **options: t.Any) -> Verdict:
    return judged(control, samples.engine(images=found), **options)


@pytest.mark.parametrize("control", OF_IMAGES)
def test_images_that_are_not_known_are_not_checked(control: str) -> None:
    for options in ({}, {"registries": ("docker.io",), "image_age": 30}):
        assert judged(control, samples.stopped(), **options).status == "not_checked"
        silent = judged(control, samples.silent(), **options)
        assert silent.status == "not_checked"
        assert "it did not answer within 15 seconds" in silent.reason
        assert judged(control, samples.engine(), **options).status == "not_applicable"
        broken = samples.image(problem="its answer is not JSON", history=None, setuid=None)
        assert of(control, broken, **options).status == "not_checked"


ALONE = [
    "RUN /bin/sh -c apt-get update # buildkit",
    "/bin/sh -c apt-get -qq update",
    "|1 A=b c /bin/sh -c apt-get update && rm -rf /tmp/x",
    "RUN |2 A=b TOKEN=c /bin/sh -c set -e; apt-get -o Acquire::Retries=3 update # buildkit",
    "/bin/bash -o pipefail -c apk update",
    "RUN /bin/sh -c yum -y update && yum clean all # buildkit",
    "/bin/sh -c apt-get update \\\n   && apt-get clean",
]
TOGETHER = [
    "RUN /bin/sh -c apt-get update && apt-get install --yes curl # buildkit",
    "/bin/sh -c apt-get update; apt-get -y --no-install-recommends install curl",
    "/bin/sh -c apt-get update && apt-get upgrade -y",
    "/bin/sh -c apt-get update && /setup.sh",
    "/bin/sh -c apk add --update curl",
    "/bin/sh -c yum -y update openssl",
    "/bin/sh -c echo apt-get update",
    '/bin/sh -c #(nop)  CMD ["apt-get" "update"]',
    "LABEL note=apt-get update",
    "/bin/sh -c apt-get install curl",
]


@pytest.mark.parametrize("line", ALONE)
def test_an_update_alone_fails(line: str) -> None:
    verdict = of("docker_image_update_alone", samples.image("COPY . / # buildkit", line))
    assert (verdict.status, verdict.items[0].image) == ("failed", "own:1")
    assert verdict.items[0].detail == "line 2: package lists are updated alone"


@pytest.mark.parametrize("line", TOGETHER)
def test_an_update_with_what_needs_it_passes(line: str) -> None:
    assert of("docker_image_update_alone", samples.image(line)).status == "passed"


ROOT = "/bin/sh -c #(nop) ADD file:0123abcd in / "


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([ROOT, '/bin/sh -c #(nop)  CMD ["bash"]'], "passed"),
        (["ARG RELEASE", "LABEL a=b", ROOT], "passed"),
        (["ADD alpine-minirootfs.tar.gz / # buildkit", 'CMD ["/bin/sh"]'], "passed"),
        ([ROOT, "ADD https://user:pw@host.example/x /opt/x # buildkit"], "failed"),
        ([ROOT, "/bin/sh -c #(nop) ADD file:4567 in / "], "failed"),
        (["COPY a / # buildkit", ROOT], "failed"),
        (["/bin/sh -c #(nop) ADD file:0123abcd in /opt/app.tar "], "failed"),
        (["COPY ADD /x # buildkit", "RUN /bin/sh -c ADD x # buildkit"], "passed"),
    ],
)
def test_only_a_root_file_system_needs_add(lines: list[str], status: str) -> None:
    verdict = of("docker_image_add_used", samples.image(*lines))
    assert verdict.status == status
    assert "pw@" not in str(verdict.items)


@pytest.mark.parametrize("control", ["docker_image_update_alone", "docker_image_add_used"])
def test_an_import_is_not_built_from_a_dockerfile(control: str) -> None:
    imported = samples.image("")
    assert of(control, imported).status == "not_applicable"
    assert of(control, imported, samples.image("COPY a /a # buildkit")).status == "passed"
    assert of(control, samples.image("COPY a /a # buildkit"), samples.image(history=None)).status == "not_checked"


@pytest.mark.parametrize(
    ("check", "status"),
    [
        ({"Test": ["CMD-SHELL", "true"]}, "passed"),
        ({"Test": ["NONE"]}, "failed"),
        ({"Test": []}, "failed"),
        ({}, "failed"),
        (None, "failed"),
        ("true", "failed"),
    ],
)
def test_an_image_has_a_health_check(check: t.Any, status: str) -> None:
    assert (
        of("docker_image_healthcheck_missing", samples.image(inspect={"Config": {"Healthcheck": check}})).status
        == status
    )


def test_an_image_without_configuration_has_no_health_check() -> None:
    assert of("docker_image_healthcheck_missing", samples.image(inspect={"Config": None})).status == "failed"


@pytest.mark.parametrize(
    ("digests", "trusted", "status"),
    [
        (["busybox@sha256:1"], None, "manual"),
        (["busybox@sha256:1"], ("docker.io",), "passed"),
        (["busybox@sha256:1"], ("docker.io/library/",), "passed"),
        (["busybox@sha256:1"], ("docker.io/acme",), "failed"),
        (["acme/app@sha256:1"], ("docker.io/acme",), "passed"),
        (["acme.evil/app@sha256:1"], ("acme",), "failed"),
        (["registry.example:5000/a/b@sha256:1"], ("registry.example:5000",), "passed"),
        (["registry.example:5000/a/b@sha256:1"], ("registry.example",), "failed"),
        (["registry.example.evil/a@sha256:1"], ("registry.example",), "failed"),
        (["registry.example/a@sha256:1"], ("*.example",), "failed"),
        (["registry.example/a@sha256:1"], ("*.example/*",), "passed"),
        (["busybox@sha256:1", "registry.example/a@sha256:1"], ("registry.example",), "passed"),
        (["busybox@sha256:1"], (), "failed"),
        (["busybox@sha256:1"], ("", "/"), "failed"),
        ([], ("docker.io", "own"), "manual"),
        (None, ("docker.io",), "manual"),
    ],
)
def test_registries_are_those_that_the_operator_trusts(digests: t.Any, trusted: t.Any, status: str) -> None:
    image = samples.image(inspect={"RepoDigests": digests})
    assert of("docker_image_registry_untrusted", image, registries=trusted).status == status


def test_in_containerd_each_image_has_a_digest() -> None:
    status = [["driver-type", "io.containerd.snapshotter.v1"]]
    for digests, verdict in ((["registry.example/own@sha256:1"], "manual"), (["busybox@sha256:1"], "failed")):
        engine = samples.engine(
            images=(samples.image(inspect={"RepoDigests": digests}),), info={"DriverStatus": status}
        )
        assert judged("docker_image_registry_untrusted", engine, registries=("registry.example",)).status == verdict


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("busybox", "docker.io/library/busybox"),
        ("acme/app@sha256:1", "docker.io/acme/app"),
        ("localhost/app", "localhost/app"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox"),
        ("host:5000/app", "host:5000/app"),
    ],
)
def test_a_name_has_its_registry(name: str, full: str) -> None:
    assert image_origin.repository(name) == full


@pytest.mark.parametrize(
    ("created", "most", "status"),
    [
        ("2026-12-20T10:00:00.5Z", None, "manual"),
        ("2026-12-20T10:00:00.5Z", 90, "passed"),
        ("2026-01-20T10:00:00Z", 90, "failed"),
        ("1970-01-01T00:00:00Z", 90, "manual"),
        ("0001-01-01T00:00:00Z", 90, "manual"),
        ("2099-01-01T00:00:00Z", 90, "manual"),
        ("2026-99-20T10:00:00Z", 90, "manual"),
        ("long ago", 90, "manual"),
        (None, 90, "manual"),
        (7, 90, "manual"),
    ],
)
def test_an_image_is_as_old_as_the_operator_allows(created: t.Any, most: int | None, status: str) -> None:
    verdict = of("docker_image_outdated", samples.image(inspect={"Created": created}), image_age=most)
    assert verdict.status == status


def test_an_old_image_fails_beside_one_of_unknown_age() -> None:
    old, undated = samples.image(inspect={"Created": "2020-01-01T00:00:00Z"}), samples.image(inspect={"Created": ""})
    verdict = of("docker_image_outdated", old, undated, image_age=30)
    assert (verdict.status, len(verdict.items)) == ("failed", 1)
    # A decision does not lapse by age alone.
    assert "days old" in verdict.items[0].note
    assert "days" not in verdict.items[0].detail


def test_a_person_gets_packages_by_name() -> None:
    image = samples.image(
        "RUN |1 TOKEN=abc /bin/sh -c apt-get install -y curl=7.0 git && pip install https://u:pw@h/x flask # buildkit",
        "/bin/sh -c apk --no-cache add --virtual .build gcc",
    )
    verdict = of("docker_image_packages_unneeded", image)
    assert verdict.status == "manual"
    assert [item.detail for item in verdict.items] == ["curl=7.0", "flask", "gcc", "git"]
    assert [item.detail for item in of("docker_image_packages_unneeded", samples.image("")).items] == ["nothing seen"]


def test_names_of_secrets_are_shown_and_never_their_values() -> None:
    value = "hunter2hunter2"
    image = samples.image(
        "ENV DB_PASSWORD=%s PATH=/bin # buildkit" % value,
        "RUN |2 NPM_TOKEN=%s VERSION=1 /bin/sh -c npm ci # buildkit" % value,
        "/bin/sh -c #(nop)  ARG api_key",
        "/bin/sh -c curl --user ada:%s https://host.example" % value,
        "ENV AUTHOR=ada KEYBOARD=us # buildkit",
        inspect={"Config": {"Env": ["DB_PASSWORD=%s" % value, "PWD=/app", "EMPTY_TOKEN=", "PATH=/bin"]}},
    )
    verdict = of("docker_image_secrets", image)
    assert verdict.status == "manual"
    assert [item.detail for item in verdict.items] == [
        "environment: DB_PASSWORD",
        "line 1, ENV: DB_PASSWORD",
        "line 2, RUN: NPM_TOKEN",
        "line 3, ARG: api_key",
        "line 4, RUN: the form of a secret",
    ]
    assert value not in str(verdict)


def test_without_a_sign_of_secrets_a_person_still_decides() -> None:
    verdict = of("docker_image_secrets", samples.image("COPY . / # buildkit"))
    assert (verdict.status, [item.detail for item in verdict.items]) == ("manual", ["nothing seen"])


@pytest.mark.parametrize(
    "command",
    [
        "apt-get install -y --allow-unauthenticated curl",
        "apt-get -o APT::Get::AllowUnauthenticated=true install curl",
        "yum install --nogpgcheck -y curl",
        "dnf -y --setopt=gpgcheck=0 install curl",
        "apk add --allow-untrusted /x.apk",
        "rpm -i --nosignature x.rpm",
        "pip install --trusted-host=pypi.example flask",
        "echo 'deb [trusted=yes] http://host.example ./' > /etc/apt/sources.list.d/x.list",
    ],
)
def test_switching_verification_off_fails(command: str) -> None:
    assert (
        of("docker_image_packages_unverified", samples.image("RUN /bin/sh -c %s # buildkit" % command)).status
        == "failed"
    )
    assert of("docker_image_packages_unverified", samples.image("/bin/sh -c %s" % command)).status == "failed"


def test_verified_packages_are_a_question_to_a_person() -> None:
    image = samples.image("/bin/sh -c apt-get install curl")
    verdict = of("docker_image_packages_unverified", image)
    assert (verdict.status, verdict.items[0].detail) == ("manual", "line 1 installs packages")
    assert of("docker_image_packages_unverified", samples.image("")).status == "manual"


def test_setuid_files_are_a_question_to_a_person() -> None:
    found = samples.image(setuid=(("/usr/bin/su", 0o4755), ("/usr/bin/a\x1b", 0o2755)))
    verdict = of("docker_image_setuid", found, samples.image())
    assert verdict.status == "manual"
    assert [item.detail for item in verdict.items] == ["2755 /usr/bin/a\\x1b", "4755 /usr/bin/su"]
    assert of("docker_image_setuid", samples.image()).status == "passed"
    unread = of("docker_image_setuid", found, samples.image(setuid=None, setuid_problem="the driver is zfs"))
    assert (unread.status, unread.reason) == ("not_checked", "own:1: the driver is zfs.")


def test_signatures_are_a_question_to_a_person() -> None:
    image = samples.image(inspect={"RepoDigests": ["busybox@sha256:1"]})
    assert [item.detail for item in of("docker_image_signature_unverified", image, samples.image()).items] == [
        "busybox@sha256:1",
        "built or loaded here",
    ]
    host = samples.host(accounts={samples.ADDRESS: (Account("ada", 1000, "member of docker"),)})
    verdict = images.CHECKS["docker_content_trust_off"](host, samples.engine(), samples.NO_OPTIONS)
    assert (verdict.status, [item.name for item in verdict.items]) == ("manual", ["ada"])
    assert judged("docker_content_trust_off", samples.stopped()).status == "manual"


def container(user: t.Any = "", uid: int | None = None, **changes: t.Any) -> Container:
    """Return a container whose first process, which runs if it has an account, is number 7."""
    inspect = {
        "Config": {"User": user, "Image": "own:1", "Labels": {"com.docker.compose.project": "p"}},
        "State": {"Pid": 7},
    }
    processes = None if uid is None else (Process(6, "/x", "x", 0), Process(7, "/x", "x", uid))
    return Container("c" * 64, "web", inspect, uid is not None, processes)._replace(**changes)


@pytest.mark.parametrize(
    ("found", "engine", "status"),
    [
        (container("", 0), {}, "failed"),
        (container("root", 0), {}, "failed"),
        (container("0:0"), {}, "failed"),
        (container("00"), {}, "failed"),
        (container(" "), {}, "failed"),
        (container("app"), {}, "passed"),
        (container("1000:0"), {}, "passed"),
        # What runs decides: an entry point gave root away, or a name is that of root.
        (container("", 999), {}, "passed"),
        (container("app", 0), {}, "failed"),
        # Numbers that are mapped say nothing, configuration does.
        (container("", 100_000), {"settings": samples.settings(userns_remap="default")}, "failed"),
        (container("app", 100_000), {"settings": samples.settings(userns_remap="default")}, "passed"),
        (container("", 999), {"settings": samples.unknown("userns-remap")}, "failed"),
        (container("", problem="no answer"), {}, "not_checked"),
    ],
)
def test_containers_run_as_an_account_of_their_own(found: Container, engine: t.Any, status: str) -> None:
    verdict = judged("docker_container_user_root", samples.engine(containers=(found,), **engine))
    assert verdict.status == status


def test_root_of_a_rootless_engine_has_the_number_of_its_account() -> None:
    for uid, status in ((1000, "failed"), (100_999, "passed")):
        engine = samples.rootless(containers=(container("", uid),))
        assert judged("docker_container_user_root", engine).status == status


def test_containers_that_are_not_known_are_not_checked() -> None:
    control = "docker_container_user_root"
    assert judged(control, samples.engine()).status == "not_applicable"
    assert judged(control, samples.stopped()).status == "not_checked"
    assert judged(control, samples.silent()).status == "not_checked"
    refused = samples.engine(containers=None, problems=(("containers", "it answered with 500"),))
    assert "it answered with 500" in judged(control, refused).reason
    mixed = samples.engine(containers=(container("", problem="no answer"), container("", 0)))
    assert judged(control, mixed).status == "failed"


def test_a_container_is_shown_by_what_an_exception_can_name() -> None:
    (item,) = judged("docker_container_user_root", samples.engine(containers=(container(),))).items
    assert (item.name, item.container, item.image, item.service) == ("web", "web", "own:1", "")
    (item,) = of("docker_image_healthcheck_missing", samples.image()).items
    assert (item.image, item.digests) == ("own:1", ("sha256:" + "a" * 64,))


@pytest.mark.parametrize(
    "created_by",
    ["RUN", "ADD # buildkit", "|9", "|1 " + "A=b " * 20_000, "/bin/sh -c " + "apt-get && " * 20_000, "(" * 50_000],
)
def test_a_line_of_any_form_is_read(created_by: str) -> None:
    (line,) = image_history.lines([{"CreatedBy": created_by}])
    package_commands.installed(line)
    package_commands.updates_alone(line)
    assert list(package_commands.unverified(line)) == []


@pytest.mark.parametrize("history", [({"CreatedBy": None},), ({"CreatedBy": ["RUN"]},), ([1],), (None,)])
def test_a_history_of_another_shape_is_not_checked(history: t.Any) -> None:
    of_history = set(OF_IMAGES) - {
        "docker_image_registry_untrusted",
        "docker_image_outdated",
        "docker_image_healthcheck_missing",
        "docker_image_setuid",
        "docker_image_signature_unverified",
    }
    for control in sorted(of_history):
        assert of(control, samples.image("COPY a /a"), samples.image(history=history)).status == "not_checked", control


def test_a_configuration_of_another_shape_is_not_checked() -> None:
    for control in ("docker_image_healthcheck_missing", "docker_image_secrets"):
        assert of(control, samples.image(inspect={"Config": [1]})).status == "not_checked"
    assert of("docker_image_secrets", samples.image(inspect={"Config": {"Env": ["A=b", 1]}})).status == "not_checked"
    for inspect in ({}, {"Config": {"User": 10}}, {"Config": {}, "State": {"Pid": "7"}}, {"Config": {}, "State": []}):
        engine = samples.engine(containers=(Container("c" * 64, "web", inspect, True),))
        assert judged("docker_container_user_root", engine).status == "not_checked"


def test_an_endless_word_of_a_history_is_no_package() -> None:
    # A pattern that goes back for each of its characters would take minutes.
    line = image_history.Line(1, "RUN", "apt-get install curl a" + "~" * 49_000 + "@")
    assert package_commands.installed(line) == ["curl"]
