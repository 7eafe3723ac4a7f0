/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Run a program that is in memory only: "memory_file NAME PROGRAM ARGV0 [ARGUMENT...]", PROGRAM copied to a memfd. */

#include "bench.h"

#include <sys/sendfile.h>

extern char **environ;

int main(int count, char **arguments)
{
    int memory = memfd_create(count > 3 ? arguments[1] : "", MFD_CLOEXEC);
    int program = count > 3 ? open(arguments[2], O_RDONLY) : -1;
    struct stat status;
    off_t done = 0;

    fail_unless(memory >= 0 && program >= 0 && fstat(program, &status) == 0, "memory_file NAME PROGRAM ARGV0");
    while (done < status.st_size)
        fail_unless(sendfile(memory, program, &done, (size_t)(status.st_size - done)) > 0, "sendfile");
    close(program);
    fexecve(memory, arguments + 3, environ);
    fail_unless(0, "fexecve");
    return 1;
}
