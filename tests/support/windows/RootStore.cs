// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Security.Cryptography.X509Certificates;

/// <summary>Opens the store of root certificates, and ends with 0 if it has one.</summary>
public static class RootStore
{
    public static int Main()
    {
        using (var store = new X509Store(StoreName.Root, StoreLocation.LocalMachine))
        {
            store.Open(OpenFlags.ReadOnly);
            return store.Certificates.Count > 0 ? 0 : 1;
        }
    }
}
