/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Load a library without the loader, into anonymous memory: "reflective whole|wiped LIBRARY"; wiped: without header. */

#include "bench.h"

#include <elf.h>

#define ROOM (1024 * 1024UL)

static void (*found(const char *image, const char *wanted))(void)
{
    const Elf64_Ehdr *header = (const void *)image;
    const Elf64_Phdr *segment = (const void *)(image + header->e_phoff);
    const Elf64_Sym *symbol = NULL;
    const char *names = NULL;

    for (int at = 0; at < header->e_phnum; at++)
        if (segment[at].p_type == PT_DYNAMIC) {
            const Elf64_Dyn *entry = (const void *)(image + segment[at].p_vaddr);
            for (; entry->d_tag != DT_NULL; entry++) {
                if (entry->d_tag == DT_SYMTAB)
                    symbol = (const void *)(image + entry->d_un.d_ptr);
                if (entry->d_tag == DT_STRTAB)
                    names = image + entry->d_un.d_ptr;
            }
        }
    fail_unless(symbol != NULL && names != NULL, "no symbols");
    /* The names follow the symbols, as ld lays them out. */
    for (symbol++; (const char *)symbol < names; symbol++)
        if (strcmp(names + symbol->st_name, wanted) == 0)
            return (void (*)(void))(image + symbol->st_value);
    fail_unless(0, wanted);
    return NULL;
}

int main(int count, char **arguments)
{
    static char content[ROOM];
    const Elf64_Ehdr *header = (const void *)content;
    const Elf64_Phdr *segment;
    void (*work)(void);
    char *image;
    size_t size = 0;

    fail_unless(count > 2, "reflective whole|wiped LIBRARY");
    load(arguments[2], content, sizeof content);
    segment = (const void *)(content + header->e_phoff);
    for (int at = 0; at < header->e_phnum; at++)
        if (segment[at].p_type == PT_LOAD)
            size = rounded_up(segment[at].p_vaddr + segment[at].p_memsz);
    image = map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    for (int at = 0; at < header->e_phnum; at++)
        if (segment[at].p_type == PT_LOAD)
            memcpy(image + segment[at].p_vaddr, content + segment[at].p_offset, segment[at].p_filesz);
    work = found(image, "work");
    if (strcmp(arguments[1], "wiped") == 0)
        memset(image, 0, sizeof *header + header->e_phnum * sizeof *segment);
    for (int at = 0; at < header->e_phnum; at++) {
        int protection = segment[at].p_flags & PF_X ? PROT_READ | PROT_EXEC
                         : segment[at].p_flags & PF_W ? PROT_READ | PROT_WRITE
                                                      : PROT_READ;
        size_t start = segment[at].p_vaddr & ~(PAGE - 1);

        if (segment[at].p_type == PT_LOAD)
            fail_unless(mprotect(image + start, rounded_up(segment[at].p_vaddr + segment[at].p_memsz) - start,
                                 protection) == 0, "mprotect");
    }
    memset(content, 0, sizeof content);
    ready("address=%lx size=%zu code=%lx", (unsigned long)image, size, (unsigned long)work);
    work();
    return 0;
}
