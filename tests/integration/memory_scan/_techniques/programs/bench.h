/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* What every program of the bench shares: it says when it is set up, and then does nothing until it is ended. */

#ifndef BENCH_H
#define BENCH_H

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* However a test ends, nothing of it runs for longer. */
#define SECONDS 120
#define PAGE 4096UL

static inline void fail_unless(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* End with the parent, and in any case; alarm(2) is kept over execve(2), and not over fork(2). */
static inline void leash(void)
{
    alarm(SECONDS);
    fail_unless(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "PR_SET_PDEATHSIG");
}

/* One line with what a test has to know: "ready address=7f... size=4096". */
static inline void ready(const char *format, ...)
{
    va_list values;

    va_start(values, format);
    fputs("ready ", stdout);
    vprintf(format, values);
    putchar('\n');
    va_end(values);
    fflush(stdout);
}

static inline void idle(void)
{
    for (;;)
        pause();
}

static inline size_t rounded_up(size_t size)
{
    return (size + PAGE - 1) & ~(PAGE - 1);
}

/* Read a small file whole into memory that is there already. */
static inline size_t load(const char *path, void *memory, size_t room)
{
    int file = open(path, O_RDONLY);
    size_t size = 0;
    ssize_t got;

    fail_unless(file >= 0, path);
    while ((got = read(file, (char *)memory + size, room - size)) > 0)
        size += (size_t)got;
    close(file);
    fail_unless(size > 0 && size < room, path);
    return size;
}

static inline void *map(size_t size, int protection, int flags)
{
    void *memory = mmap(NULL, size, protection, flags | MAP_ANONYMOUS, -1, 0);

    fail_unless(memory != MAP_FAILED, "mmap");
    return memory;
}

#endif
