// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading;
using Microsoft.Win32.SafeHandles;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.FileChecks
{
using ansible_collections.bulwark.conformance.plugins.module_utils.Evidence;
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileLinks;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileSecurity;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Hashing;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Streams;

    /// <summary>Checks of Files, FileLinks, FileSecurity, Streams and Hashing.</summary>
    public static class FileChecks
    {
        private const string Content = "the content of a file";

        // SHA-256 of "abc" and of a million times "a" (FIPS 180-2, appendix B).
        private const string Abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        private const string Million = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

        private const uint GenericRead = 0x80000000;
        private const uint Overlapped = 0x40000000;
        private const uint RequestBatchOplock = 0x90008;
        private const int IoPending = 997;
        private const int OplockMilliseconds = 20000;
        private const int OplockAttempts = 5;
        private const int OplockPause = 100;

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        private static extern SafeFileHandle CreateFileW(
            string path, uint access, uint share, IntPtr security, uint disposition, uint flags, IntPtr template);

        [DllImport("kernel32.dll", SetLastError = true)]
        private static extern bool DeviceIoControl(
            SafeFileHandle handle, uint code, IntPtr input, int inputLength, IntPtr output, int outputLength,
            IntPtr returned, IntPtr overlapped);

        [DllImport("kernel32.dll")]
        private static extern int GetFileType(SafeFileHandle handle);

        public static Check[] All()
        {
            return new[]
            {
                new Check("files_open", "Files.Open", "names that Win32 cannot open", Open),
                new Check("files_open_oplock", "Files.Open", "the owner of an oplock, who gets a break", OpenOplock),
                new Check("files_find", "Files.Find", "a name in another case", Find),
                new Check("files_drive_type", "Files.DriveType", "DriveInfo of .NET", DriveType),
                new Check("files_handle", "Files.Handle", "GetFileType", Handle),
                new Check("files_query", "Files.Query", "FileInfo of .NET, a second hard link", Query),
                new Check("files_volume", "Files.VolumeText", "vol of cmd.exe", Volume),
                new Check("files_final_path", "Files.FinalPath", "the path that was made", FinalPath),
                new Check("files_list", "Files.List", "1,000 names that were made, and Directory of .NET", List),
                new Check("files_reparse", "Files.Reparse", "the target of a symbolic link that was made", Reparse),
                new Check("files_read", "Files.Read", "the bytes that were written", Read),
                new Check("files_is_absent", "Files.IsAbsent", "File.Exists of .NET, an open deleted file", IsAbsent),
                new Check("file_links_list", "FileLinks.List", "two hard links that were made", Links),
                new Check("file_security_read", "FileSecurity.Read", "FileSecurity of .NET", Security),
                new Check("streams_list", "Streams.List", "an alternate stream that was made", Streams),
                new Check("streams_open", "Streams.Open", "the bytes that were written", StreamContent),
                new Check("hashing_sha256", "Hashing.Sha256", "the name of the class that Windows has",
                    (workspace, evidence) => evidence.Same("class", Digests.Sha256().GetType().Name, "BCryptDigest")),
                new Check("hashing_add", "Hashing.Add", "the digest of FIPS 180-2 of a million characters", Add),
                new Check("hashing_finish", "Hashing.Finish", "the digests of FIPS 180-2, one after the other", Finish)
            };
        }

        private static string CreateFile(Workspace workspace, string name)
        {
            string path = workspace.Files + "\\" + name;
            if (!File.Exists(path))
                File.WriteAllText(path, Content);
            return path;
        }

        private static void Open(Workspace workspace, Evidence evidence)
        {
            NativeFiles files = new NativeFiles();
            foreach (string name in new[] { "ends in a blank ", "ends in a dot.", "nul.txt" })
            {
                using (Stream stream = new NativeStateFiles().CreateNew(workspace.Files + "\\" + name))
                    stream.WriteByte(65);
            }
            using (IOpenFile directory = Workspace.Open(workspace.Files, FileUse.Content))
            {
                foreach (string name in new[] { "ends in a blank ", "ends in a dot.", "nul.txt" })
                {
                    IOpenFile file;
                    evidence.Same("error of '" + name + "'", files.Open(directory, name, FileUse.Content, out file), 0);
                    using (file)
                    {
                        FileFacts facts;
                        file.Query(out facts);
                        evidence.Same("size of '" + name + "'", facts.Size, 1);
                    }
                }
            }
        }

        private static void Find(Workspace workspace, Evidence evidence)
        {
            CreateFile(workspace, "find.txt");
            using (IOpenFile directory = Workspace.Open(workspace.Files, FileUse.Attributes))
            {
                IOpenFile file;
                int error = new NativeFiles().Find(directory, "FIND.TXT", FileUse.Content, out file);
                evidence.Same("error", error, 0);
                using (file)
                {
                    FileFacts facts;
                    file.Query(out facts);
                    evidence.Same("size", facts.Size, Content.Length);
                }
            }
        }

        private static void DriveType(Workspace workspace, Evidence evidence)
        {
            string root = workspace.Root.Substring(0, 3);
            evidence.Same(root, new NativeFiles().DriveType(root), (int)new DriveInfo(root).DriveType);
        }

        private static void Handle(Workspace workspace, Evidence evidence)
        {
            using (IOpenFile file = Workspace.Open(CreateFile(workspace, "handle.txt"), FileUse.Content))
            {
                // FILE_TYPE_DISK
                evidence.Same("type", GetFileType(file.Handle), 1);
            }
        }

        private static void Query(Workspace workspace, Evidence evidence)
        {
            string path = CreateFile(workspace, "query.txt");
            string other = path + ".link";
            Workspace.CreateHardLink(other, path);
            FileInfo information = new FileInfo(path);
            FileFacts facts;
            FileFacts otherFacts;
            using (IOpenFile file = Workspace.Open(path, FileUse.Attributes))
            using (IOpenFile otherFile = Workspace.Open(other, FileUse.Attributes))
            {
                Workspace.Check(file.Query(out facts), path);
                Workspace.Check(otherFile.Query(out otherFacts), other);
            }
            evidence.Same("size", facts.Size, information.Length);
            evidence.Same("attributes", facts.Attributes, (uint)information.Attributes);
            evidence.Same("written", facts.Written, information.LastWriteTimeUtc.ToFileTimeUtc());
            evidence.Same("created", facts.Created, information.CreationTimeUtc.ToFileTimeUtc());
            evidence.Same("links", facts.Links, 2);
            evidence.Same("id by the other name", facts.Id, otherFacts.Id);
            evidence.Same("id is known", facts.Id != 0, true);
        }

        private static void Volume(Workspace workspace, Evidence evidence)
        {
            FileFacts facts;
            using (IOpenFile file = Workspace.Open(workspace.Files, FileUse.Attributes))
                Workspace.Check(file.Query(out facts), workspace.Files);
            string shown = SecondWay.Program("cmd.exe", "/c vol " + workspace.Root.Substring(0, 2));
            // The label, which comes first, can look the same.
            Match serial = Regex.Match(shown, "([0-9A-F]{4})-([0-9A-F]{4})", RegexOptions.RightToLeft);
            evidence.SamePrivate("volume", facts.VolumeText, serial.Result("$1$2-").ToLowerInvariant());
        }

        // Whoever holds an oplock and never gives it up must not hold a scan.
        private static void OpenOplock(Workspace workspace, Evidence evidence)
        {
            string path = CreateFile(workspace, "oplock.txt");
            int content = 0;
            int attributes = 0;
            bool isAsked = false;
            bool isOpen = false;
            Thread reader = new Thread(delegate()
            {
                IOpenFile file;
                NativeFiles files = new NativeFiles();
                content = files.Open(null, path, FileUse.Content, out file);
                if (file != null)
                    file.Dispose();
                attributes = files.Open(null, path, FileUse.Attributes, out file);
                using (file)
                    isOpen = file != null;
            });
            bool isInTime = WithOplock(path, delegate(WaitHandle broken)
            {
                reader.Start();
                bool isOver = reader.Join(OplockMilliseconds);
                isAsked = broken.WaitOne(0);
                return isOver;
            });
            reader.Join();
            evidence.Same("ended in time", isInTime, true);
            evidence.Same("the owner was asked to give it up", isAsked, true);
            evidence.Same("error of content", content, FileErrors.OplockBreak);
            evidence.Same("attributes can be read, error " + attributes, isOpen, true);
        }

        /// <summary>
        /// Return what a function returns during an oplock of a file. The event is set when the oplock is broken.
        /// </summary>
        private static bool WithOplock(string path, Func<WaitHandle, bool> run)
        {
            IntPtr request = Marshal.AllocHGlobal(Marshal.SizeOf(typeof(NativeOverlapped)));
            using (ManualResetEvent broken = new ManualResetEvent(false))
            {
                SafeFileHandle owner = CreateFileW(path, GenericRead, 7, IntPtr.Zero, 3, Overlapped, IntPtr.Zero);
                try
                {
                    NativeOverlapped overlapped = new NativeOverlapped();
                    overlapped.EventHandle = broken.SafeWaitHandle.DangerousGetHandle();
                    Marshal.StructureToPtr(overlapped, request, false);
                    bool isGranted = false;
                    int error = 0;
                    // A virus scanner may have the new file open.
                    for (int attempt = 0; attempt < OplockAttempts && !isGranted; attempt++)
                    {
                        Thread.Sleep(attempt * OplockPause);
                        bool isOver = DeviceIoControl(
                            owner, RequestBatchOplock, IntPtr.Zero, 0, IntPtr.Zero, 0, IntPtr.Zero, request);
                        error = Marshal.GetLastWin32Error();
                        isGranted = !isOver && error == IoPending;
                    }
                    if (!isGranted)
                        throw new NotPossibleException("this file system grants no oplock: error " + error);
                    bool result = run(broken);
                    owner.Dispose();
                    // Until then, the request may be written to.
                    broken.WaitOne();
                    return result;
                }
                finally
                {
                    owner.Dispose();
                    Marshal.FreeHGlobal(request);
                }
            }
        }

        private static void FinalPath(Workspace workspace, Evidence evidence)
        {
            string path = CreateFile(workspace, "Final Path.txt");
            using (IOpenFile file = Workspace.Open(path.ToUpperInvariant(), FileUse.Attributes))
            {
                string final;
                Workspace.Check(file.FinalPath(out final), "path");
                evidence.Same("path", final, @"\\?\" + path);
            }
        }

        private static void List(Workspace workspace, Evidence evidence)
        {
            string directory = workspace.Files + @"\many";
            Directory.CreateDirectory(directory + @"\a directory");
            for (int index = 1; index < 1000; index++)
                File.WriteAllText(directory + @"\a rather long name of a file " + index, "");
            List<DirectoryItem> items = new List<DirectoryItem>();
            using (IOpenFile opened = Workspace.Open(directory, FileUse.Content))
            {
                int error;
                bool isFirst = true;
                while ((error = opened.List(items, isFirst)) == 0)
                    isFirst = false;
                evidence.Same("error after the last", error, FileErrors.NoMoreFiles);
            }
            List<string> names = new List<string>();
            foreach (DirectoryItem item in items)
            {
                names.Add(item.Name);
                if (item.Name == "a directory")
                    evidence.Same("attributes", item.Attributes, (uint)File.GetAttributes(directory + @"\a directory"));
            }
            List<string> second = new List<string>();
            foreach (string path in Directory.GetFileSystemEntries(directory))
                second.Add(Path.GetFileName(path));
            evidence.Same("count", names.Count, 1000);
            names.Sort(StringComparer.Ordinal);
            second.Sort(StringComparer.Ordinal);
            evidence.Same("all names", string.Join("|", names.ToArray()) == string.Join("|", second.ToArray()), true);
        }

        private static void Reparse(Workspace workspace, Evidence evidence)
        {
            string target = CreateFile(workspace, "reparse.txt");
            string link = workspace.Files + @"\reparse link";
            Workspace.CreateSymbolicLink(link, target);
            using (IOpenFile opened = Workspace.Open(link, FileUse.Attributes))
            {
                byte[] data;
                evidence.Same("error", opened.Reparse(out data), 0);
                // IO_REPARSE_TAG_SYMLINK
                evidence.Same("tag", BitConverter.ToUInt32(data, 0), 0xA000000Cu);
                evidence.Same("holds the target", Encoding.Unicode.GetString(data).Contains(target), true);
                IOpenFile file;
                // An empty name opens what the link stands for.
                Workspace.Check(new NativeFiles().Open(opened, "", FileUse.Attributes, out file), "target");
                using (file)
                {
                    string final;
                    Workspace.Check(file.FinalPath(out final), "path");
                    evidence.Same("path of the target", final, @"\\?\" + target);
                }
            }
        }

        private static void Read(Workspace workspace, Evidence evidence)
        {
            using (IOpenFile file = Workspace.Open(CreateFile(workspace, "read.txt"), FileUse.Content))
            {
                byte[] buffer = new byte[64];
                int count;
                evidence.Same("error", file.Read(4, buffer, out count), 0);
                evidence.Same("from position 4", Encoding.ASCII.GetString(buffer, 0, count), Content.Substring(4));
                evidence.Same("error behind the end", file.Read(1000, buffer, out count), 0);
                evidence.Same("count behind the end", count, 0);
            }
        }

        private static void IsAbsent(Workspace workspace, Evidence evidence)
        {
            IOpenFile file;
            using (IOpenFile directory = Workspace.Open(workspace.Files, FileUse.Attributes))
            {
                int error = new NativeFiles().Open(directory, "missing", FileUse.Content, out file);
                bool exists = File.Exists(workspace.Files + @"\missing");
                evidence.Same("name, error " + error, FileErrors.IsAbsent(error), !exists);
                error = new NativeFiles().Open(directory, @"missing\name", FileUse.Content, out file);
                evidence.Same("directory, error " + error, FileErrors.IsAbsent(error), true);
                string path = CreateFile(workspace, "deleted.txt");
                using (Workspace.Open(path, FileUse.Content))
                {
                    File.Delete(path);
                    error = new NativeFiles().Open(directory, "deleted.txt", FileUse.Content, out file);
                    using (file)
                        evidence.Same("still open, error " + error, FileErrors.IsAbsent(error), !File.Exists(path));
                }
            }
        }

        private static void Links(Workspace workspace, Evidence evidence)
        {
            string path = CreateFile(workspace, "links.txt");
            Workspace.CreateHardLink(path + ".other", path);
            List<string> names = new List<string>();
            int error = new NativeFileLinks().List(path, names);
            if (error == FileErrors.CallNotImplemented)
                throw new NotPossibleException("this system lists no hard links");
            evidence.Same("error", error, 0);
            evidence.Same("names", names, new[] { path.Substring(2), path.Substring(2) + ".other" });
        }

        private static void Security(Workspace workspace, Evidence evidence)
        {
            string path = CreateFile(workspace, "security.txt");
            using (IOpenFile file = Workspace.Open(path, FileUse.Attributes))
            {
                byte[] descriptor;
                evidence.Same("error", new NativeFileSecurity().Read(file, out descriptor), 0);
                evidence.SameAccess(descriptor, new FileInfo(path).GetAccessControl());
            }
        }

        private static string WithStream(Workspace workspace, string name)
        {
            string path = CreateFile(workspace, name);
            using (Stream stream = new NativeStateFiles().CreateNew(path + ":hidden"))
                stream.Write(Encoding.ASCII.GetBytes("hidden"), 0, 6);
            if (File.Exists(path + ":hidden") && Directory.GetFiles(workspace.Files, name + ":*").Length > 0)
                throw new NotPossibleException("this file system has no alternate streams");
            return path;
        }

        private static void Streams(Workspace workspace, Evidence evidence)
        {
            List<StreamItem> items = new List<StreamItem>();
            using (IOpenFile file = Workspace.Open(WithStream(workspace, "streams.txt"), FileUse.Content))
                evidence.Same("error", new NativeStreams(new NativeFiles()).List(file, items), 0);
            List<string> names = new List<string>();
            foreach (StreamItem item in items)
                names.Add(item.Name + " " + item.Size);
            evidence.Same("streams", names, new[] { "::$DATA " + Content.Length, ":hidden:$DATA 6" });
        }

        private static void StreamContent(Workspace workspace, Evidence evidence)
        {
            using (IOpenFile file = Workspace.Open(WithStream(workspace, "stream.txt"), FileUse.Content))
            {
                IOpenFile stream;
                NativeStreams streams = new NativeStreams(new NativeFiles());
                evidence.Same("error", streams.Open(file, ":hidden:$DATA", out stream), 0);
                using (stream)
                {
                    byte[] buffer = new byte[64];
                    int count;
                    Workspace.Check(stream.Read(0, buffer, out count), "read");
                    evidence.Same("content", Encoding.ASCII.GetString(buffer, 0, count), "hidden");
                }
            }
        }

        private static void Add(Workspace workspace, Evidence evidence)
        {
            byte[] buffer = Encoding.ASCII.GetBytes(new string('a', 1000) + "not this");
            using (IDigest digest = Digests.Sha256())
            {
                for (int index = 0; index < 1000; index++)
                    digest.Add(buffer, 1000);
                evidence.Same("a million characters", digest.Finish(), Million);
            }
        }

        private static void Finish(Workspace workspace, Evidence evidence)
        {
            using (IDigest digest = Digests.Sha256())
            {
                digest.Add(Encoding.ASCII.GetBytes("not used again"), 14);
                digest.Finish();
                digest.Add(Encoding.ASCII.GetBytes("abc"), 3);
                evidence.Same("abc", digest.Finish(), Abc);
            }
        }
    }
}
