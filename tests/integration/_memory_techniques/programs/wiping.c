/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* A library that removes what had it loaded from the environment, as far as others can see that. */

static __attribute__((constructor)) void wipe(int count, char **arguments, char **environment)
{
    static const char name[] = "LD_PRELOAD=";

    (void)count;
    (void)arguments;
    for (; *environment; environment++) {
        unsigned at = 0;
        while (name[at] && (*environment)[at] == name[at])
            at++;
        if (!name[at])
            for (char *place = *environment; *place; place++)
                *(volatile char *)place = 0;
    }
}
