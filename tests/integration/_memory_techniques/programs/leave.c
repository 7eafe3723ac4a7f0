/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Leave nothing of the program itself in memory, and pass for another: "leave CODE PROGRAM [decoy]". */

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

/* Map the code of the program as the kernel would, and say that this is what began. */
static void decoy(struct prctl_mm_map *place, int program)
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
    }
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
    if (count > 3)
        decoy(place, program);
    load(arguments[1], memory, PAGE);
    fail_unless(mprotect(memory, PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect");
    ready("address=%lx", (unsigned long)memory);
    ((void (*)(unsigned long, unsigned long, void *))memory)(start, rounded_up((unsigned long)_end) - start, place);
    return 0;
}
