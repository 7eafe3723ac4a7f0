// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileReader
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileSecurity;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Hashing;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Streams;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.IisConfiguration;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SecurityDescriptor;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Signatures;

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
				Skip(path, "its attributes cannot be read: " + ContentReader.Describe(error));
			return null;
		}
		Dictionary<string, object> attributes = new Dictionary<string, object>();
		ReparsePoint point = null;
		if (((facts.Attributes | listed) & FileAttribute.Reparse) != 0)
		{
			byte[] data;
			point = ReparsePoint.Parse(file.Reparse(out data) == 0 ? data : null);
			if (point.IsLink || !point.HasContent)
				Record(attributes, "reparse", new List<object> { point.Target, point.TagName });
		}
		AddFacts(attributes, facts);
		ReadSecurity(file, path, attributes);
		if (point != null && point.IsLink)
			return new Entry(EntryKinds.Link, path, attributes);
		bool isRemote = FileAttribute.IsRemote(facts.Attributes, listed);
		bool isDirectory = (facts.Attributes & FileAttribute.Directory) != 0;
		if (_watch.Records("streams"))
			ReadStreams(file, path, isDirectory, isRemote, attributes);
		if (isDirectory)
			return new Entry(EntryKinds.Directory, path, attributes);
		Record(attributes, "size", facts.Size);
		Record(attributes, "links", facts.Links);
		if (WantsContent && !ReadContent(file, path, facts, point, isRemote, attributes))
			return null;
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
			return;
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
				Record(attributes, "owner", parsed.Owner);
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
			return;
		List<StreamItem> items = new List<StreamItem>();
		int error = _streams.List(file, items);
		if (error == FileErrors.HandleEof && isDirectory)
			error = 0;
		if (error != 0)
		{
			if (IsUnsupported(error))
			{
				_isWithoutStreams = true;
				Skip(
					"alternate data streams",
					"this volume does not list alternate data streams: " + ContentReader.Describe(error));
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
				continue;
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
				Skip(name, "its content cannot be read: " + ContentReader.Describe(error));
			return null;
		}
		using (stream)
		{
			Content content = _content.Read(stream, item.Size, _deadline);
			if (content.Problem != null && !content.IsGone)
				Skip(name, content.Problem);
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
			problem = "its content is not on this host, and reading would fetch it";
		else if ((facts.Attributes & FileAttribute.Sparse) != 0 && facts.Size > LargestSparse)
			problem = "it is a sparse file of more than 1 GiB, whose content is not read";
		else if (point != null && !point.HasContent)
			problem = "only its driver reads the content of a reparse point of the kind " + point.TagName;
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
				return false;
			if (error == FileErrors.VirusInfected || error == FileErrors.VirusDeleted)
				attributes["malware"] = true;
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
					Skip(path, content.Problem);
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
					attributes["code_sha256"] = code;
				if (content.IsProgram && _watch.Records("signature"))
					ReadSignature(file, path, facts.Size, content.IsExecutable, attributes);
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
			attributes[name] = value;
	}

	private void Skip(string path, string reason)
	{
		_coverage.Skip(Printable.ShowPath(path), reason);
	}
}

/// <summary>What was read of a file's content.</summary>
public sealed class Content
{
	/// <summary>In lower-case hexadecimal; null when it could not be read.</summary>
	public string Sha256;

	/// <summary>Why not, as a sentence for people; null when it was read.</summary>
	public string Problem;

	/// <summary>The file vanished meanwhile.</summary>
	public bool IsGone;

	/// <summary>It begins with MZ, as programs do, or ends in the signature block of a script.</summary>
	public bool IsProgram;

	/// <summary>It begins with MZ.</summary>
	public bool IsExecutable;
}

/// <summary>Reads and hashes open files. Not for use by several threads.</summary>
public sealed class ContentReader
{
	private const int BufferSize = 256 * 1024;

	// PowerShell, WSH and XML files each have their comment signs before it.
	private const string Block = "End signature block";
	private const int TailSize = 1024;

	private readonly byte[] _buffer = new byte[BufferSize];
	private readonly byte[] _tail = new byte[TailSize];
	private readonly IDigest _digest;

	public ContentReader(IDigest digest)
	{
		_digest = digest;
	}

	/// <summary>
	/// Read at most size bytes: what is appended meanwhile belongs to the next run. A file that is shorter by now
	/// is read to its end.
	/// </summary>
	public Content Read(IOpenFile file, long size, Deadline deadline)
	{
		Content content = new Content();
		long position = 0;
		int tail = 0;
		while (position < size)
		{
			if (deadline.Passed)
			{
				_digest.Finish();
				content.Problem = deadline.Reason;
				return content;
			}
			int count;
			int error = file.Read(position, _buffer, out count);
			if (error != 0)
			{
				_digest.Finish();
				content.IsGone = FileErrors.IsAbsent(error);
				content.Problem = "its content cannot be read: " + Describe(error);
				return content;
			}
			if (count == 0)
				break;
			count = (int)Math.Min(count, size - position);
			if (position == 0)
				content.IsExecutable = count > 64 && _buffer[0] == 'M' && _buffer[1] == 'Z';
			_digest.Add(_buffer, count);
			tail = KeepTail(tail, count);
			position += count;
		}
		content.Sha256 = Hexadecimal(_digest.Finish());
		content.IsProgram = content.IsExecutable || HasBlock(tail);
		return content;
	}

	/// <summary>Say what an error of reading means.</summary>
	public static string Describe(int error)
	{
		switch (error)
		{
			case FileErrors.AccessDenied:
				return "access is denied";
			case FileErrors.SharingViolation:
			case FileErrors.LockViolation:
				return "another program has it open exclusively";
			case FileErrors.OplockBreak:
				return "another program holds an oplock on it and does not give it up";
			case FileErrors.VirusInfected:
			case FileErrors.VirusDeleted:
				return "the antivirus program of this host takes it for malware";
			case FileErrors.FileEncrypted:
				return "it is encrypted for another account";
			default:
				return "Windows reports error " + error.ToString(CultureInfo.InvariantCulture);
		}
	}

	/// <summary>Return bytes in lower-case hexadecimal.</summary>
	public static string Hexadecimal(byte[] bytes)
	{
		const string Digits = "0123456789abcdef";
		char[] text = new char[bytes.Length * 2];
		for (int index = 0; index < bytes.Length; index++)
		{
			text[2 * index] = Digits[bytes[index] >> 4];
			text[2 * index + 1] = Digits[bytes[index] & 15];
		}
		return new string(text);
	}

	private int KeepTail(int tail, int count)
	{
		if (count >= TailSize)
		{
			Buffer.BlockCopy(_buffer, count - TailSize, _tail, 0, TailSize);
			return TailSize;
		}
		int old = Math.Min(tail, TailSize - count);
		Buffer.BlockCopy(_tail, tail - old, _tail, 0, old);
		Buffer.BlockCopy(_buffer, 0, _tail, old, count);
		return old + count;
	}

	private bool HasBlock(int length)
	{
		return IndexOf(Encoding.ASCII.GetBytes(Block), length) || IndexOf(Encoding.Unicode.GetBytes(Block), length);
	}

	private bool IndexOf(byte[] wanted, int length)
	{
		for (int start = 0; start <= length - wanted.Length; start++)
		{
			int index = 0;
			while (index < wanted.Length && _tail[start + index] == wanted[index])
				index++;
			if (index == wanted.Length)
				return true;
		}
		return false;
	}
}

/// <summary>What a reparse point stands for ([MS-FSCC] 2.1.2, Reparse Point Tags).</summary>
public sealed class ReparsePoint
{
	private const uint MountPoint = 0xA0000003;
	private const uint Symlink = 0xA000000C;
	private const uint NameSurrogate = 0x20000000;

	// Offsets in REPARSE_DATA_BUFFER (ntifs.h).
	private const int LengthOffset = 4;
	private const int SubstituteNameOffset = 8;
	private const int SubstituteNameLength = 10;
	private const int MountPointPath = 16;
	private const int SymlinkPath = 20;

	/// <summary>IO_REPARSE_TAG_*; 0 where it is not known.</summary>
	public readonly uint Tag;

	/// <summary>The target as stored (\??\C:\Windows, or relative); null where it is not known.</summary>
	public readonly string Target;

	private ReparsePoint(uint tag, string target)
	{
		Tag = tag;
		Target = target;
	}

	/// <summary>Read a REPARSE_DATA_BUFFER; null stands for one that cannot be read. Never raises.</summary>
	public static ReparsePoint Parse(byte[] data)
	{
		if (data == null || data.Length < 8)
			return new ReparsePoint(0, null);
		uint tag = BitConverter.ToUInt32(data, 0);
		if (tag == MountPoint)
			return new ReparsePoint(tag, Name(data, MountPointPath));
		return new ReparsePoint(tag, tag == Symlink ? Name(data, SymlinkPath) : null);
	}

	/// <summary>
	/// Say whether it names another path: a symbolic link, a junction, a mount point, a link of WSL.
	/// </summary>
	public bool IsLink
	{
		// Where the tag is not known, nothing is followed.
		get { return Tag == 0 || (Tag & NameSurrogate) != 0; }
	}

	/// <summary>
	/// Say whether the data behind it is a file of this volume, which its file system filter shows when it is
	/// opened by handle without FILE_OPEN_REPARSE_POINT: deduplicated, compressed, tiered and cloud files, and
	/// layers.
	/// </summary>
	public bool HasContent
	{
		get
		{
			switch (Tag)
			{
				case 0x80000013: // DEDUP
				case 0x80000017: // WOF
				case 0x80000007: // SIS
				case 0xC0000004: // HSM
				case 0x80000006: // HSM2
				case 0x80000018: // WCI
					return true;
				default:
					// CLOUD and CLOUD_1 to CLOUD_F; WCI_1.
					return (Tag & 0xFFFF0FFF) == 0x9000001A || Tag == 0x90001018;
			}
		}
	}

	/// <summary>The tag's name for what is common, else its number.</summary>
	public string TagName
	{
		get
		{
			switch (Tag)
			{
				case 0:
					return "unknown";
				case MountPoint:
					return "mount_point";
				case Symlink:
					return "symlink";
				case 0x8000001B:
					return "app_exec_link";
				default:
					return "0x" + Tag.ToString("x8", CultureInfo.InvariantCulture);
			}
		}
	}

	private static string Name(byte[] data, int path)
	{
		int end = Math.Min(data.Length, 8 + BitConverter.ToUInt16(data, LengthOffset));
		if (end < path)
			return null;
		int start = path + BitConverter.ToUInt16(data, SubstituteNameOffset);
		int length = BitConverter.ToUInt16(data, SubstituteNameLength);
		if (start + length > end || length % 2 != 0)
			return null;
		char[] characters = new char[length / 2];
		Buffer.BlockCopy(data, start, characters, 0, length);
		return new string(characters);
	}
}
}
