// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Security.AccessControl;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles;

/// <summary>The process was killed; what it would have done afterwards does not happen.</summary>
public sealed class KilledException : Exception
{
}

/// <summary>
/// State in plain files below a directory: C:\a is BASE/C/a. What Windows keeps of a path is given; calls can be counted,
/// and end at one of them, or when the disk is full.
/// </summary>
public sealed class PlainStateFiles : IStateFiles
{
    public const string User = "S-1-5-21-1-2-3-1001";
    private const string Private = "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";
    private const string Above = "O:SYG:SYD:(A;OICI;FA;;;SY)(A;;0x1200a9;;;BU)(A;CI;DCLCRPCR;;;BU)";

    private readonly string _base;

    /// <summary>Owner and DACL of a path in SDDL.</summary>
    public Dictionary<string, string> Descriptors = new Dictionary<string, string>();

    /// <summary>Where a path really leads to.</summary>
    public Dictionary<string, string> FinalPaths = new Dictionary<string, string>();

    public HashSet<string> Links = new HashSet<string>();

    /// <summary>The call at which the process is killed, 0 for none.</summary>
    public int KilledAt;

    /// <summary>How the names of files end that somebody has open, so that they cannot be deleted.</summary>
    public string Held;

    /// <summary>A path that somebody has open to read: it can be moved and not replaced.</summary>
    public string IsRead;

    /// <summary>How often opening a file to read is denied before it succeeds.</summary>
    public int Denials;

    /// <summary>Bytes that the disk has room for.</summary>
    public long Space = Int64.MaxValue;

    public int Calls;
    private bool _isKilled;

    public PlainStateFiles(string directory)
    {
        _base = directory;
    }

    public string UserSid
    {
        get { return User; }
    }

    public void Step()
    {
        Calls++;
        _isKilled = _isKilled || Calls == KilledAt;
        if (_isKilled)
            throw new KilledException();
    }

    public string Local(string path)
    {
        return _base + "/" + path.Replace(":", "").Replace('\\', '/').TrimEnd('/');
    }

    public IStateDirectoryHandle OpenDirectory(string path)
    {
        Step();
        if (!Directory.Exists(Local(path)) && !File.Exists(Local(path)) && !Links.Contains(path))
            return null;
        string descriptor;
        if (!Descriptors.TryGetValue(path, out descriptor))
            descriptor = path == "C:\\" ? Above : Private;
        RawSecurityDescriptor parsed = new RawSecurityDescriptor(descriptor);
        byte[] bytes = new byte[parsed.BinaryLength];
        parsed.GetBinaryForm(bytes, 0);
        string final;
        PlainDirectory handle = new PlainDirectory();
        handle.Attributes = Links.Contains(path)
            ? FileAttributes.Directory | FileAttributes.ReparsePoint
            : File.Exists(Local(path)) ? FileAttributes.Normal : FileAttributes.Directory;
        handle.FinalPath = FinalPaths.TryGetValue(path, out final) ? final : path;
        handle.Descriptor = bytes;
        return handle;
    }

    public bool CreateDirectory(string path)
    {
        Step();
        if (Directory.Exists(Local(path)) || File.Exists(Local(path)) || Links.Contains(path))
            return false;
        Directory.CreateDirectory(Local(path));
        return true;
    }

    public Stream OpenRead(string path, out FileAttributes attributes)
    {
        Step();
        attributes = 0;
        if (Denials-- > 0)
            throw new System.ComponentModel.Win32Exception(5);
        if (Directory.Exists(Local(path)))
            attributes = FileAttributes.Directory;
        if (!File.Exists(Local(path)))
            return null;
        attributes = FileAttributes.Normal;
        return new FileStream(Local(path), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
    }

    public FileStream CreateNew(string path)
    {
        Step();
        return new LimitedStream(this, Local(path));
    }

    public void Replace(string source, string target)
    {
        Step();
        if (target == IsRead && File.Exists(Local(target)))
            throw new System.ComponentModel.Win32Exception(5);
        File.Delete(Local(target));
        File.Move(Local(source), Local(target));
    }

    public bool Delete(string path)
    {
        Step();
        bool exists = File.Exists(Local(path));
        if (exists && Held != null && path.EndsWith(Held))
            throw new System.ComponentModel.Win32Exception(32);
        File.Delete(Local(path));
        return exists;
    }

    public IDisposable TryLock(string path)
    {
        Step();
        try
        {
            return new FileStream(Local(path), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException)
        {
            return null;
        }
    }

    public Dictionary<string, long> List(string path)
    {
        Step();
        Dictionary<string, long> modified = new Dictionary<string, long>();
        foreach (string file in Directory.GetFiles(Local(path)))
            modified[Path.GetFileName(file)] = File.GetLastWriteTimeUtc(file).ToFileTimeUtc();
        return modified;
    }

    private sealed class PlainDirectory : IStateDirectoryHandle
    {
        public FileAttributes Attributes { get; set; }

        public string FinalPath { get; set; }

        public byte[] Descriptor { get; set; }

        public void Dispose()
        {
        }
    }

    private sealed class LimitedStream : FileStream
    {
        private readonly PlainStateFiles _files;

        public LimitedStream(PlainStateFiles files, string path) : base(path, FileMode.CreateNew, FileAccess.Write)
        {
            _files = files;
        }

        public override void Write(byte[] buffer, int offset, int count)
        {
            _files.Step();
            int room = (int)Math.Min(count, _files.Space);
            base.Write(buffer, offset, room);
            _files.Space -= room;
            // ERROR_DISK_FULL, as FileStream throws it on Windows.
            if (room < count)
                throw new IOException("There is not enough space on the disk.", unchecked((int)0x80070070));
        }

        public override void Flush(bool toDisk)
        {
            if (toDisk)
                _files.Step();
            base.Flush(toDisk);
        }
    }
}
