/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Run code in a thread, and end the thread that the process began with: "thread CODE". */

#include "bench.h"

#include <pthread.h>

static void *work(void *code)
{
    ((void (*)(void))code)();
    return NULL;
}

int main(int count, char **arguments)
{
    char *memory = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    pthread_t thread;

    fail_unless(count > 1, "thread CODE");
    load(arguments[1], memory, PAGE);
    fail_unless(mprotect(memory, PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect");
    ready("address=%lx", (unsigned long)memory);
    fail_unless(pthread_create(&thread, NULL, work, memory) == 0, "pthread_create");
    pthread_exit(NULL);
}
