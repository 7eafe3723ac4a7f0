// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.IO;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using Microsoft.Win32;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.Workspace
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles;

    /// <summary>This host cannot show the fact; the message says why.</summary>
    public sealed class NotPossibleException : Exception
    {
        public NotPossibleException(string message) : base(message)
        {
        }
    }

    /// <summary>
    /// The directory and the key of one run, which only SYSTEM and Administrators can use. Nothing else on the host is
    /// changed.
    /// </summary>
    public sealed class Workspace
    {
        private const string Prefix = "bulwark-conformance-";
        private const uint AllAccess = 0xF003F;
        private const uint View64 = 0x100;
        private const int CreateLink = 2;
        private const int OpenLink = 8;
        private const int LinkType = 6;
        private const int LongLevels = 4;
        private const int LongName = 200;
        private const int LongFiles = 1000;
        private static readonly RegistryView[] BothViews = { RegistryView.Registry64, RegistryView.Registry32 };

        // A virus scanner may have a new file open for some time.
        private const int RemoveAttempts = 10;
        private const int RemovePause = 500;
        private static readonly IntPtr LocalMachine = new IntPtr(unchecked((int)0x80000002));

        private readonly NativeStateFiles _files = new NativeStateFiles();

        public readonly string Id;

        /// <summary>C:\ProgramData\bulwark-conformance-ID</summary>
        public readonly string Root;

        /// <summary>The path of the key below HKEY_LOCAL_MACHINE.</summary>
        public readonly string Key;

        /// <summary>id: 12 hexadecimal digits; ArgumentException for another one.</summary>
        public Workspace(string id)
        {
            if (id.Length != 12 || id.Trim("0123456789abcdef".ToCharArray()).Length > 0)
                throw new ArgumentException("id has to be 12 hexadecimal digits");
            Id = id;
            Root = Environment.GetFolderPath(Environment.SpecialFolder.CommonApplicationData) + "\\" + Prefix + id;
            Key = @"SOFTWARE\" + Prefix + id;
        }

        public string Files
        {
            get { return Root + @"\files"; }
        }

        public string Watched
        {
            get { return Root + @"\watched"; }
        }

        public string WatchedKey
        {
            get { return Key + @"\watched"; }
        }

        /// <summary>Make all that win_file_integrity watches, or nothing.</summary>
        public void Create()
        {
            if (Array.Exists(BothViews, HasKey) || !_files.CreateDirectory(Root))
                throw new InvalidOperationException(Root + " or its key exists already; run the kit again");
            try
            {
                Directory.CreateDirectory(Files);
                Directory.CreateDirectory(Watched);
                File.WriteAllText(Watched + @"\same.txt", "same");
                File.WriteAllText(Watched + @"\changed.txt", "before");
                File.WriteAllText(Watched + @"\before.txt", "renamed");
                _files.CreateNew(Watched + @"\ends in a dot.").Dispose();
                using (RegistryKey key = CreateKey(WatchedKey, RegistryView.Registry64))
                {
                    key.SetValue("same", "same");
                    key.SetValue("changed", "before");
                }
            }
            catch
            {
                Remove();
                throw;
            }
        }

        /// <summary>Change, rename and delete watched files, and change a watched value.</summary>
        public void Change()
        {
            File.WriteAllText(Watched + @"\changed.txt", "afterwards");
            File.Move(Watched + @"\before.txt", Watched + @"\renamed.txt");
            _files.Delete(Watched + @"\ends in a dot.");
            // What programs change that back files up or index them is no change.
            File.SetAttributes(Watched + @"\same.txt", FileAttributes.NotContentIndexed);
            using (RegistryKey key = CreateKey(WatchedKey, RegistryView.Registry64))
                key.SetValue("changed", "afterwards");
        }

        /// <summary>Make so many watched files, and with such paths, that a result has some MB.</summary>
        public void Grow()
        {
            string directory = Watched;
            for (int level = 0; level < LongLevels; level++)
            {
                directory += "\\" + new string('x', LongName);
                _files.CreateDirectory(directory);
            }
            for (int index = LongLevels; index < LongFiles; index++)
                _files.CreateNew(directory + "\\" + index.ToString().PadLeft(LongName, '0')).Dispose();
        }

        /// <summary>Remove all of it, and say what is left.</summary>
        public List<string> Remove()
        {
            List<string> left = new List<string>();
            for (int attempt = 0; Directory.Exists(Root) && attempt < RemoveAttempts; attempt++)
            {
                try
                {
                    RemoveDirectory(Root);
                }
                catch (Win32Exception)
                {
                    Thread.Sleep(RemovePause);
                }
            }
            if (Directory.Exists(Root))
                left.Add(Root);
            foreach (RegistryView view in BothViews)
            {
                using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, view))
                    machine.DeleteSubKeyTree(Key, false);
                if (HasKey(view))
                    left.Add(view + @": HKLM\" + Key);
            }
            return left;
        }

        private bool HasKey(RegistryView view)
        {
            using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, view))
            using (RegistryKey key = machine.OpenSubKey(Key))
                return key != null;
        }

        public static RegistryKey CreateKey(string path, RegistryView view)
        {
            using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, view))
                return machine.CreateSubKey(path);
        }

        /// <summary>Open a file of this host for reading by a path with a drive.</summary>
        public static IOpenFile Open(string path, FileUse use)
        {
            NativeFiles files = new NativeFiles();
            IOpenFile current;
            Check(files.Open(null, path.Substring(0, 3), FileUse.Attributes, out current), path);
            string[] names = path.Substring(3).Split('\\');
            for (int index = 0; index < names.Length; index++)
            {
                IOpenFile next;
                FileUse nextUse = index == names.Length - 1 ? use : FileUse.Attributes;
                int error = files.Find(current, names[index], nextUse, out next);
                current.Dispose();
                Check(error, path);
                current = next;
            }
            return current;
        }

        /// <summary>Raise Win32Exception for an error.</summary>
        public static void Check(int error, string what)
        {
            if (error != 0)
                throw new Win32Exception(error, what + ": error " + error);
        }

        public static void CreateHardLink(string path, string existing)
        {
            CheckLast(CreateHardLinkW(path, existing, IntPtr.Zero), path);
        }

        /// <summary>Raise NotPossibleException where the call has no effect.</summary>
        public static void CreateSymbolicLink(string path, string target)
        {
            CheckLast(CreateSymbolicLinkW(path, target, 0), path);
            if (new FileInfo(path).Attributes == (FileAttributes)(-1))
                throw new NotPossibleException("this system makes no symbolic links");
        }

        /// <summary>Create a key with a class.</summary>
        public static void CreateKeyWithClass(string path, string name)
        {
            CreateKey(path, name, 0);
        }

        /// <summary>Create a link to a key (\Registry\Machine\...), run an action and delete the link.</summary>
        public static void WithKeyLink(string path, string target, Action action)
        {
            CreateKey(path, null, CreateLink);
            IntPtr key;
            // The link itself: deleted through another handle, its target would be.
            Check(RegOpenKeyExW(LocalMachine, path, OpenLink, AllAccess | View64, out key), path);
            try
            {
                byte[] data = Encoding.Unicode.GetBytes(target);
                Check(RegSetValueExW(key, "SymbolicLinkValue", 0, LinkType, data, data.Length), path);
                action();
            }
            finally
            {
                NtDeleteKey(key);
                RegCloseKey(key);
            }
        }

        private static void CreateKey(string path, string name, int options)
        {
            IntPtr key;
            uint created;
            Check(RegCreateKeyExW(
                LocalMachine, path, 0, name, options, AllAccess | View64, IntPtr.Zero, out key, out created), path);
            RegCloseKey(key);
        }

        /// <summary>Write a value whose name may hold NUL.</summary>
        public static void SetCountedValue(RegistryKey key, string name, string text)
        {
            GCHandle pinned = GCHandle.Alloc(name, GCHandleType.Pinned);
            try
            {
                CountedText counted = new CountedText();
                counted.Length = (ushort)(name.Length * 2);
                counted.MaximumLength = counted.Length;
                counted.Buffer = pinned.AddrOfPinnedObject();
                byte[] data = Encoding.Unicode.GetBytes(text + "\0");
                uint status = NtSetValueKey(key.Handle.DangerousGetHandle(), ref counted, 0, 1, data, data.Length);
                GC.KeepAlive(key);
                if (status != 0)
                    throw new InvalidOperationException("NtSetValueKey returns 0x" + status.ToString("X8"));
            }
            finally
            {
                pinned.Free();
            }
        }

        // No link is followed, and paths are literal (\\?\), so that names which end in a blank or dot go, too.
        private void RemoveDirectory(string path)
        {
            List<DirectoryItem> items = new List<DirectoryItem>();
            try
            {
                using (IOpenFile directory = Open(path, FileUse.Content))
                {
                    for (bool isFirst = true; directory.List(items, isFirst) == 0; isFirst = false)
                    {
                    }
                }
            }
            catch (Win32Exception error)
            {
                if (FileErrors.IsAbsent(error.NativeErrorCode))
                    return;
                throw;
            }
            foreach (DirectoryItem item in items)
            {
                string child = path + "\\" + item.Name;
                FileAttributes attributes = (FileAttributes)item.Attributes;
                if ((attributes & FileAttributes.Directory) == 0)
                {
                    _files.Delete(child);
                }
                else if ((attributes & FileAttributes.ReparsePoint) == 0)
                {
                    RemoveDirectory(child);
                }
                else
                {
                    RemoveDirectoryW(@"\\?\" + child);
                }
            }
            CheckLast(RemoveDirectoryW(@"\\?\" + path), path);
        }

        private static void CheckLast(bool succeeded, string what)
        {
            if (!succeeded)
                Check(Marshal.GetLastWin32Error(), what);
        }

        [StructLayout(LayoutKind.Sequential)]
        private struct CountedText
        {
            public ushort Length;
            public ushort MaximumLength;
            public IntPtr Buffer;
        }

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        private static extern bool CreateHardLinkW(string path, string existing, IntPtr security);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        [return: MarshalAs(UnmanagedType.U1)]
        private static extern bool CreateSymbolicLinkW(string path, string target, int flags);

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        private static extern bool RemoveDirectoryW(string path);

        [DllImport("advapi32.dll", CharSet = CharSet.Unicode)]
        private static extern int RegCreateKeyExW(
            IntPtr root, string path, int reserved, string name, int options, uint access, IntPtr security,
            out IntPtr key, out uint disposition);

        [DllImport("advapi32.dll", CharSet = CharSet.Unicode)]
        private static extern int RegOpenKeyExW(IntPtr root, string path, int options, uint access, out IntPtr key);

        [DllImport("advapi32.dll", CharSet = CharSet.Unicode)]
        private static extern int RegSetValueExW(
            IntPtr key, string name, int reserved, int type, byte[] data, int length);

        [DllImport("advapi32.dll")]
        private static extern int RegCloseKey(IntPtr key);

        [DllImport("ntdll.dll")]
        private static extern uint NtDeleteKey(IntPtr key);

        [DllImport("ntdll.dll")]
        private static extern uint NtSetValueKey(
            IntPtr key, ref CountedText name, int index, int type, byte[] data, int length);
    }
}
