/* SPDX-License-Identifier: GPL-3.0-or-later
 * SPDX-FileCopyrightText: bulwark.servers contributors
 */
/* A library that removes what had it loaded from the environment, as far as others can see that. */

#ifdef UNLISTING
#include <link.h>
#endif

static int is_named(const char *variable, const char *name)
{
    while (*name && *variable == *name) {
        variable++;
        name++;
    }
    return !*name;
}

static __attribute__((constructor)) void wipe(int count, char **arguments, char **environment)
{
    (void)count;
    (void)arguments;
#ifdef UNLISTING
    /* The list of what is loaded, as debuggers see it. */
    _r_debug.r_map = 0;
#endif
    for (; *environment; environment++)
        if (is_named(*environment, "LD_PRELOAD=") || is_named(*environment, "LD_AUDIT="))
            for (char *place = *environment; *place; place++)
                *(volatile char *)place = 0;
}

/* With it, the loader takes the library in LD_AUDIT, too (rtld-audit(7)). */
unsigned int la_version(unsigned int version)
{
    return version;
}
