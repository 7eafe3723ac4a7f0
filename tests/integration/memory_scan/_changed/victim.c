/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* A program that changes itself in one way, and then waits: "victim HOW [FILE]". */

#include "../_techniques/programs/bench.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

/* Of a file that is loaded, or was. */
static void *loaded(const char *path, const char *name)
{
    void *library = dlopen(path, RTLD_NOW);
    void *place;

    fail_unless(library != NULL, path);
    place = dlsym(library, name);
    fail_unless(place != NULL, name);
    return place;
}

static void forced(void *place, const void *bytes, size_t size)
{
    int memory = open("/proc/self/mem", O_RDWR);

    fail_unless(memory >= 0, "/proc/self/mem");
    fail_unless(pwrite(memory, bytes, size, (off_t)(uintptr_t)place) == (ssize_t)size, "/proc/self/mem");
    close(memory);
}

static void *page_of(void *place)
{
    return (void *)((uintptr_t)place & ~(PAGE - 1));
}

static void *new_code(void)
{
    unsigned char *code = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    *code = 0xc3;
    fail_unless(mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect");
    return code;
}

/* An address of the C library in what became read-only when it was loaded, changed as who may write memory can. */
static void redirect(void)
{
    void *code = new_code();
    struct link_map *map = NULL;
    ElfW(Addr) *slot = NULL;

    fail_unless(dlinfo(dlopen(NULL, RTLD_NOW), RTLD_DI_LINKMAP, &map) == 0, "dlinfo");
    for (ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_PLTGOT)
            slot = (ElfW(Addr) *)entry->d_un.d_ptr + 3;
    fail_unless(slot != NULL, "DT_PLTGOT");
    forced(slot, &code, sizeof code);
}

/* Where a program has code that two small numbers in one word look like the address of. */
#define FIXED_CODE 0x200000000

static void *code_at(uintptr_t address)
{
    unsigned char *code = mmap((void *)address, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                               -1, 0);

    fail_unless(code != MAP_FAILED, "mmap");
    *code = 0xc3;
    fail_unless(mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect");
    return code;
}

#ifdef RELOCATED
/* Between functions is the address of one, which only the loader knows. */
__asm__(".text\n.globl relocated\nrelocated: .quad main\n.fill 64, 1, 0x90\n");
#endif

static void handled(int signal)
{
    (void)signal;
}

static __attribute__((noinline)) int own(int value)
{
    __asm__ volatile(".fill 16, 1, 0x90");
    return value;
}

/* Read-only once it is relocated: an address that the linker or the loader knows, and numbers that nobody relocates. */
static struct {
    int (*function)(int);
    uintptr_t packed[2];
} fixed __attribute__((used, section(".data.rel.ro"))) = {own, {(uintptr_t)FIXED_CODE + 0x10, (uintptr_t)FIXED_CODE + 0x20}};

static void map_code(const char *path, off_t offset)
{
    int file = open(path, O_RDONLY);

    fail_unless(file >= 0, path);
    fail_unless(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, offset) != MAP_FAILED, path);
    close(file);
}

int main(int count, char **arguments)
{
    const char *how = arguments[1], *file = count > 2 ? arguments[2] : NULL;
    static const unsigned char breakpoint = 0xcc, patch[8] = {0x31, 0xc0, 0x48, 0xff, 0xc0, 0xc3, 0x90, 0x90};
    unsigned char *place = dlsym(RTLD_DEFAULT, "getlogin_r");

    fail_unless(own(count) > 1 && place != NULL, "victim HOW [FILE]");
    leash();
    if (strcmp(how, "equal") == 0) {
        forced(place, place, 8);
    } else if (strcmp(how, "masked") == 0) {
        forced(place, patch, sizeof patch);
        fail_unless(mprotect(page_of(place), PAGE, PROT_READ) == 0, "mprotect");
    } else if (strcmp(how, "breakpoint") == 0) {
        forced(place, &breakpoint, 1);
    } else if (strcmp(how, "handled") == 0) {
        signal(SIGTRAP, handled);
        forced(place, &breakpoint, 1);
    } else if (strcmp(how, "relro") == 0) {
        redirect();
    } else if (strcmp(how, "constants") == 0) {
        code_at(FIXED_CODE);
    } else if (strcmp(how, "pointer") == 0) {
        void *code = code_at(FIXED_CODE);

        forced(&fixed.function, &code, sizeof code);
    } else if (strcmp(how, "loaded") == 0) {
        loaded(file, "quiet");
    } else if (strcmp(how, "touched") == 0) {
        forced(loaded(file, "quiet"), patch, 4);
    } else if (strcmp(how, "stomped") == 0) {
        unsigned char *start = page_of(loaded(file, "quiet"));

        for (size_t at = 0; at < PAGE; at++)
            forced(start + at, "\x90", 1);
    } else if (strcmp(how, "data") == 0) {
        map_code(file, 0);
    } else if (strcmp(how, "segment") == 0) {
        /* The header and the tables of names, which come before the code. */
        map_code(file, 0);
    } else if (strcmp(how, "self") == 0) {
        /* Linked so that its code can be written. */
        *(volatile unsigned char *)(uintptr_t)own = 0xc3;
    } else {
        fail_unless(strcmp(how, "nothing") == 0, how);
    }
    ready("address=%lx", (unsigned long)place);
    idle();
    return 0;
}
