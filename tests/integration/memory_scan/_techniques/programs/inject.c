/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Change another process with ptrace(2) and /proc/PID/mem.
 *
 * "inject hollow CODE PROGRAM [ARGUMENT...]": start it, and overwrite its code before any of it ran
 * "inject run PID CODE": have it run code in new memory, and let it go
 * "inject keep PID CODE": put code into new memory of it, and let it go on
 * "inject over PID ADDRESS CODE": overwrite memory of it
 * "inject call PID rwx|rx|split|shared|memfd|written=FILE|writable=FILE run|keep|thread|back": put code into new memory of it that makes no system call,
 *     but calls sleep(3) of the C library that both have. "run": the first thread comes to it, "thread": one of its own,
 *     "keep": none, "back": as with "run", and then it can't be executed until somebody allows that again
 * "inject trace PID": stay attached
 */

#include "bench.h"

#include <dirent.h>
#include <elf.h>
#include <sys/ptrace.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

/* No size that a compiler of regular expressions asks for. */
#define ROOM (20 * 1024UL)

#define MOST_THREADS 512

static char content[ROOM];
static pid_t others[MOST_THREADS];
static int held;

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

/* Stop all threads but the first: they may come to the instruction that is replaced for a system call. */
static void hold_others(pid_t pid)
{
    char path[64];
    int status, more = 1;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    while (more) {
        DIR *tasks = opendir(path);
        struct dirent *task;

        more = 0;
        fail_unless(tasks != NULL, path);
        while ((task = readdir(tasks)) != NULL) {
            pid_t thread = (pid_t)atoi(task->d_name);

            /* It is no thread, the first one, has ended, or is attached already. */
            if (thread <= 0 || thread == pid || ptrace(PTRACE_ATTACH, thread, NULL, NULL) != 0)
                continue;
            fail_unless(waitpid(thread, &status, __WALL) == thread && held < MOST_THREADS, "a thread did not stop");
            others[held++] = thread;
            more = 1;
        }
        closedir(tasks);
    }
}

static void release_others(void)
{
    while (held > 0)
        ptrace(PTRACE_DETACH, others[--held], NULL, NULL);
}

/* Have the stopped process go on with these registers until it traps; then it is as it was. Return what is in rax. */
static unsigned long until_trap(pid_t pid, struct user_regs_struct registers, const struct user_regs_struct *before)
{
    int status;

    registers.orig_rax = (unsigned long long)-1;
    fail_unless(ptrace(PTRACE_SETREGS, pid, NULL, &registers) == 0, "PTRACE_SETREGS");
    fail_unless(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid, "PTRACE_CONT");
    fail_unless(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP, "it did not trap");
    fail_unless(ptrace(PTRACE_GETREGS, pid, NULL, &registers) == 0, "PTRACE_GETREGS");
    fail_unless(ptrace(PTRACE_SETREGS, pid, NULL, before) == 0, "PTRACE_SETREGS");
    return registers.rax;
}

/* Make a system call in the stopped process with the instruction it would come to next, which is put back. */
static unsigned long system_call(pid_t pid, unsigned long number, const unsigned long arguments[6])
{
    const long call = 0xcc050fL;
    struct user_regs_struct before, registers;
    unsigned long result;
    long there;

    fail_unless(ptrace(PTRACE_GETREGS, pid, NULL, &before) == 0, "PTRACE_GETREGS");
    there = ptrace(PTRACE_PEEKTEXT, pid, (void *)before.rip, NULL);
    fail_unless(ptrace(PTRACE_POKETEXT, pid, (void *)before.rip, (void *)call) == 0, "PTRACE_POKETEXT");
    registers = before;
    registers.rax = number;
    registers.rdi = arguments[0];
    registers.rsi = arguments[1];
    registers.rdx = arguments[2];
    registers.r10 = arguments[3];
    registers.r8 = arguments[4];
    registers.r9 = arguments[5];
    result = until_trap(pid, registers, &before);
    fail_unless(ptrace(PTRACE_POKETEXT, pid, (void *)before.rip, (void *)there) == 0, "PTRACE_POKETEXT");
    fail_unless((long)result >= 0, "a system call in the other process");
    return result;
}

static unsigned long new_memory(pid_t pid, unsigned long protection, unsigned long flags, unsigned long file)
{
    const unsigned long arguments[6] = {0, ROOM, protection, flags, file, 0};

    return system_call(pid, SYS_mmap, arguments);
}

static void protect(pid_t pid, unsigned long address, unsigned long size, unsigned long protection)
{
    const unsigned long arguments[6] = {address, size, protection, 0, 0, 0};

    system_call(pid, SYS_mprotect, arguments);
}

/* Where the file is mapped that has a function of this process in it: the first address of it. */
static unsigned long base_of(pid_t pid, const char *file)
{
    char path[64], line[512];
    unsigned long start;
    FILE *maps;

    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    maps = fopen(path, "r");
    fail_unless(maps != NULL, path);
    while (fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, file) != NULL) {
            start = strtoul(line, NULL, 16);
            fclose(maps);
            return start;
        }
    fail_unless(0, file);
    return 0;
}

static unsigned long in_library(pid_t pid, unsigned long function)
{
    return function - base_of(getpid(), "/libc.so.6") + base_of(pid, "/libc.so.6");
}

/* Have the other process open a file by a system call that takes its name: of openat(2) or memfd_create(2). */
static unsigned long opened(pid_t pid, unsigned long number, const char *name)
{
    unsigned long arguments[6] = {(unsigned long)AT_FDCWD};
    struct user_regs_struct before;
    unsigned long place;

    fail_unless(ptrace(PTRACE_GETREGS, pid, NULL, &before) == 0, "PTRACE_GETREGS");
    place = before.rsp - 1024;
    written(pid, place, name, strlen(name) + 1);
    arguments[number == SYS_openat] = place;
    return system_call(pid, number, arguments);
}

static unsigned long memory_for(pid_t pid, const char *kind)
{
    const unsigned long all = PROT_READ | PROT_WRITE | PROT_EXEC;
    const char *file_name = strchr(kind, '=');

    if (file_name != NULL)
        return new_memory(pid, strncmp(kind, "writable", 8) == 0 ? all : PROT_READ | PROT_WRITE, MAP_PRIVATE,
                          opened(pid, SYS_openat, file_name + 1));
    if (strcmp(kind, "shared") == 0)
        return new_memory(pid, all, MAP_SHARED | MAP_ANONYMOUS, -1UL);
    if (strcmp(kind, "memfd") == 0) {
        const unsigned long file = opened(pid, SYS_memfd_create, "cache");
        const unsigned long arguments[6] = {file, ROOM, 0, 0, 0, 0};

        system_call(pid, SYS_ftruncate, arguments);
        return new_memory(pid, all, MAP_SHARED, file);
    }
    return new_memory(pid, strcmp(kind, "rwx") == 0 || strcmp(kind, "split") == 0 ? all : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1UL);
}

/* Put code there that sleeps by calling the C library, again and again, and a trap behind it. */
static void call_library(pid_t pid, const char *kind, const char *how)
{
    /* and rsp, -16; 1: mov edi, 1000; movabs rax, sleep; call rax; jmp 1b; int3 */
    unsigned char code[] = {0x48, 0x83, 0xe4, 0xf0, 0xbf, 0xe8, 3, 0, 0, 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,
                            0xff, 0xd0, 0xeb, 0xed, 0xcc};
    const unsigned long function = in_library(pid, (unsigned long)sleep);
    struct iovec here = {code, sizeof code}, there;
    struct user_regs_struct before, registers;
    unsigned long address;
    int status;

    attach(pid);
    address = memory_for(pid, kind);
    memcpy(code + 11, &function, sizeof function);
    /* Half of it lies in one mapping, and half in the next. */
    if (strcmp(kind, "split") == 0)
        address += ROOM - PAGE - sizeof code / 2;
    there = (struct iovec){(void *)address, sizeof code};
    fail_unless(process_vm_writev(pid, &here, 1, &there, 1, 0) == sizeof code, "process_vm_writev");
    if (strcmp(kind, "rx") == 0 || strncmp(kind, "written", 7) == 0)
        protect(pid, address, ROOM, PROT_READ | PROT_EXEC);
    else if (strcmp(kind, "split") == 0)
        protect(pid, (address + sizeof code) & ~(PAGE - 1), PAGE, PROT_READ | PROT_EXEC);
    fail_unless(ptrace(PTRACE_GETREGS, pid, NULL, &before) == 0, "PTRACE_GETREGS");
    registers = before;
    if (strcmp(how, "thread") == 0) {
        const unsigned long trap = address + sizeof code - 1;

        registers.rsp = ((before.rsp - 4096) & ~15UL) - 8;
        written(pid, registers.rsp, &trap, sizeof trap);
        registers.rdi = registers.rsp - 1024;
        registers.rsi = 0;
        registers.rdx = address;
        registers.rcx = 0;
        registers.rip = in_library(pid, (unsigned long)pthread_create);
        fail_unless(until_trap(pid, registers, &before) == 0, "pthread_create");
    } else if (strcmp(how, "keep") != 0) {
        registers.rip = address;
        registers.rsp -= 4096;
        registers.orig_rax = (unsigned long long)-1;
        fail_unless(ptrace(PTRACE_SETREGS, pid, NULL, &registers) == 0, "PTRACE_SETREGS");
    }
    if (strcmp(how, "back") == 0) {
        fail_unless(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0, "PTRACE_CONT");
        usleep(200000);
        fail_unless(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, 0) == pid, "it did not stop again");
        protect(pid, address, ROOM, PROT_READ | PROT_WRITE);
    }
    fail_unless(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0, "PTRACE_DETACH");
    ready("pid=%d address=%lx size=%zu", (int)pid, address, sizeof code);
}

static void inject(pid_t pid, const char *code, int run)
{
    size_t size = load(code, content, sizeof content);
    struct user_regs_struct registers;
    unsigned long address;

    attach(pid);
    hold_others(pid);
    fail_unless(ptrace(PTRACE_GETREGS, pid, NULL, &registers) == 0, "PTRACE_GETREGS");
    address = new_memory(pid, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1UL);
    written(pid, address, content, size);
    if (run) {
        registers.rip = address;
        registers.orig_rax = (unsigned long long)-1;
        fail_unless(ptrace(PTRACE_SETREGS, pid, NULL, &registers) == 0, "PTRACE_SETREGS");
    }
    release_others();
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
    } else if (strcmp(arguments[1], "call") == 0 && count > 4) {
        call_library(pid, arguments[3], arguments[4]);
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
