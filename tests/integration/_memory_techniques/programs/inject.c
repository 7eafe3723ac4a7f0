/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Change another process with ptrace(2) and /proc/PID/mem.
 *
 * "inject hollow CODE PROGRAM [ARGUMENT...]": start it, and overwrite its code before any of it ran
 * "inject run PID CODE": have it run code in new memory, and let it go
 * "inject keep PID CODE": put code into new memory of it, and let it go on
 * "inject over PID ADDRESS CODE": overwrite memory of it
 * "inject trace PID": stay attached
 */

#include "bench.h"

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#define ROOM (64 * 1024UL)

static char content[ROOM];

static void written(pid_t pid, unsigned long address, const void *bytes, size_t size)
{
    char path[64];
    int memory;

    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    memory = open(path, O_RDWR);
    fail_unless(memory >= 0 && pwrite(memory, bytes, size, (off_t)address) == (ssize_t)size, path);
    close(memory);
}

static unsigned long entry(pid_t pid)
{
    char path[64];
    Elf64_auxv_t value;
    int file;

    snprintf(path, sizeof path, "/proc/%d/auxv", (int)pid);
    file = open(path, O_RDONLY);
    fail_unless(file >= 0, path);
    while (read(file, &value, sizeof value) == sizeof value)
        if (value.a_type == AT_ENTRY) {
            close(file);
            return value.a_un.a_val;
        }
    fail_unless(0, "no entry");
    return 0;
}

static void hollow(const char *code, char **command)
{
    size_t size = load(code, content, sizeof content);
    pid_t pid = fork();
    unsigned long address;
    int status;

    if (pid == 0) {
        leash();
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        execv(command[0], command);
        _exit(1);
    }
    fail_unless(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status), command[0]);
    address = entry(pid);
    memset(content + size, 0x90, 2 * PAGE);
    written(pid, address, content, size + 2 * PAGE);
    fail_unless(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0, "PTRACE_DETACH");
    ready("pid=%d address=%lx size=%zu", (int)pid, address, size);
}

static void attach(pid_t pid)
{
    int status;

    fail_unless(ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0, "PTRACE_ATTACH");
    fail_unless(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status), "it did not stop");
}

/* Run mmap(2) in the stopped process with the instruction it would come to next, which is put back. */
static unsigned long new_memory(pid_t pid, struct user_regs_struct registers)
{
    const long call = 0xcc050fL;
    long there = ptrace(PTRACE_PEEKTEXT, pid, (void *)registers.rip, NULL);
    const struct user_regs_struct before = registers;
    int status;

    fail_unless(ptrace(PTRACE_POKETEXT, pid, (void *)registers.rip, (void *)call) == 0, "PTRACE_POKETEXT");
    registers.rax = SYS_mmap;
    registers.orig_rax = (unsigned long long)-1;
    registers.rdi = 0;
    registers.rsi = ROOM;
    registers.rdx = PROT_READ | PROT_WRITE | PROT_EXEC;
    registers.r10 = MAP_PRIVATE | MAP_ANONYMOUS;
    registers.r8 = (unsigned long long)-1;
    registers.r9 = 0;
    fail_unless(ptrace(PTRACE_SETREGS, pid, NULL, &registers) == 0, "PTRACE_SETREGS");
    fail_unless(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid, "PTRACE_CONT");
    fail_unless(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP, "it did not trap");
    fail_unless(ptrace(PTRACE_GETREGS, pid, NULL, &registers) == 0, "PTRACE_GETREGS");
    fail_unless((long long)registers.rax > 0, "mmap");
    fail_unless(ptrace(PTRACE_POKETEXT, pid, (void *)before.rip, (void *)there) == 0, "PTRACE_POKETEXT");
    fail_unless(ptrace(PTRACE_SETREGS, pid, NULL, &before) == 0, "PTRACE_SETREGS");
    return registers.rax;
}

static void inject(pid_t pid, const char *code, int run)
{
    size_t size = load(code, content, sizeof content);
    struct user_regs_struct registers;
    unsigned long address;

    attach(pid);
    fail_unless(ptrace(PTRACE_GETREGS, pid, NULL, &registers) == 0, "PTRACE_GETREGS");
    address = new_memory(pid, registers);
    written(pid, address, content, size);
    if (run) {
        registers.rip = address;
        registers.orig_rax = (unsigned long long)-1;
        fail_unless(ptrace(PTRACE_SETREGS, pid, NULL, &registers) == 0, "PTRACE_SETREGS");
    }
    fail_unless(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0, "PTRACE_DETACH");
    ready("pid=%d address=%lx size=%zu", (int)pid, address, size);
}

int main(int count, char **arguments)
{
    pid_t pid;

    fail_unless(count > 2, "inject WHAT ...");
    pid = (pid_t)atoi(arguments[2]);
    if (strcmp(arguments[1], "hollow") == 0 && count > 3) {
        hollow(arguments[2], arguments + 3);
        idle();
    } else if (strcmp(arguments[1], "run") == 0 && count > 3) {
        inject(pid, arguments[3], 1);
    } else if (strcmp(arguments[1], "keep") == 0 && count > 3) {
        inject(pid, arguments[3], 0);
    } else if (strcmp(arguments[1], "over") == 0 && count > 4) {
        unsigned long address = strtoul(arguments[3], NULL, 16);
        size_t size = load(arguments[4], content, sizeof content);

        written(pid, address, content, size);
        ready("pid=%d address=%lx size=%zu", (int)pid, address, size);
    } else {
        fail_unless(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0, "PTRACE_SEIZE");
        ready("pid=%d", (int)pid);
        idle();
    }
    return 0;
}
