/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* A program that does nothing: "wait [NAME [wiped]]" with the name as comm, and without arguments once it runs. */

#include "bench.h"

int main(int count, char **arguments)
{
    if (count > 1)
        prctl(PR_SET_NAME, arguments[1]);
    if (count > 2)
        /* With nothing there, ps(1) shows the name in brackets, as it does of kernel threads. */
        memset(arguments[0], 0, (size_t)(arguments[count - 1] + strlen(arguments[count - 1]) - arguments[0]));
    ready("");
    idle();
    return 0;
}
