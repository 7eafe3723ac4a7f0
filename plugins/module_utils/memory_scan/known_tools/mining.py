# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What miners are known by whatever their program is called: what they are told, and the memory that they need.

ATT&CK T1496.001.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import engines, images
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import PAGE, Mapping, Memory
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import View

_POOL = re.compile(rb"(?:stratum[12]?(?:\+\w{2,8})?|eth(?:proxy|ash)(?:\+\w{2,8})?|daemon\+https?)://[^\s/]{1,300}\Z")
_PLACE = re.compile(rb"[\w.-]{1,255}:\d{2,5}\Z")
# Addresses of Monero (and what is made of it), Bitcoin, and Ethereum, after which a worker may be named.
_WALLET = re.compile(
    rb"(?:[48][0-9AB][1-9A-HJ-NP-Za-km-z]{93}(?:[1-9A-HJ-NP-Za-km-z]{11})?|bc1[02-9ac-hj-np-z]{25,87}|0x[0-9a-fA-F]{40})"
    rb"(?:[.+/:@].{0,100})?\Z",
    re.DOTALL,
)
_ALGORITHM = re.compile(
    rb"(?:(?:rx|cn|cn-lite|cn-heavy|cn-pico|argon2)/\w{1,20}|randomx|cryptonight\S{0,20}|kawpow|autolykos2?|etchash|ethash"
    rb"|ghostrider|yescryptr?\d{0,2}|verushash|progpow\S{0,10}|beamhash\S{0,6}|firopow)\Z",
    re.IGNORECASE,
)

# RandomX: RANDOMX_DATASET_BASE_SIZE and RANDOMX_DATASET_EXTRA_SIZE in whole pages. Its cache of 256 MiB may be beside.
_DATASET = 0x82000000
_BESIDE = 0x18000000
_SAMPLES = 16
# Bits for each byte of a page: random ones have 7.954 with a deviation of 0.005, compressed ones about as much.
_RANDOM = 7.93


def arguments(given: t.Sequence[bytes]) -> str | None:
    """Return what of arguments says that it mines; None where too little does.

    Each is looked at by itself: a shell that is told to start a miner, or to look for one, has it all in one.
    """
    values = [value for argument in given[1:] for value in (argument, argument.partition(b"=")[2]) if value]
    pool = any(_POOL.match(value) for value in values)
    wallet = any(_WALLET.match(value) for value in values)
    if pool and wallet:
        return "a mining pool and a wallet"
    if pool and any(_ALGORITHM.match(value) for value in values):
        return "a mining pool and an algorithm"
    if wallet and any(_PLACE.match(value) for value in values):
        return "a wallet and a server"
    return None


def dataset(view: View) -> Memory | None:
    """Return the memory that looks like the data set of RandomX, beside code that was made at run time."""
    sized = [one for one in view.maps if _is_sized(one)]
    if not sized or not any(map(_is_made, view.maps)):
        return None
    for mapping in sized:
        entropy = _entropy(view, mapping)
        if entropy is not None:
            return Memory(mapping.start, mapping.end, mapping.permissions, "", _SAMPLES * PAGE, entropy=entropy)
    return None


def _is_made(mapping: Mapping) -> bool:
    return mapping.executable and _is_memory(mapping) and not mapping.path.startswith(images.KERNEL_CODE)


def _is_sized(mapping: Mapping) -> bool:
    return _is_memory(mapping) and mapping.writable and _DATASET <= mapping.size <= _DATASET + _BESIDE


def _is_memory(mapping: Mapping) -> bool:
    """Say whether no file has it or ever had; a program may have named it (PR_SET_VMA of prctl(2))."""
    return engines.kind_of(mapping) not in (None, engines.REMOVED)


def _entropy(view: View, mapping: Mapping) -> float | None:
    """Return the least entropy of pages all over a mapping; None where one is not there, or not random."""
    present = view.pages(mapping).present
    if sum(found.end - found.start for found in present) < _DATASET - (_DATASET >> 6):
        return None
    least = 8.0
    step = mapping.size // _SAMPLES // PAGE * PAGE
    for place in range(mapping.start + step // 2 // PAGE * PAGE, mapping.start + step * _SAMPLES, step):
        if not any(found.start <= place < found.end for found in present):
            return None
        least = min(least, facts.entropy(view.read(place, PAGE)))
        if least < _RANDOM:
            return None
    return least
