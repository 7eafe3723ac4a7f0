/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Change code or pointers of the program itself: "changed hook|got|text|vdso CODE". */

#include "bench.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

static void *code_at(const char *path)
{
    char *memory = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    load(path, memory, PAGE);
    fail_unless(mprotect(memory, PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect");
    return memory;
}

/* movabs rax, TARGET; jmp rax */
static void jump(unsigned char *place, const void *target)
{
    const unsigned char first[] = {0x48, 0xb8}, last[] = {0xff, 0xe0};

    memcpy(place, first, 2);
    memcpy(place + 2, &target, 8);
    memcpy(place + 10, last, 2);
}

static void *hooked(const void *target)
{
    /* A function that nothing here calls any more. */
    unsigned char *place = dlsym(RTLD_NEXT, "getlogin_r");
    unsigned char *page = (unsigned char *)((uintptr_t)place & ~(PAGE - 1));

    fail_unless(place != NULL, "getlogin_r");
    fail_unless(mprotect(page, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0, "mprotect");
    jump(place, target);
    fail_unless(mprotect(page, 2 * PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect");
    return place;
}

/* The place in the global offset table where the address of getppid(2) is, which set_up calls. */
static void *redirected(void *target)
{
    for (const ElfW(Dyn) *entry = _DYNAMIC; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag != DT_PLTGOT)
            continue;
        void **table = (void **)entry->d_un.d_ptr;
        void *wanted = dlsym(RTLD_DEFAULT, "getppid");
        for (int at = 3; at < 64; at++)
            if (table[at] == wanted) {
                table[at] = target;
                return &table[at];
            }
    }
    fail_unless(0, "no place of getppid");
    return NULL;
}

static __attribute__((noinline)) int unused(int value)
{
    __asm__ volatile(".fill 64, 1, 0x90");
    return value + 1;
}

/* Write where nothing is writable, as a debugger may (FOLL_FORCE). */
static void forced(const void *place, const void *bytes, size_t size)
{
    int memory = open("/proc/self/mem", O_RDWR);

    fail_unless(memory >= 0 && pwrite(memory, bytes, size, (off_t)(uintptr_t)place) == (ssize_t)size, "/proc/self/mem");
    close(memory);
}

int main(int count, char **arguments)
{
    unsigned char bytes[12];
    void *code;
    void *place;

    fail_unless(count > 2, "changed hook|got|text|vdso CODE");
    fail_unless(getppid() > 0 && unused(count) > 0, "getppid");
    if (strcmp(arguments[1], "hook") == 0) {
        code = code_at(arguments[2]);
        place = hooked(code);
    } else if (strcmp(arguments[1], "got") == 0) {
        code = code_at(arguments[2]);
        place = redirected(code);
    } else if (strcmp(arguments[1], "text") == 0) {
        code = place = (void *)(uintptr_t)unused;
        forced(place, bytes, load(arguments[2], bytes, sizeof bytes));
    } else {
        code = code_at(arguments[2]);
        jump(bytes, code);
        /* Behind the header, tables and notes: the functions of vdso(7) begin in its second half. */
        place = (char *)getauxval(AT_SYSINFO_EHDR) + 0xf00;
        forced(place, bytes, sizeof bytes);
    }
    ready("address=%lx code=%lx", (unsigned long)place, (unsigned long)code);
    idle();
    return 0;
}
