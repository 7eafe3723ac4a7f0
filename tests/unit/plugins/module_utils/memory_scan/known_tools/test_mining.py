# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What miners are told, and the memory that they need."""

from __future__ import annotations

import random

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools import mining
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import PAGE, Pages, Range

from tests.unit.plugins.module_utils.memory_scan._memory import FakeView, mapping

_MONERO = (
    b"4" + b"8" + b"edfHu7V9Z84YzzMa6fUueoELZ9ZRXq9VetWzYGzKt52XU5xvqgzYnDK9URnRoJMk1j8nLwEVsaSWJ4fhdUyZijBGUicoD"[:93]
)
_BITCOIN = b"bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"
_ETHER = b"0x" + b"52908400098527886E0F7030069857D2E4169EE7"
_POOL = b"stratum+ssl://pool.example.org:443"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((b"x", b"-o", _POOL, b"-u", _MONERO), "a mining pool and a wallet"),
        ((b"x", b"--url=" + _POOL, b"--user=" + _MONERO + b".worker1"), "a mining pool and a wallet"),
        ((b"x", b"-o", b"ethproxy+tls://10.0.0.1:4444", b"-u", _ETHER), "a mining pool and a wallet"),
        ((b"x", b"-o", b"stratum1://10.0.0.1:4444", b"-u", _BITCOIN + b"/rig"), "a mining pool and a wallet"),
        ((b"x", b"-o", _POOL, b"-a", b"rx/0"), "a mining pool and an algorithm"),
        ((b"x", b"-o", _POOL, b"--algo=KawPow"), "a mining pool and an algorithm"),
        ((b"x", b"-o", b"10.0.0.1:80", b"-u", _MONERO), "a wallet and a server"),
        ((b"x", b"-o", _POOL), None),
        ((b"x", b"-a", b"rx/0"), None),
        ((b"x", b"-u", _MONERO), None),
        ((b"grep", b"-r", b"stratum+tcp://", b"/home"), None),
        ((b"grep", b"-rE", b"stratum\\+tcp://.*:3333|rx/0", b"/home"), None),
        ((b"sh", b"-c", b"xmrig -o " + _POOL + b" -u " + _MONERO), None),
        ((b"pkill", b"-f", _POOL + b" -a rx/0"), None),
        ((b"vim", b"/etc/stratum.conf", b"rx/0"), None),
        ((b"curl", b"https://api.example.org:443/wallet/" + _MONERO), None),
        ((b"ssh", b"-L", b"8080:localhost:80"), None),
        ((_POOL, b"rx/0"), None),
        ((), None),
        ((b"x", b"=" * 1000, b"\xff\xfe" * 1000, b"stratum+" * 10_000), None),
    ],
)
def test_arguments(arguments: tuple[bytes, ...], says: str | None) -> None:
    assert mining.arguments(arguments) == says


class Large(FakeView):
    """A process with a large mapping of which each page is random, or each is text."""

    def __init__(self, size: int, is_random: bool, code: bool, present: int | None = None, name: bytes = b"") -> None:
        self.large = mapping(0x7F0000000000, size, "rw-p")
        code_mapping = mapping(0x7E0000000000, 1 << 18, "rwxp")
        super().__init__([(self.large, b""), *([(code_mapping._replace(path=name), b"")] if code else [])])
        self._page = random.Random(1).randbytes(PAGE) if is_random else b"all work and no play " * 200  # noqa: S311
        self._present = size if present is None else present

    def pages(self, mapping: object) -> Pages:
        return Pages([Range(self.large.start, self.large.start + self._present)], [], 0)

    def read(self, start: int, length: int) -> bytes:
        self.reads += length
        return self._page[:length]


def test_the_data_set_of_a_miner() -> None:
    # As xmrig has it: the data set, the cache, and some more, which the kernel shows as one.
    view = Large(0x92023000, is_random=True, code=True)
    found = mining.dataset(view)  # type: ignore[arg-type]
    assert found is not None
    assert found.entropy is not None
    assert found.entropy > 7.9
    assert view.reads <= 16 * PAGE


def test_a_name_does_not_hide_the_code_of_a_miner() -> None:
    """Any program can name its memory (PR_SET_VMA_ANON_NAME of prctl(2))."""
    assert mining.dataset(Large(0x92023000, is_random=True, code=True, name=b"[anon:cache]"))  # type: ignore[arg-type]
    assert not mining.dataset(Large(0x92023000, is_random=True, code=True, name=b"[vdso]"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "view",
    [
        Large(0x92023000, is_random=False, code=True),
        Large(0x92023000, is_random=True, code=False),
        Large(0x81000000, is_random=True, code=True),
        Large(0xC0000000, is_random=True, code=True),
        Large(0x92023000, is_random=True, code=True, present=0x40000000),
    ],
    ids=["text", "no code", "too small", "too large", "not filled"],
)
def test_other_large_memory(view: Large) -> None:
    assert mining.dataset(view) is None  # type: ignore[arg-type]
