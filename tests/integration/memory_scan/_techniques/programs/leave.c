/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Leave nothing of the program itself in memory, and pass for another: "leave CODE PROGRAM [decoy|forged]", or have it
 * there by another name: "leave LINK PROGRAM linked|whole": the latter with all of the other program. */

#include "bench.h"

#include <elf.h>
#include <linux/prctl.h>

/* The addresses between which ld has laid out all of it. */
extern const char __executable_start[], _end[];

/* What the kernel knows of the memory, but with another program (PR_SET_MM(2const)). */
static void describe(struct prctl_mm_map *place, int program)
{
    static char text[4096];
    unsigned long long values[52] = {0};
    char *word;

    text[load("/proc/self/stat", text, sizeof text - 1)] = 0;
    word = strtok(strrchr(text, ')') + 1, " ");
    for (int field = 3; field < 52 && word; field++, word = strtok(NULL, " "))
        values[field] = strtoull(word, NULL, 10);
    memset(place, 0, sizeof *place);
    place->start_code = values[26];
    place->end_code = values[27];
    place->start_stack = values[28];
    place->start_data = values[45];
    place->end_data = values[46];
    place->start_brk = values[47];
    place->brk = (unsigned long)sbrk(0);
    place->arg_start = values[48];
    place->arg_end = values[49];
    place->env_start = values[50];
    place->env_end = values[51];
    place->exe_fd = (unsigned)program;
}

/* Say that the kernel told the program to begin at an address (AT_ENTRY of getauxval(3)). */
static void forge(struct prctl_mm_map *place, unsigned long entry)
{
    Elf64_auxv_t *told = (void *)(place + 1);

    place->auxv_size = (unsigned)load("/proc/self/auxv", told, PAGE / 2);
    place->auxv = (void *)told;
    while (told->a_type != AT_ENTRY)
        told++;
    told->a_un.a_val = entry;
}

/* Map the code of the program as the kernel would, and say that this is what began. */
static void decoy(struct prctl_mm_map *place, int program, int forged)
{
    static Elf64_Phdr headers[32];
    Elf64_Ehdr header;
    void *code;

    fail_unless(pread(program, &header, sizeof header, 0) == sizeof header && header.e_phnum < 32, "header");
    fail_unless(pread(program, headers, sizeof headers, (off_t)header.e_phoff) > 0, "program headers");
    for (int at = 0; at < header.e_phnum; at++) {
        if (headers[at].p_type != PT_LOAD || !(headers[at].p_flags & PF_X))
            continue;
        code = mmap(NULL, headers[at].p_filesz, PROT_READ | PROT_EXEC, MAP_PRIVATE, program,
                    (off_t)(headers[at].p_offset & ~(PAGE - 1)));
        fail_unless(code != MAP_FAILED, "decoy");
        place->start_code = (uintptr_t)code;
        place->end_code = place->start_code + headers[at].p_filesz;
        if (forged)
            forge(place, place->start_code + header.e_entry - (headers[at].p_vaddr & ~(PAGE - 1)));
    }
}

/* Put in the place of each mapping of the program the same of another link to its file, which the kernel tells apart. */
static void relink(const char *link)
{
    static char lines[64][256];
    unsigned long start, end, offset;
    char own[PAGE] = {0}, permissions[5], *copy;
    FILE *maps = fopen("/proc/self/maps", "r");
    int file = open(link, O_RDONLY), number = 0;

    fail_unless(maps && file >= 0 && readlink("/proc/self/exe", own, sizeof own - 1) > 0, link);
    while (number < 64 && fgets(lines[number], sizeof lines[number], maps))
        number += strstr(lines[number], own) != NULL;
    fclose(maps);
    for (int at = 0; at < number; at++) {
        fail_unless(sscanf(lines[at], "%lx-%lx %4s %lx", &start, &end, permissions, &offset) == 4, "maps");
        copy = mmap(NULL, end - start, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, (off_t)offset);
        fail_unless(copy != MAP_FAILED, "mmap");
        if (permissions[2] != 'x')
            memcpy(copy, (void *)start, end - start);
        fail_unless(mprotect(copy, end - start, PROT_READ | (permissions[1] == 'w' ? PROT_WRITE : 0) |
                             (permissions[2] == 'x' ? PROT_EXEC : 0)) == 0, "mprotect");
        fail_unless(mremap(copy, end - start, end - start, MREMAP_MAYMOVE | MREMAP_FIXED, start) == (void *)start, "mremap");
    }
}

/* Map all of the program as the kernel would, with the end of its data written. */
static void imitate(struct prctl_mm_map *place, int program)
{
    static Elf64_Phdr headers[32];
    Elf64_Ehdr header;
    char *base = map(1 << 24, PROT_NONE, MAP_PRIVATE);

    fail_unless(pread(program, &header, sizeof header, 0) == sizeof header && header.e_phnum < 32, "header");
    fail_unless(pread(program, headers, sizeof headers, (off_t)header.e_phoff) > 0, "program headers");
    for (int at = 0; at < header.e_phnum; at++) {
        Elf64_Phdr *one = &headers[at];
        size_t skew = one->p_vaddr % PAGE, size = rounded_up(skew + one->p_filesz);
        char *start = base + one->p_vaddr - skew;

        if (one->p_type != PT_LOAD)
            continue;
        fail_unless(mmap(start, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, program,
                         (off_t)(one->p_offset - skew)) == start, "segment");
        if (one->p_flags & PF_W)
            memset(start + skew + one->p_filesz, 0, size - skew - one->p_filesz);
        if (one->p_flags & PF_X) {
            place->start_code = (uintptr_t)start;
            place->end_code = place->start_code + one->p_filesz;
        }
        fail_unless(mprotect(start, size, PROT_READ | (one->p_flags & PF_W ? PROT_WRITE : 0) |
                             (one->p_flags & PF_X ? PROT_EXEC : 0)) == 0, "mprotect");
    }
    forge(place, (uintptr_t)base + header.e_entry);
}

int main(int count, char **arguments)
{
    unsigned long start = (unsigned long)__executable_start & ~(PAGE - 1);
    char *memory = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    struct prctl_mm_map *place = (void *)(memory + PAGE);
    int program;

    fail_unless(count > 2, "leave CODE PROGRAM");
    program = open(arguments[2], O_RDONLY);
    fail_unless(program >= 0, arguments[2]);
    describe(place, program);
    if (count > 3 && (strcmp(arguments[3], "linked") == 0 || strcmp(arguments[3], "whole") == 0)) {
        relink(arguments[1]);
        if (strcmp(arguments[3], "whole") == 0)
            imitate(place, program);
        fail_unless(prctl(PR_SET_MM, PR_SET_MM_MAP, place, sizeof *place, 0) == 0, "PR_SET_MM_MAP");
        ready("address=%lx", (unsigned long)(uintptr_t)relink);
        idle();
    }
    if (count > 3)
        decoy(place, program, strcmp(arguments[3], "forged") == 0);
    load(arguments[1], memory, PAGE);
    fail_unless(mprotect(memory, PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect");
    ready("address=%lx", (unsigned long)memory);
    ((void (*)(unsigned long, unsigned long, void *))memory)(start, rounded_up((unsigned long)_end) - start, place);
    return 0;
}
