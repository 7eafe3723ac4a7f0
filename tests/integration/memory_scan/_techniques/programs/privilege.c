/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Have rights that nobody would expect.
 *
 * "privilege parent PROGRAM [ARGUMENT...]": be nobody, with a child that is root
 * "privilege kept": be nobody, with CAP_SYS_ADMIN and CAP_SYS_PTRACE
 * "privilege packet NAME": listen to all packets of a network namespace of its own, under a name
 * "privilege bpf": have an eBPF program that is attached to a socket
 */

#include "bench.h"

#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <arpa/inet.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define NOBODY 65534

static void parent(char **command)
{
    pid_t pid = fork();

    if (pid == 0) {
        alarm(SECONDS);
        /* A parent that changes its user would end its child. */
        execv(command[0], command);
        _exit(1);
    }
    fail_unless(pid > 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0, "setresuid");
    leash();
    ready("pid=%d", (int)pid);
}

static void kept(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{0}};

    fail_unless(prctl(PR_SET_KEEPCAPS, 1) == 0, "PR_SET_KEEPCAPS");
    fail_unless(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0, "setresuid");
    sets[0].effective = sets[0].permitted = 1U << CAP_SYS_ADMIN | 1U << CAP_SYS_PTRACE;
    fail_unless(syscall(SYS_capset, &header, sets) == 0, "capset");
    leash();
    ready("");
}

static void packet(const char *name)
{
    fail_unless(unshare(CLONE_NEWNET) == 0, "unshare");
    fail_unless(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)) >= 0, "socket");
    prctl(PR_SET_NAME, name);
    ready("");
}

static void bpf(void)
{
    static char said[65536];
    const struct bpf_insn program[] = {
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    };
    union bpf_attr load_it;
    int sockets[2];
    int loaded;

    memset(&load_it, 0, sizeof load_it);
    load_it.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    load_it.insns = (uint64_t)(uintptr_t)program;
    load_it.insn_cnt = sizeof program / sizeof *program;
    load_it.license = (uint64_t)(uintptr_t) "GPL";
    load_it.log_buf = (uint64_t)(uintptr_t)said;
    load_it.log_size = sizeof said;
    load_it.log_level = 1;
    loaded = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load_it, sizeof load_it);
    fail_unless(loaded >= 0, "BPF_PROG_LOAD");
    fail_unless(socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets) == 0, "socketpair");
    fail_unless(setsockopt(sockets[0], SOL_SOCKET, SO_ATTACH_BPF, &loaded, sizeof loaded) == 0, "SO_ATTACH_BPF");
    ready("descriptor=%d", loaded);
}

int main(int count, char **arguments)
{
    fail_unless(count > 1, "privilege WHAT ...");
    if (strcmp(arguments[1], "parent") == 0 && count > 2)
        parent(arguments + 2);
    else if (strcmp(arguments[1], "kept") == 0)
        kept();
    else if (strcmp(arguments[1], "packet") == 0 && count > 2)
        packet(arguments[2]);
    else
        bpf();
    idle();
    return 0;
}
