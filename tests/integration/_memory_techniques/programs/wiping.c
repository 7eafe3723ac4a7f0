/* Copyright: bulwark.servers contributors
 * GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
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
