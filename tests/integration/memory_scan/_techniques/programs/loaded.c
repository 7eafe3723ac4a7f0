/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Have the loader load a library that nobody can find later: "loaded memfd|deleted|kept LIBRARY".
 *
 * deleted: LIBRARY is removed when it is loaded. kept: the loader does what it does every day.
 */

#include "bench.h"

#include <dlfcn.h>

#include <sys/sendfile.h>

int main(int count, char **arguments)
{
    char path[4096];
    void *library;
    void *function;

    fail_unless(count > 2, "loaded memfd|deleted|kept LIBRARY");
    snprintf(path, sizeof path, "%s", arguments[2]);
    if (strcmp(arguments[1], "memfd") == 0) {
        int memory = memfd_create("plugin", MFD_CLOEXEC);
        int file = open(arguments[2], O_RDONLY);

        fail_unless(memory >= 0 && file >= 0, arguments[2]);
        fail_unless(sendfile(memory, file, NULL, 1 << 20) > 0, "sendfile");
        snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    }
    library = dlopen(path, RTLD_NOW);
    fail_unless(library != NULL, path);
    function = dlsym(library, "quiet");
    fail_unless(function != NULL, "quiet");
    if (strcmp(arguments[1], "deleted") == 0)
        fail_unless(unlink(path) == 0, "unlink");
    ready("address=%lx", (unsigned long)function);
    idle();
    return 0;
}
