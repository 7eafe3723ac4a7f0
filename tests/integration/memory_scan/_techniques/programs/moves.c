/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* A program that goes on in one process after the other: "moves HOW MILLISECONDS [END]".
 *
 * fork: its child goes on. twice: the child of its child, in a session of its own. spawn: vfork(2), and the child
 * executes the same file. exec: it executes the same file itself, and keeps its pid. thread: its first thread ends, and
 * another one goes on. once: it forks at once and stays, as daemons do. serve: it stays, and its children end.
 * END: when it is over, in seconds of the clock that counts from the boot.
 */

#include "bench.h"

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

static time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_BOOTTIME, &time);
    return time.tv_sec;
}

static void *go_on(void *nothing)
{
    sleep(SECONDS);
    return nothing;
}

static void leave(void)
{
    pid_t child = fork();

    fail_unless(child >= 0, "fork");
    if (child > 0)
        _exit(0);
}

int main(int count, char **arguments)
{
    const char *how = arguments[1];
    unsigned pause_for = count > 2 ? (unsigned)atoi(arguments[2]) * 1000 : 0;
    time_t end = count > 3 ? atol(arguments[3]) : now() + SECONDS;
    char text[32];
    char *again[] = { arguments[0], arguments[1], arguments[2], text, NULL };
    pthread_t thread;

    fail_unless(count > 2, "moves HOW MILLISECONDS [END]");
    snprintf(text, sizeof(text), "%ld", (long)end);
    if (count == 3)
        ready("");
    if (strcmp(how, "thread") == 0) {
        pthread_create(&thread, NULL, go_on, NULL);
        pthread_exit(NULL);
    }
    while (now() < end) {
        usleep(pause_for);
        if (strcmp(how, "fork") == 0) {
            leave();
        } else if (strcmp(how, "twice") == 0) {
            leave();
            setsid();
            leave();
        } else if (strcmp(how, "spawn") == 0) {
            if (vfork() == 0)
                execv("/proc/self/exe", again);
            _exit(0);
        } else if (strcmp(how, "exec") == 0) {
            execv("/proc/self/exe", again);
        } else if (strcmp(how, "once") == 0) {
            leave();
            setsid();
            leave();
            sleep(SECONDS);
        } else if (strcmp(how, "serve") == 0) {
            if (fork() == 0) {
                usleep(pause_for);
                _exit(0);
            }
            while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
        }
    }
    return 0;
}
