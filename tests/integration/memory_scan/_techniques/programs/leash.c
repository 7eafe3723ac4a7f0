/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* Run a program under another name in argv[0], on the leash of the bench: "leash NAME PROGRAM [ARGUMENT...]". */

#include "bench.h"

int main(int count, char **arguments)
{
    char *program;

    fail_unless(count > 2, "leash NAME PROGRAM [ARGUMENT...]");
    leash();
    program = arguments[2];
    arguments[2] = arguments[1];
    execv(program, arguments + 2);
    fail_unless(0, program);
    return 1;
}
