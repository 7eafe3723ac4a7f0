// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Security.AccessControl;
using System.Security.Principal;
using System.Threading;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.BackgroundMode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileSecurity;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Hashing;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Streams;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileCollector;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostPaths;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Signatures;

/// <summary>Does what an attacker or another program does, and collects.</summary>
public static class FileScenario
{
    /// <summary>Hold a file exclusively until the file "stop" exists, for at most two minutes.</summary>
    public static void Hold(string path, string stop)
    {
        using (new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None))
        {
            File.WriteAllText(stop + ".ready", "");
            for (int waited = 0; waited < 1200 && !File.Exists(stop); waited++)
            {
                Thread.Sleep(100);
            }
        }
    }

    /// <summary>Do one step; null for those that only change something.</summary>
    public static object Do(Dictionary<string, object> step)
    {
        string action = (string)step["do"];
        switch (action)
        {
            case "attributes":
                File.SetAttributes((string)step["path"], (FileAttributes)(int)(long)step["value"]);
                return null;
            case "mtime":
                File.SetLastWriteTimeUtc((string)step["path"], DateTime.FromFileTimeUtc((long)step["value"]));
                return null;
            case "grant":
                FileInfo file = new FileInfo((string)step["path"]);
                FileSecurity security = file.GetAccessControl();
                SecurityIdentifier account = new SecurityIdentifier((string)step["sid"]);
                security.AddAccessRule(new FileSystemAccessRule(
                    account, FileSystemRights.FullControl, AccessControlType.Allow));
                file.SetAccessControl(security);
                return null;
            case "write":
                File.WriteAllText((string)step["path"], (string)step["text"]);
                return null;
            case "exists":
                HostPresence presence = new HostPresence(new NativeFiles(), new NativeRegistry(), null);
                Entry asked = new Entry("file", (string)step["path"], new Dictionary<string, object>());
                return presence.Exists(asked);
            case "volumes":
                return Volumes((string)step["path"]);
            case "background":
                using (new BackgroundMode())
                using (new BackgroundMode())
                {
                    return Thread.CurrentThread.ManagedThreadId;
                }
            case "collect":
                return Collect(step);
            default:
                throw new ArgumentException(action);
        }
    }

    /// <summary>
    /// Return the number of the volume by a file whose directories were never asked and are closed by now, by the
    /// root, and by the file opened with an empty name.
    /// </summary>
    private static List<object> Volumes(string path)
    {
        IFiles files = new NativeFiles();
        string drive = path.Substring(0, 3);
        IOpenFile current;
        IOpenFile root;
        IOpenFile behind;
        files.Open(null, drive, FileUse.Attributes, out current);
        foreach (string name in path.Substring(3).Split('\\'))
        {
            using (IOpenFile directory = current)
            {
                files.Find(directory, name, FileUse.Attributes, out current);
            }
        }
        files.Open(null, drive, FileUse.Attributes, out root);
        files.Open(current, "", FileUse.Content, out behind);
        List<object> volumes = new List<object>();
        foreach (IOpenFile file in new[] { current, root, behind })
        {
            using (file)
            {
                FileFacts facts;
                file.Query(out facts);
                volumes.Add((long)facts.Volume);
            }
        }
        return volumes;
    }

    private static Dictionary<string, object> Collect(Dictionary<string, object> step)
    {
        Watch watch = new Watch();
        watch.Name = "watch";
        watch.Paths = Texts(step, "paths");
        watch.Exclude = Texts(step, "exclude");
        watch.Include = Texts(step, "include");
        IList<string> attributes = Texts(step, "attributes");
        watch.Attributes = attributes.Count == 0 ? null : new HashSet<string>(attributes);
        watch.Recurse = step.ContainsKey("recurse") ? (int)(long)step["recurse"] : -1;
        double seconds = step.ContainsKey("seconds") ? (double)step["seconds"] : 0;
        IFiles files = new NativeFiles();
        if (step.ContainsKey("when"))
        {
            files = new DisturbedFiles(files, (string)step["when"], (string)step["then"], (string)step["with"]);
        }
        List<object> entries = new List<object>();
        ScopeCoverage coverage = new ScopeCoverage(watch.Name);
        using (NativeAuthenticode authenticode = new NativeAuthenticode())
        using (IDigest digest = Digests.Sha256())
        {
            FileReader reader = new FileReader(
                files, new NativeFileSecurity(), new NativeStreams(files), authenticode, digest);
            FileCollector collector = new FileCollector(files, new HostPaths(new NativeRegistry()), reader);
            List<Entry> collected = new List<Entry>();
            collector.Collect(watch, coverage, new Deadline(seconds), collected.Add);
            SignatureJudge judge = new SignatureJudge(collector.Likes, new string[0]);
            foreach (Entry entry in collected)
            {
                Judgement judgement = judge.JudgeEntry(entry, watch);
                Dictionary<string, object> written = new Dictionary<string, object>();
                written["kind"] = entry.Kind;
                written["path"] = entry.Path;
                written["attributes"] = entry.Attributes;
                written["alert"] = judgement == null ? null : judgement.Severity + ": " + judgement.Message;
                entries.Add(written);
            }
        }
        Dictionary<string, object> result = new Dictionary<string, object>();
        result["coverage"] = coverage.Entry();
        result["entries"] = entries;
        return result;
    }

    private static IList<string> Texts(Dictionary<string, object> step, string name)
    {
        List<string> texts = new List<string>();
        object value;
        if (step.TryGetValue(name, out value))
        {
            foreach (object text in (List<object>)value)
            {
                texts.Add((string)text);
            }
        }
        return texts;
    }

    /// <summary>The host's files, where something happens right before a name is opened or first read.</summary>
    private sealed class DisturbedFiles : IFiles
    {
        private readonly IFiles _files;
        private readonly string _name;
        private readonly string _action;
        private readonly string _path;
        private bool _isDone;

        public DisturbedFiles(IFiles files, string name, string action, string path)
        {
            _files = files;
            _name = name;
            _action = action;
            _path = path;
        }

        public int Open(IOpenFile directory, string name, FileUse use, out IOpenFile file)
        {
            bool isWanted = name == _name || (name.Length == 0 && directory is DisturbedFile);
            if (isWanted && (_action == "replace" || _action == "delete"))
            {
                Disturb();
            }
            int error = _files.Open(directory, name, use, out file);
            if (error == 0 && isWanted)
            {
                file = new DisturbedFile(file, this);
            }
            return error;
        }

        public int Find(IOpenFile directory, string name, FileUse use, out IOpenFile file)
        {
            return _files.Find(directory, name, use, out file);
        }

        public uint DriveType(string root)
        {
            return _files.DriveType(root);
        }

        public void BeforeRead()
        {
            if (_action == "grow")
            {
                File.AppendAllText(_path, "and more");
            }
            else if (_action == "rewrite")
            {
                DateTime written = File.GetLastWriteTimeUtc(_path);
                using (FileStream stream = new FileStream(
                    _path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete))
                {
                    stream.WriteByte((byte)'!');
                }
                File.SetLastWriteTimeUtc(_path, written.AddSeconds(1));
            }
            else if (_action == "unlink")
            {
                Disturb();
            }
        }

        private void Disturb()
        {
            if (_isDone)
            {
                return;
            }
            _isDone = true;
            if (_action == "replace")
            {
                // Wine makes no links: the test does it when it sees the one file, and says so by the other.
                File.WriteAllText(_path + ".now", "");
                for (int waited = 0; waited < 600 && !File.Exists(_path + ".done"); waited++)
                {
                    Thread.Sleep(50);
                }
            }
            else
            {
                File.Delete(_path);
            }
        }
    }

    private sealed class DisturbedFile : IOpenFile
    {
        private readonly IOpenFile _file;
        private readonly DisturbedFiles _files;

        public DisturbedFile(IOpenFile file, DisturbedFiles files)
        {
            _file = file;
            _files = files;
        }

        public Microsoft.Win32.SafeHandles.SafeFileHandle Handle
        {
            get { return _file.Handle; }
        }

        public int Query(out FileFacts facts)
        {
            return _file.Query(out facts);
        }

        public int FinalPath(out string path)
        {
            return _file.FinalPath(out path);
        }

        public int List(ICollection<DirectoryItem> items, bool isFirst)
        {
            return _file.List(items, isFirst);
        }

        public int Reparse(out byte[] data)
        {
            return _file.Reparse(out data);
        }

        public int Read(long position, byte[] buffer, out int count)
        {
            if (position == 0)
            {
                _files.BeforeRead();
            }
            return _file.Read(position, buffer, out count);
        }

        public void Dispose()
        {
            _file.Dispose();
        }
    }
}
