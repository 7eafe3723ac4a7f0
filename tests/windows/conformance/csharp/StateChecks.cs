// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.IO;
using System.Security.AccessControl;
using System.Text;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.StateChecks
{
using ansible_collections.bulwark.conformance.plugins.module_utils.Evidence;
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles;

    /// <summary>Checks of StateFiles.</summary>
    public static class StateChecks
    {
        private const string Private = "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";
        private const int FileExists = 80;

        public static Check[] All()
        {
            return new[]
            {
                new Check("state_user_sid", "StateFiles.UserSid", "whoami.exe", UserSid),
                new Check("state_create", "StateFiles.CreateDirectory", "the DACL that was asked for", CreateDirectory),
                new Check("state_open_directory", "StateFiles.OpenDirectory", "an attempt to rename it", OpenDirectory),
                new Check("state_attributes", "StateFiles.Attributes", "DirectoryInfo of .NET", Attributes),
                new Check("state_final_path", "StateFiles.FinalPath", "the path of the directory", FinalPath),
                new Check("state_descriptor", "StateFiles.Descriptor", "DirectorySecurity of .NET", Descriptor),
                new Check("state_open_read", "StateFiles.OpenRead", "File of .NET", OpenRead),
                new Check("state_open_read_link", "StateFiles.OpenRead", "a symbolic link that was made", OpenReadLink),
                new Check("state_create_new", "StateFiles.CreateNew", "File of .NET", CreateNew),
                new Check("state_replace", "StateFiles.Replace", "File of .NET", Replace),
                new Check("state_replace_read", "StateFiles.Replace", "an open reader of the file", ReplaceRead),
                new Check("state_delete", "StateFiles.Delete", "File.Exists of .NET", Delete),
                new Check("state_remove_directory", "StateFiles.RemoveDirectory", "Directory.Exists of .NET",
                    RemoveDirectory),
                new Check("state_try_lock", "StateFiles.TryLock", "File.Open of .NET", TryLock),
                new Check("state_list", "StateFiles.List", "DirectoryInfo of .NET", List)
            };
        }

        private static string Fresh(Workspace workspace, string name)
        {
            string path = workspace.Root + "\\" + name;
            if (!new NativeStateFiles().CreateDirectory(path))
                throw new InvalidOperationException(path + " exists already");
            return path;
        }

        private static void UserSid(Workspace workspace, Evidence evidence)
        {
            string second = Regex.Match(SecondWay.Program("whoami.exe", "/user"), @"S-1-[\d-]+").Value;
            evidence.SamePrivate("SID", new NativeStateFiles().UserSid, second);
        }

        private static void CreateDirectory(Workspace workspace, Evidence evidence)
        {
            string path = Fresh(workspace, "state create");
            evidence.Same("again", new NativeStateFiles().CreateDirectory(path), false);
            DirectorySecurity second = new DirectoryInfo(path).GetAccessControl();
            evidence.SameAccess(Private, second);
            evidence.Same("inherits nothing", second.AreAccessRulesProtected, true);
        }

        private static void OpenDirectory(Workspace workspace, Evidence evidence)
        {
            string path = Fresh(workspace, "state open");
            NativeStateFiles files = new NativeStateFiles();
            using (files.OpenDirectory(path))
                evidence.Same("renamed while it is open", IsMoved(path), false);
            evidence.Same("renamed afterwards", IsMoved(path), true);
            evidence.Same("missing", files.OpenDirectory(path) == null, true);
        }

        private static bool IsMoved(string path)
        {
            try
            {
                Directory.Move(path, path + " moved");
                return true;
            }
            catch (IOException)
            {
                return false;
            }
        }

        private static void Attributes(Workspace workspace, Evidence evidence)
        {
            using (IStateDirectoryHandle directory = new NativeStateFiles().OpenDirectory(workspace.Root))
                evidence.Same("attributes", directory.Attributes, new DirectoryInfo(workspace.Root).Attributes);
        }

        private static void FinalPath(Workspace workspace, Evidence evidence)
        {
            using (IStateDirectoryHandle directory = new NativeStateFiles().OpenDirectory(workspace.Root))
                evidence.Same("path", directory.FinalPath.ToLowerInvariant(), workspace.Root.ToLowerInvariant());
        }

        private static void Descriptor(Workspace workspace, Evidence evidence)
        {
            using (IStateDirectoryHandle directory = new NativeStateFiles().OpenDirectory(workspace.Root))
                evidence.SameAccess(directory.Descriptor, new DirectoryInfo(workspace.Root).GetAccessControl());
        }

        private static void OpenRead(Workspace workspace, Evidence evidence)
        {
            string path = Fresh(workspace, "state read") + @"\file";
            File.WriteAllText(path, "content");
            NativeStateFiles files = new NativeStateFiles();
            FileAttributes attributes;
            using (StreamReader reader = new StreamReader(files.OpenRead(path, out attributes)))
            {
                evidence.Same("content", reader.ReadToEnd(), "content");
                evidence.Same("attributes", attributes, File.GetAttributes(path));
            }
            evidence.Same("missing", files.OpenRead(path + ".missing", out attributes) == null, true);
        }

        private static void OpenReadLink(Workspace workspace, Evidence evidence)
        {
            string path = Fresh(workspace, "state link") + @"\file";
            File.WriteAllText(path, "content");
            Workspace.CreateSymbolicLink(path + ".link", path);
            FileAttributes attributes;
            evidence.Same(
                "followed", new NativeStateFiles().OpenRead(path + ".link", out attributes) != null, false);
            evidence.Same("attributes", attributes, File.GetAttributes(path + ".link"));
        }

        private static void CreateNew(Workspace workspace, Evidence evidence)
        {
            string path = Fresh(workspace, "state new") + @"\file";
            NativeStateFiles files = new NativeStateFiles();
            Write(files, path, "content");
            evidence.Same("content", File.ReadAllText(path), "content");
            int error = 0;
            try
            {
                files.CreateNew(path).Dispose();
            }
            catch (Win32Exception exception)
            {
                error = exception.NativeErrorCode;
            }
            evidence.Same("error of an existing name", error, FileExists);
        }

        private static void Write(NativeStateFiles files, string path, string text)
        {
            using (FileStream stream = files.CreateNew(path))
            {
                byte[] bytes = Encoding.ASCII.GetBytes(text);
                stream.Write(bytes, 0, bytes.Length);
                stream.Flush(true);
            }
        }

        private static void Replace(Workspace workspace, Evidence evidence)
        {
            string directory = Fresh(workspace, "state replace");
            NativeStateFiles files = new NativeStateFiles();
            Write(files, directory + @"\new", "new");
            Write(files, directory + @"\old", "old");
            files.Replace(directory + @"\new", directory + @"\old");
            evidence.Same("content", File.ReadAllText(directory + @"\old"), "new");
            evidence.Same("the other name", File.Exists(directory + @"\new"), false);
        }

        // State is moved aside while somebody reads it, who goes on with the former content.
        private static void ReplaceRead(Workspace workspace, Evidence evidence)
        {
            string path = Fresh(workspace, "state aside") + @"\old";
            NativeStateFiles files = new NativeStateFiles();
            Write(files, path, "old");
            FileAttributes ignored;
            using (StreamReader reader = new StreamReader(files.OpenRead(path, out ignored)))
            {
                files.Replace(path, path + ".aside");
                Write(files, path, "new");
                evidence.Same("what is read", reader.ReadToEnd(), "old");
            }
            evidence.Same("content", File.ReadAllText(path), "new");
        }

        private static void Delete(Workspace workspace, Evidence evidence)
        {
            string path = Fresh(workspace, "state delete") + @"\file";
            File.WriteAllText(path, "");
            evidence.Same("deleted", new NativeStateFiles().Delete(path), true);
            evidence.Same("exists", File.Exists(path), false);
            evidence.Same("again", new NativeStateFiles().Delete(path), false);
        }

        private static void RemoveDirectory(Workspace workspace, Evidence evidence)
        {
            NativeStateFiles files = new NativeStateFiles();
            string path = Fresh(workspace, "state remove") + @"\directory";
            Directory.CreateDirectory(path);
            evidence.Same("removed", files.RemoveDirectory(path), true);
            evidence.Same("exists", Directory.Exists(path), false);
            evidence.Same("again", files.RemoveDirectory(path), false);
        }

        private static void TryLock(Workspace workspace, Evidence evidence)
        {
            string path = Fresh(workspace, "state lock") + @"\lock";
            NativeStateFiles files = new NativeStateFiles();
            using (files.TryLock(path))
            {
                evidence.Same("a second lock", files.TryLock(path) == null, true);
                evidence.Same("opened by .NET", IsOpened(path), false);
            }
            evidence.Same("opened afterwards", IsOpened(path), true);
            using (IDisposable again = files.TryLock(path))
                evidence.Same("locked again", again != null, true);
        }

        private static bool IsOpened(string path)
        {
            try
            {
                File.Open(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite).Dispose();
                return true;
            }
            catch (IOException)
            {
                return false;
            }
        }

        private static void List(Workspace workspace, Evidence evidence)
        {
            string directory = Fresh(workspace, "state list");
            Directory.CreateDirectory(directory + @"\directory");
            File.WriteAllText(directory + @"\a", "a");
            File.WriteAllText(directory + @"\b.txt", "b");
            List<string> names = new List<string>();
            foreach (KeyValuePair<string, long> file in new NativeStateFiles().List(directory))
                names.Add(file.Key + " " + file.Value);
            List<string> second = new List<string>();
            foreach (FileInfo file in new DirectoryInfo(directory).GetFiles())
                second.Add(file.Name + " " + file.LastWriteTimeUtc.ToFileTimeUtc());
            evidence.Same("names and times", names, second);
            evidence.Same("count", names.Count, 2);
        }
    }
}
