/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Map a file, or whatever has a name, put code there and run it: "mapped FILE private|shared CODE". */

#include "bench.h"

int main(int count, char **arguments)
{
    static char content[PAGE];
    int file, flags;
    size_t size;
    void *memory;

    fail_unless(count > 3, "mapped FILE private|shared CODE");
    flags = strcmp(arguments[2], "shared") == 0 ? MAP_SHARED : MAP_PRIVATE;
    file = open(arguments[1], flags == MAP_SHARED ? O_RDWR : O_RDONLY);
    fail_unless(file >= 0, arguments[1]);
    memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags, file, 0);
    fail_unless(memory != MAP_FAILED, "mmap");
    close(file);
    size = load(arguments[3], content, sizeof content);
    memcpy(memory, content, size);
    fail_unless(mprotect(memory, PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect");
    ready("address=%lx size=%zu", (unsigned long)memory, size);
    ((void (*)(void))memory)();
    return 0;
}
