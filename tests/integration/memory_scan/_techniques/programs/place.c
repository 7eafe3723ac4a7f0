/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Put code somewhere and run it, or only keep it: "place PLACE CODE run|keep [SECOND]". */

#include "bench.h"

#include <malloc.h>
#include <sys/shm.h>

#define ROOM (64 * 1024UL)
#define MUCH (256 * 1024 * 1024UL)

static int loaded_memfd(const char *name, const char *code, size_t *size)
{
    static char content[ROOM];
    int file = memfd_create(name, MFD_CLOEXEC);

    fail_unless(file >= 0, "memfd_create");
    *size = load(code, content, sizeof content);
    fail_unless(ftruncate(file, ROOM) == 0 && write(file, content, *size) == (ssize_t)*size, "memfd");
    return file;
}

static void *shared_twice(const char *name, const char *code, size_t *size)
{
    int file = loaded_memfd(name, code, size);
    void *writable = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    void *executable = mmap(NULL, ROOM, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);

    fail_unless(writable != MAP_FAILED && executable != MAP_FAILED, "mmap");
    close(file);
    return executable;
}

/* A file that has a name, mapped so that what is written is run. */
static void *file_mapping(const char *code, int flags, size_t *size)
{
    int file = open(code, O_RDWR);
    struct stat status;
    void *memory;

    fail_unless(file >= 0 && fstat(file, &status) == 0, code);
    *size = (size_t)status.st_size;
    memory = mmap(NULL, rounded_up(*size), PROT_READ | PROT_WRITE | PROT_EXEC, flags, file, 0);
    fail_unless(memory != MAP_FAILED, "mmap");
    close(file);
    /* Written with what was there. */
    *(volatile char *)memory = *(volatile char *)memory;
    return memory;
}

static void *on_the_heap(const char *code, size_t *size)
{
    char *memory;

    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    memory = memalign(PAGE, ROOM);
    fail_unless(memory != NULL, "memalign");
    *size = load(code, memory, ROOM);
    fail_unless(mprotect(memory, ROOM, PROT_READ | PROT_WRITE | PROT_EXEC) == 0, "mprotect");
    return memory;
}

/* Memory of shmget(2), whose identifier is gone at once. */
static void *system_v(const char *code, size_t *size)
{
    int segment = shmget(IPC_PRIVATE, ROOM, 0700);
    void *memory = segment < 0 ? (void *)-1 : shmat(segment, NULL, SHM_EXEC);

    fail_unless(memory != (void *)-1 && shmctl(segment, IPC_RMID, NULL) == 0, "shmat");
    *size = load(code, memory, ROOM);
    return memory;
}

static void *anonymous(const char *code, size_t room, size_t offset, int flags, int protection, size_t *size)
{
    char *memory = map(room, PROT_READ | PROT_WRITE | (protection & PROT_WRITE ? PROT_EXEC : 0), flags);

    *size = load(code, memory + offset, ROOM);
    if (!(protection & PROT_WRITE))
        fail_unless(mprotect(memory, room, protection) == 0, "mprotect");
    return memory + offset;
}

static void *on_the_stack(const char *code, void *memory, size_t *size)
{
    *size = load(code, memory, ROOM);
    return memory;
}

int main(int count, char **arguments)
{
    const int all = PROT_READ | PROT_WRITE | PROT_EXEC;
    char on_stack[ROOM];
    const char *place;
    const char *code;
    void *memory = NULL;
    size_t size = 0;

    fail_unless(count > 3, "place PLACE CODE run|keep [SECOND]");
    place = arguments[1];
    code = arguments[2];
    if (strcmp(place, "rwx") == 0)
        memory = anonymous(code, 2 * ROOM, 0, MAP_PRIVATE, all, &size);
    else if (strcmp(place, "rx") == 0)
        memory = anonymous(code, 2 * ROOM, 0, MAP_PRIVATE, PROT_READ | PROT_EXEC, &size);
    else if (strcmp(place, "x") == 0)
        memory = anonymous(code, 2 * ROOM, 0, MAP_PRIVATE, PROT_EXEC, &size);
    else if (strcmp(place, "deep") == 0)
        memory = anonymous(code, MUCH, MUCH / 2 + 1234, MAP_PRIVATE | MAP_NORESERVE, all, &size);
    else if (strcmp(place, "shared") == 0)
        memory = anonymous(code, 2 * ROOM, 0, MAP_SHARED, all, &size);
    else if (strcmp(place, "system-v") == 0)
        memory = system_v(code, &size);
    else if (strcmp(place, "stack") == 0)
        memory = on_the_stack(code, on_stack, &size);
    else if (strcmp(place, "heap") == 0)
        memory = on_the_heap(code, &size);
    else if (strcmp(place, "twice") == 0)
        memory = shared_twice("buffer", code, &size);
    else if (strcmp(place, "doublemapper") == 0)
        memory = shared_twice("doublemapper", code, &size);
    else if (strcmp(place, "private-file") == 0)
        memory = file_mapping(code, MAP_PRIVATE, &size);
    else if (strcmp(place, "shared-file") == 0)
        memory = file_mapping(code, MAP_SHARED, &size);
    fail_unless(memory != NULL, place);
    if (count > 4)
        load(arguments[4], map(2 * ROOM, all, MAP_PRIVATE), ROOM);
    ready("address=%lx size=%zu", (unsigned long)memory, size);
    if (strcmp(arguments[3], "run") == 0)
        ((void (*)(void))memory)();
    idle();
    return 0;
}
