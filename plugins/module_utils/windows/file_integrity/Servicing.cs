// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Servicing
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileLinks;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;

    /// <summary>An update of Windows or a product that was installed or updated.</summary>
    public sealed class Installation
    {
        /// <summary>KB5034123, or the product's name.</summary>
        public string Name;

        /// <summary>Empty where there is none.</summary>
        public string Version = "";

        /// <summary>In 100 ns since 1601, UTC.</summary>
        public long Time;
    }

    /// <summary>
    /// What the host records of installations. An administrator can forge it: it never explains alone.
    /// </summary>
    public interface IServicing
    {
        /// <summary>Say whether a file is a hard link of one with its name in the component store.</summary>
        bool IsInStore(string path);

        /// <summary>The updates of Windows that were installed after a time, the oldest first.</summary>
        IList<Installation> UpdatesSince(long time);

        /// <summary>
        /// The product that Windows Installer installed to a file's directory after a time; null for none.
        /// </summary>
        Installation ProductSince(string path, long time);
    }

    /// <summary>
    /// The records of Component Based Servicing and Windows Installer in the registry, and hard links into WinSxS.
    /// </summary>
    public sealed class Servicing : IServicing
    {
        private const string Packages = @"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages";
        private const string Installer = @"SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-18";

        // CbsPackageState: 0x70 is installed.
        private const long Installed = 0x70;

        private static readonly Regex Knowledge = new Regex("KB[0-9]{6,8}", RegexOptions.CultureInvariant);

        private readonly IRegistry _registry;
        private readonly IFileLinks _links;
        private readonly string _store;
        private List<Installation> _updates;
        private Dictionary<string, List<string>> _products;

        public Servicing(IRegistry registry, IFileLinks links, string systemRoot)
        {
            _registry = registry;
            _links = links;
            string root = (systemRoot ?? @"C:\Windows").TrimEnd('\\');
            // Names of links have no drive.
            _store = (root.Length > 2 && root[1] == ':' ? root.Substring(2) : root) + @"\WinSxS\";
        }

        public bool IsInStore(string path)
        {
            List<string> names = new List<string>();
            if (_links.List(path, names) != 0)
            {
                return false;
            }
            foreach (string name in names)
            {
                if (name.StartsWith(_store, StringComparison.OrdinalIgnoreCase)
                    && string.Equals(FileOf(name), FileOf(path), StringComparison.OrdinalIgnoreCase))
                {
                    return true;
                }
            }
            return false;
        }

        public IList<Installation> UpdatesSince(long time)
        {
            if (_updates == null)
            {
                _updates = ReadUpdates();
            }
            return _updates.FindAll(delegate(Installation update) { return update.Time > time; });
        }

        public Installation ProductSince(string path, long time)
        {
            if (_products == null)
            {
                _products = ReadProducts();
            }
            List<string> codes;
            if (!_products.TryGetValue(DirectoryOf(path), out codes))
            {
                return null;
            }
            foreach (string code in codes)
            {
                IRegistryKey key = Open(Installer + @"\Products\" + code + @"\InstallProperties");
                if (key == null)
                {
                    continue;
                }
                using (key)
                {
                    KeyInformation information;
                    if (key.Query(out information) == RegistryStatus.Success && information.LastWrite > time)
                    {
                        Installation product = new Installation();
                        product.Name = Text(key, "DisplayName");
                        product.Version = Text(key, "DisplayVersion");
                        product.Time = information.LastWrite;
                        if (product.Name.Length > 0)
                        {
                            return product;
                        }
                    }
                }
            }
            return null;
        }

        private List<Installation> ReadUpdates()
        {
            Dictionary<string, Installation> updates = new Dictionary<string, Installation>(StringComparer.Ordinal);
            EachSubkey(Packages, delegate(string name, IRegistryKey key)
            {
                if (Number(key, "CurrentState") != Installed)
                {
                    return;
                }
                Installation update = new Installation();
                // The time may be that of staging; the restart that exchanges the files writes to the key again.
                KeyInformation information;
                update.Time = (Number(key, "InstallTimeHigh") << 32) | Number(key, "InstallTimeLow");
                if (key.Query(out information) == RegistryStatus.Success)
                {
                    update.Time = Math.Max(update.Time, information.LastWrite);
                }
                Match match = Knowledge.Match(name);
                update.Name = match.Success ? match.Value : name.Split('~')[0];
                update.Version = name.Substring(name.LastIndexOf('~') + 1);
                Installation known;
                if (!updates.TryGetValue(update.Name, out known) || known.Time < update.Time)
                {
                    updates[update.Name] = update;
                }
            });
            List<Installation> sorted = new List<Installation>(updates.Values);
            sorted.Sort(delegate(Installation left, Installation right) { return left.Time.CompareTo(right.Time); });
            return sorted;
        }

        /// <summary>Return the codes of the products by the directories of their components' key files.</summary>
        private Dictionary<string, List<string>> ReadProducts()
        {
            Dictionary<string, List<string>> products =
                new Dictionary<string, List<string>>(StringComparer.OrdinalIgnoreCase);
            EachSubkey(Installer + @"\Components", delegate(string name, IRegistryKey key)
            {
                RegistryValue value;
                for (int index = 0; key.Value(index, out value) == RegistryStatus.Success; index++)
                {
                    string directory = DirectoryOf(TextOf(value).Replace("?", ""));
                    List<string> codes;
                    if (!products.TryGetValue(directory, out codes))
                    {
                        codes = new List<string>();
                        products.Add(directory, codes);
                    }
                    if (!codes.Contains(value.Name))
                    {
                        codes.Add(value.Name);
                    }
                }
            });
            return products;
        }

        private void EachSubkey(string path, Action<string, IRegistryKey> act)
        {
            IRegistryKey parent = Open(path);
            if (parent == null)
            {
                return;
            }
            using (parent)
            {
                string name;
                for (int index = 0; parent.Subkey(index, out name) == RegistryStatus.Success; index++)
                {
                    IRegistryKey key;
                    if (parent.Open(name, false, out key) == RegistryStatus.Success)
                    {
                        using (key)
                        {
                            act(name, key);
                        }
                    }
                }
            }
        }

        private IRegistryKey Open(string path)
        {
            IRegistryKey machine;
            if (_registry.OpenRoot("HKLM", out machine) != RegistryStatus.Success)
            {
                return null;
            }
            using (machine)
            {
                IRegistryKey key;
                return machine.Open(path, true, out key) == RegistryStatus.Success ? key : null;
            }
        }

        private static long Number(IRegistryKey key, string name)
        {
            RegistryValue value;
            bool isNumber = key.Find(name, out value) == RegistryStatus.Success && value.Data != null &&
                value.Data.Length == 4;
            return isNumber ? BitConverter.ToUInt32(value.Data, 0) : 0;
        }

        private static string Text(IRegistryKey key, string name)
        {
            RegistryValue value;
            return key.Find(name, out value) == RegistryStatus.Success ? TextOf(value) : "";
        }

        private static string TextOf(RegistryValue value)
        {
            if (value.Data == null)
            {
                return "";
            }
            char[] text = new char[value.Data.Length / 2];
            Buffer.BlockCopy(value.Data, 0, text, 0, text.Length * 2);
            string read = new string(text);
            int end = read.IndexOf('\0');
            return end < 0 ? read : read.Substring(0, end);
        }

        private static string FileOf(string path)
        {
            return path.Substring(path.LastIndexOf('\\') + 1);
        }

        private static string DirectoryOf(string path)
        {
            int end = path.LastIndexOf('\\');
            return end < 0 ? "" : path.Substring(0, end);
        }
    }
}
