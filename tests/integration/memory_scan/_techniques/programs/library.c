/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* A library that needs no other: "work" waits for ever in raw system calls. */

#include <sys/syscall.h>

static const char name[] = "a library of the bench";

static long call(long number, long first)
{
    long result;

    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(first) : "rcx", "r11", "memory");
    return result;
}

long quiet(long value)
{
    long sum = 0;

    for (unsigned long at = 0; at < sizeof name; at++)
        sum = sum * 31 + name[at] + value;
    return sum;
}

void work(void)
{
    for (;;)
        if (call(SYS_pause, quiet(1)) == 0)
            quiet(2);
}

/* With it, the loader takes the library in LD_AUDIT, too (rtld-audit(7)). */
unsigned int la_version(unsigned int version)
{
    return version;
}
