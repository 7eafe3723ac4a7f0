// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileReader
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileSecurity;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Hashing;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Streams;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.ContentReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Deadline;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.ReparsePoint;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SecurityDescriptor;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.IisConfiguration;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SignatureReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Watch;

    /// <summary>The file attributes that decide how a file is read ([MS-FSCC] 2.6).</summary>
    public static class FileAttribute
    {
        public const uint Directory = 0x10;
        public const uint Sparse = 0x200;
        public const uint Reparse = 0x400;
        public const uint Offline = 0x1000;

        /// <summary>RECALL_ON_OPEN, which only a listing has: by handle the bit means something else.</summary>
        public const uint RecallOnOpen = 0x40000;
        public const uint RecallOnDataAccess = 0x400000;

        /// <summary>
        /// Say whether reading would fetch data that is not on this host. Everybody who may write a file can set
        /// OFFLINE: it only counts for a reparse point, as what keeps data elsewhere makes them.
        /// </summary>
        public static bool IsRemote(uint attributes, uint listed)
        {
            uint either = attributes | listed;
            return (either & RecallOnDataAccess) != 0 || (listed & RecallOnOpen) != 0
                || ((either & Offline) != 0 && (either & Reparse) != 0);
        }
    }

    /// <summary>Makes entries of open files. Not for use by several threads.</summary>
    public sealed class FileReader
    {
        /// <summary>
        /// The content of larger sparse files, in bytes, is not read: a terabyte of them costs nothing.
        /// </summary>
        public const long LargestSparse = 1L << 30;

        /// <summary>
        /// The signatures of larger files, in bytes, are not verified: Windows hashes them up to three times more.
        /// </summary>
        public const long LargestSigned = 1L << 30;

        /// <summary>How many streams are read of one file.</summary>
        public const int MostStreams = 200;

        private const string OwnStream = "::$DATA";
        private const int Attempts = 3;

        // READONLY, HIDDEN, SYSTEM, DIRECTORY and ENCRYPTED. The others change by themselves, or by backups, indexing,
        // compression and deduplication.
        private const uint Compared = 0x1 | 0x2 | 0x4 | 0x10 | 0x4000;

        private readonly IFiles _files;
        private readonly IFileSecurity _security;
        private readonly IStreams _streams;
        private readonly ContentReader _content;
        private readonly SignatureReader _signatures;

        private Watch _watch;
        private ScopeCoverage _coverage;
        private Deadline _deadline;
        private bool _isWithoutStreams;

        public FileReader(
            IFiles files, IFileSecurity security, IStreams streams, IAuthenticode authenticode, IDigest digest)
        {
            _files = files;
            _security = security;
            _streams = streams;
            _content = new ContentReader(digest);
            _signatures = new SignatureReader(authenticode);
        }

        /// <summary>Read for this watch from now on.</summary>
        public void Begin(Watch watch, ScopeCoverage coverage, Deadline deadline)
        {
            _watch = watch;
            _coverage = coverage;
            _deadline = deadline;
            _isWithoutStreams = false;
            WantsContent = watch.Records("sha256") || watch.Records("signature");
        }

        /// <summary>Say whether the content of files is read at all.</summary>
        public bool WantsContent { get; private set; }

        /// <summary>
        /// Return the entry of an open file, null when it vanished. listed: the attributes that the listing of its
        /// directory gave.
        /// </summary>
        public Entry Read(IOpenFile file, string path, uint listed)
        {
            FileFacts facts;
            int error = file.Query(out facts);
            if (error != 0)
            {
                if (!FileErrors.IsAbsent(error))
                {
                    Skip(path, "its attributes cannot be read: " + ContentReader.Describe(error));
                }
                return null;
            }
            Dictionary<string, object> attributes = new Dictionary<string, object>();
            ReparsePoint point = null;
            if (((facts.Attributes | listed) & FileAttribute.Reparse) != 0)
            {
                byte[] data;
                point = ReparsePoint.Parse(file.Reparse(out data) == 0 ? data : null);
                if (point.IsLink || !point.HasContent)
                {
                    Record(attributes, "reparse", new List<object> { point.Target, point.TagName });
                }
            }
            AddFacts(attributes, facts);
            ReadSecurity(file, path, attributes);
            if (point != null && point.IsLink)
            {
                return new Entry(EntryKinds.Link, path, attributes);
            }
            bool isRemote = FileAttribute.IsRemote(facts.Attributes, listed);
            bool isDirectory = (facts.Attributes & FileAttribute.Directory) != 0;
            if (_watch.Records("streams"))
            {
                ReadStreams(file, path, isDirectory, isRemote, attributes);
            }
            if (isDirectory)
            {
                return new Entry(EntryKinds.Directory, path, attributes);
            }
            Record(attributes, "size", facts.Size);
            Record(attributes, "links", facts.Links);
            if (WantsContent && !ReadContent(file, path, facts, point, isRemote, attributes))
            {
                return null;
            }
            return new Entry(EntryKinds.File, path, attributes);
        }

        private void AddFacts(Dictionary<string, object> attributes, FileFacts facts)
        {
            Record(attributes, "attributes", (long)(facts.Attributes & Compared));
            Record(attributes, "created", facts.Created);
            Record(attributes, "mtime", facts.Written);
            string id = facts.Id.ToString("x16", CultureInfo.InvariantCulture);
            Record(attributes, "file_id", facts.VolumeText + id);
        }

        private void ReadSecurity(IOpenFile file, string path, Dictionary<string, object> attributes)
        {
            if (!_watch.Records("owner") && !_watch.Records("dacl"))
            {
                return;
            }
            byte[] descriptor;
            int error = _security.Read(file, out descriptor);
            if (error != 0)
            {
                Skip(path, "its owner and access list cannot be read: " + ContentReader.Describe(error));
                return;
            }
            try
            {
                SecurityDescriptor parsed = SecurityDescriptor.Parse(descriptor);
                if (parsed.Owner != null)
                {
                    Record(attributes, "owner", parsed.Owner);
                }
                Record(attributes, "dacl", parsed.Dacl);
            }
            catch (FormatException exception)
            {
                Skip(path, "its owner and access list cannot be read: " + exception.Message);
            }
        }

        private void ReadStreams(
            IOpenFile file, string path, bool isDirectory, bool isRemote, Dictionary<string, object> attributes)
        {
            if (_isWithoutStreams)
            {
                return;
            }
            List<StreamItem> items = new List<StreamItem>();
            int error = _streams.List(file, items);
            if (error == FileErrors.HandleEof && isDirectory)
            {
                error = 0;
            }
            if (error != 0)
            {
                if (IsUnsupported(error))
                {
                    _isWithoutStreams = true;
                    Skip("alternate data streams", "this volume does not list them: " + ContentReader.Describe(error));
                }
                else if (!FileErrors.IsAbsent(error))
                {
                    Skip(path, "its alternate data streams cannot be listed: " + ContentReader.Describe(error));
                }
                return;
            }
            List<object> streams = new List<object>();
            foreach (StreamItem item in items)
            {
                if (item.Name == OwnStream)
                {
                    continue;
                }
                if (streams.Count == MostStreams)
                {
                    Skip(path, "it has more than " + MostStreams + " alternate data streams, the rest was not read");
                    break;
                }
                string digest = isRemote ? null : StreamDigest(file, path, item);
                streams.Add(new List<object> { StreamName(item.Name), item.Size, digest });
            }
            attributes["streams"] = streams;
        }

        private static bool IsUnsupported(int error)
        {
            return error == FileErrors.HandleEof || error == FileErrors.NotSupported || error == 1 ||
                error == FileErrors.InvalidParameter || error == FileErrors.CallNotImplemented;
        }

        private static string StreamName(string name)
        {
            int end = name.EndsWith(":$DATA", StringComparison.Ordinal) ? name.Length - 6 : name.Length;
            return name.StartsWith(":", StringComparison.Ordinal) ? name.Substring(1, end - 1) : name;
        }

        private string StreamDigest(IOpenFile file, string path, StreamItem item)
        {
            IOpenFile stream;
            string name = path + ":" + StreamName(item.Name);
            int error = _streams.Open(file, item.Name, out stream);
            if (error != 0)
            {
                if (!FileErrors.IsAbsent(error))
                {
                    Skip(name, "its content cannot be read: " + ContentReader.Describe(error));
                }
                return null;
            }
            using (stream)
            {
                Content content = _content.Read(stream, item.Size, _deadline);
                if (content.Problem != null && !content.IsGone)
                {
                    Skip(name, content.Problem);
                }
                return content.Sha256;
            }
        }

        /// <summary>Add sha256 and signature; false when the file vanished.</summary>
        private bool ReadContent(
            IOpenFile file, string path, FileFacts facts, ReparsePoint point, bool isRemote,
            Dictionary<string, object> attributes)
        {
            string problem = null;
            if (isRemote)
            {
                problem = "its content is not on this host, and reading would fetch it";
            }
            else if ((facts.Attributes & FileAttribute.Sparse) != 0 && facts.Size > LargestSparse)
            {
                problem = "it is a sparse file of more than 1 GiB, whose content is not read";
            }
            else if (point != null && !point.HasContent)
            {
                problem = "only its driver reads the content of a reparse point of the kind " + point.TagName;
            }
            if (problem != null)
            {
                Skip(path, problem);
                return true;
            }
            // Compressed programs of Windows hide that they are reparse points: only opened anew, and not as reparse
            // points, do they surely have the content that programs read.
            IOpenFile behind;
            int error = _files.Open(file, "", FileUse.Content, out behind);
            if (error != 0)
            {
                if (FileErrors.IsAbsent(error))
                {
                    return false;
                }
                if (error == FileErrors.VirusInfected || error == FileErrors.VirusDeleted)
                {
                    attributes["malware"] = true;
                }
                Skip(path, "its content cannot be read: " + ContentReader.Describe(error));
                return true;
            }
            using (behind)
            {
                FileFacts same;
                if (behind.Query(out same) != 0 || same.Id != facts.Id || same.Volume != facts.Volume)
                {
                    Skip(path, "it was replaced while it was read");
                    return true;
                }
                return ReadStable(behind, path, same, attributes);
            }
        }

        /// <summary>Read a file as it was at one moment: again when it was changed meanwhile.</summary>
        private bool ReadStable(IOpenFile file, string path, FileFacts facts, Dictionary<string, object> attributes)
        {
            for (int attempt = 1; ; attempt++)
            {
                Content content = _content.Read(file, facts.Size, _deadline);
                if (content.Problem != null)
                {
                    if (!content.IsGone)
                    {
                        Skip(path, content.Problem);
                    }
                    return !content.IsGone;
                }
                FileFacts after;
                int error = file.Query(out after);
                // What grows is recorded with the size at which it was read.
                bool isSame = error == 0 && (after.Size > facts.Size ||
                    (after.Size == facts.Size && after.Written == facts.Written));
                if (isSame)
                {
                    Record(attributes, "size", facts.Size);
                    Record(attributes, "mtime", facts.Written);
                    Record(attributes, "sha256", content.Sha256);
                    string code = IisConfiguration.IsOf(path) ? IisConfiguration.CodeDigest(file, facts.Size) : null;
                    if (code != null && _watch.Records("sha256"))
                    {
                        attributes["code_sha256"] = code;
                    }
                    if (content.IsProgram && _watch.Records("signature"))
                    {
                        ReadSignature(file, path, facts.Size, content.IsExecutable, attributes);
                    }
                    return true;
                }
                if (error != 0 || attempt == Attempts)
                {
                    Skip(path, "it was changed each time while it was read");
                    return !FileErrors.IsAbsent(error);
                }
                facts = after;
            }
        }

        private void ReadSignature(
            IOpenFile file, string path, long size, bool isExecutable, Dictionary<string, object> attributes)
        {
            if (size > LargestSigned)
            {
                Skip(path, "its signature is not verified, because it has more than 1 GiB");
                return;
            }
            int error = _signatures.Read(file, path, isExecutable, _deadline, attributes);
            if (error != 0)
            {
                string reason = error == FileErrors.Cancelled ? _deadline.Reason : ContentReader.Describe(error);
                Skip(path, "whether a catalogue of this host has a signature for it is not known: " + reason);
            }
        }

        private void Record(Dictionary<string, object> attributes, string name, object value)
        {
            if (_watch.Records(name))
            {
                attributes[name] = value;
            }
        }

        private void Skip(string path, string reason)
        {
            _coverage.Skip(Printable.ShowPath(path), reason);
        }
    }
}
