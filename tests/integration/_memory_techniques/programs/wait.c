/* Copyright: bulwark.servers contributors
 * GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
/* A program that does nothing: "wait [NAME]" with the name as comm. */

#include "bench.h"

int main(int count, char **arguments)
{
    if (count > 1)
        prctl(PR_SET_NAME, arguments[1]);
    ready("");
    idle();
    return 0;
}
