// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileWalk
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.PathPattern;

/// <summary>
/// Walks what the paths of a watch stand for. Each name is opened relative to the handle of its directory, a link
/// is recorded and never followed: what is replaced meanwhile cannot lead out of the watch.
/// </summary>
public sealed class FileWalk
{
	/// <summary>Directories below this many others are skipped: each level holds a handle.</summary>
	public const int MostLevels = 512;

	// What mountvol makes: the root of a volume, and nothing below it.
	private static readonly Regex Volume = new Regex(@"^\\\?\?\\Volume\{[0-9A-Fa-f-]{36}\}\\\z");

	private const uint FixedDrive = 3;
	private const uint NoDrive = 1;

	private readonly IFiles _files;
	private readonly FileReader _reader;
	private readonly Watch _watch;
	private readonly PathFilter _filter;
	private readonly ScopeCoverage _coverage;
	private readonly Deadline _deadline;
	private readonly Action<Entry> _emit;
	private readonly HashSet<string> _emitted;
	private readonly long _share;
	private long _left;

	/// <summary>limit: how many entries are read at most. isUnique: no two patterns stand for one path.</summary>
	public FileWalk(
		IFiles files, FileReader reader, Watch watch, PathFilter filter, ScopeCoverage coverage, Deadline deadline,
		Action<Entry> emit, long limit, bool isUnique)
	{
		_files = files;
		_reader = reader;
		_watch = watch;
		_filter = filter;
		_coverage = coverage;
		_deadline = deadline;
		_emit = emit;
		_left = limit;
		_share = Math.Max(1, limit / 10);
		_emitted = isUnique ? null : new HashSet<string>(StringComparer.Ordinal);
	}

	/// <summary>Say whether nothing more is read, because of the time or the limit.</summary>
	public bool IsOver { get; private set; }

	/// <summary>Read all that a pattern stands for.</summary>
	public void Start(PathPattern pattern)
	{
		if (IsFinished(pattern.Text))
			return;
		uint type = _files.DriveType(pattern.Root);
		if (type != FixedDrive && type != NoDrive)
		{
			Skip(pattern.Text, pattern.Root + " is no fixed disk of this host, and others are not read");
			return;
		}
		IOpenFile root = null;
		int error = type == NoDrive
			? FileErrors.PathNotFound
			: _files.Open(null, pattern.Root, FileUse.Content, out root);
		if (error != 0)
		{
			NoteUnopened(pattern.Root, error);
			return;
		}
		using (root)
		{
			if (pattern.Names.Length == 0)
			{
				Take(root, pattern.Root, FileAttribute.Directory, 0, _watch.Recurse, 0);
				return;
			}
			Descend(root, pattern.Root.TrimEnd('\\'), pattern, 0, 0);
		}
	}

	/// <summary>Go on below an open directory with the names of a pattern from index on.</summary>
	private void Descend(IOpenFile directory, string path, PathPattern pattern, int index, int depth)
	{
		string name = pattern.Names[index];
		bool isLast = index == pattern.Names.Length - 1;
		if (IsFinished(path))
			return;
		if (!Glob.IsGlob(name))
		{
			FindName(directory, path, pattern, index, depth);
			return;
		}
		bool isAnyDepth = name == PathPattern.AnyDepth;
		if (isAnyDepth && !isLast)
			Descend(directory, path, pattern, index + 1, depth);
		EachName(directory, path, delegate(DirectoryItem item)
		{
			if (isLast && (isAnyDepth || Glob.Matches(name, item.Name)))
				Visit(directory, path, item, isAnyDepth ? -1 : _watch.Recurse, depth);
			else if (!isLast && isAnyDepth)
				Enter(directory, path, item, pattern, index, depth + 1);
			else if (!isLast && Glob.Matches(name, item.Name))
				EnterShared(directory, path, item, pattern, index + 1, depth + 1);
		});
	}

	/// <summary>
	/// Go on with a part of the limit only: an account that fills its own directory does not keep those of the others,
	/// which a wildcard stands for as well, from being read.
	/// </summary>
	private void EnterShared(
		IOpenFile directory, string path, DirectoryItem item, PathPattern pattern, int index, int depth)
	{
		long others = Math.Max(0, _left - _share);
		_left -= others;
		Enter(directory, path, item, pattern, index, depth);
		IsOver = IsOver && (others == 0 || _deadline.Passed);
		_left = Math.Max(0, _left) + others;
	}

	/// <summary>Find a name that a person wrote, with the case that the file system has.</summary>
	private void FindName(IOpenFile directory, string path, PathPattern pattern, int index, int depth)
	{
		IOpenFile child;
		string childPath = path + "\\" + pattern.Names[index];
		int error = _files.Find(directory, pattern.Names[index], FileUse.Attributes, out child);
		if (error != 0)
		{
			NoteUnopened(childPath, error);
			return;
		}
		DirectoryItem item = new DirectoryItem();
		using (child)
		{
			FileFacts facts;
			error = child.Query(out facts);
			if (error != 0)
			{
				NoteUnopened(childPath, error);
				return;
			}
			item.Attributes = facts.Attributes & ~FileAttribute.RecallOnOpen;
			item.Id = facts.Id;
			item.Name = StoredName(child, pattern.Names[index]);
		}
		if (index == pattern.Names.Length - 1)
			Visit(directory, path, item, _watch.Recurse, depth);
		else
			Enter(directory, path, item, pattern, index + 1, depth + 1);
	}

	private static string StoredName(IOpenFile file, string written)
	{
		string full;
		if (file.FinalPath(out full) != 0)
			return written;
		string name = full.Substring(full.LastIndexOf('\\') + 1);
		// A hard link or an 8.3 name may be shown by its other name.
		return string.Equals(name, written, StringComparison.OrdinalIgnoreCase) ? name : written;
	}

	/// <summary>Go on in a directory that a pattern names; what is no directory ends there.</summary>
	private void Enter(
		IOpenFile parent, string parentPath, DirectoryItem item, PathPattern pattern, int index, int depth)
	{
		string path = parentPath + "\\" + item.Name;
		bool isGlob = Glob.IsGlob(pattern.Names[index - 1]) || pattern.Names[index] == PathPattern.AnyDepth;
		if ((item.Attributes & FileAttribute.Directory) == 0 || depth > MostLevels ||
			(isGlob && _filter.IsExcluded(path, item.Name)))
			return;
		IOpenFile child;
		int error = _files.Open(parent, item.Name, FileUse.Content, out child);
		if (error == FileErrors.AccessDenied)
		{
			// Names can be found in a directory that may not be listed.
			error = _files.Open(parent, item.Name, FileUse.Attributes, out child);
		}
		if (error != 0)
		{
			NoteUnopened(path, error);
			return;
		}
		using (child)
		{
			FileFacts facts = FactsOf(child, path, item);
			if (facts == null)
				return;
			if (((item.Attributes | facts.Attributes) & FileAttribute.Reparse) != 0)
			{
				Entry entry = _reader.Read(child, path, item.Attributes);
				if (entry != null && entry.Kind == EntryKinds.Link)
				{
					EnterLink(child, entry, pattern, index, depth);
					return;
				}
			}
			if ((facts.Attributes & FileAttribute.Directory) != 0)
				Descend(child, path, pattern, index, depth);
		}
	}

	/// <summary>
	/// Go on in a volume that is mounted in a directory, as the profile of an account that is signed in can be. Any
	/// other link ends there: accounts could lead a watch elsewhere.
	/// </summary>
	private void EnterLink(IOpenFile link, Entry entry, PathPattern pattern, int index, int depth)
	{
		byte[] data;
		string target = link.Reparse(out data) == 0 ? ReparsePoint.Parse(data).Target : null;
		bool isAnyDepth = pattern.Names[index - 1] == PathPattern.AnyDepth;
		IOpenFile volume;
		if (!isAnyDepth && target != null && Volume.IsMatch(target) &&
			_files.Open(null, target.Substring(4), FileUse.Content, out volume) == 0)
		{
			using (volume)
				Descend(volume, entry.Path, pattern, index, depth);
			return;
		}
		if (!Glob.IsGlob(pattern.Names[index - 1]))
			Emit(entry);
		Skip(entry.Path, "it is a link, which is not followed; watch the path that it leads to");
	}

	/// <summary>Read a listed name, and what is below it.</summary>
	private void Visit(IOpenFile directory, string directoryPath, DirectoryItem item, int levels, int depth)
	{
		string path = directoryPath + "\\" + item.Name;
		bool isDirectory = (item.Attributes & FileAttribute.Directory) != 0;
		if (IsFinished(path) || _filter.IsExcluded(path, item.Name) ||
			(!isDirectory && !_filter.IsIncluded(item.Name)))
			return;
		if (!isDirectory && _emitted != null && _emitted.Contains(Entry.Identity(path)))
			return;
		bool isListed = isDirectory && levels != 0;
		bool isHere = !FileAttribute.IsRemote(item.Attributes, item.Attributes);
		FileUse use = isListed && isHere ? FileUse.Content : FileUse.Attributes;
		IOpenFile file;
		int error = _files.Open(directory, item.Name, use, out file);
		int contentError = 0;
		if (error != 0 && use == FileUse.Content && !FileErrors.IsAbsent(error))
		{
			contentError = error;
			error = _files.Open(directory, item.Name, FileUse.Attributes, out file);
		}
		if (error != 0)
		{
			NoteUnopened(path, error);
			return;
		}
		using (file)
		{
			if (!isListed || FactsOf(file, path, item) != null)
				Take(file, path, item.Attributes, contentError, levels, depth);
		}
	}

	/// <summary>
	/// Return the facts of an open directory; null, with the reason in the coverage, when it is not the listed one
	/// any more: even a system that follows links by itself does not lead out of the watch.
	/// </summary>
	private FileFacts FactsOf(IOpenFile file, string path, DirectoryItem item)
	{
		FileFacts facts;
		int error = file.Query(out facts);
		if (error != 0)
		{
			NoteUnopened(path, error);
			return null;
		}
		if (IsId(item.Id) && IsId(facts.Id) && item.Id != facts.Id)
		{
			Skip(path, "it was replaced after its directory was listed");
			return null;
		}
		return facts;
	}

	/// <summary>ReFS has longer ids, and FILE_INVALID_FILE_ID (-1) for what does not fit.</summary>
	private static bool IsId(ulong id)
	{
		return id != 0 && id != ulong.MaxValue;
	}

	private void Take(IOpenFile file, string path, uint listed, int contentError, int levels, int depth)
	{
		Entry entry = _reader.Read(file, path, listed);
		if (entry == null)
			return;
		Emit(entry);
		if (entry.Kind != EntryKinds.Directory || levels == 0)
			return;
		if (contentError != 0)
		{
			Skip(path, "the names in it cannot be read: " + ContentReader.Describe(contentError));
		}
		else if (FileAttribute.IsRemote(listed, listed))
		{
			Skip(path, "the names in it are not on this host, and reading would fetch them");
		}
		else if (depth >= MostLevels)
		{
			Skip(path, "it is below " + MostLevels + " other directories; watch it by a path of its own");
		}
		else
		{
			string parent = path.TrimEnd('\\');
			EachName(file, parent, delegate(DirectoryItem item)
			{
				Visit(file, parent, item, levels < 0 ? -1 : levels - 1, depth + 1);
			});
		}
	}

	private void EachName(IOpenFile directory, string path, Action<DirectoryItem> act)
	{
		List<DirectoryItem> items = new List<DirectoryItem>();
		int error;
		bool isFirst = true;
		while ((error = directory.List(items, isFirst)) == 0)
		{
			isFirst = false;
			foreach (DirectoryItem item in items)
			{
				if (IsOver)
					return;
				// No file system has it; a name with it would be taken for a path.
				if (item.Name.IndexOf('\\') < 0)
					act(item);
			}
			items.Clear();
		}
		if (error != FileErrors.NoMoreFiles && !FileErrors.IsAbsent(error))
			Skip(path, "the names in it cannot be read: " + ContentReader.Describe(error));
	}

	private bool IsFinished(string path)
	{
		if (!IsOver && _deadline.Passed)
		{
			IsOver = true;
			Skip(path, _deadline.Reason + "; this and what follows was not read");
		}
		if (!IsOver && _left <= 0)
		{
			IsOver = true;
			Skip(path, "there are too many files; this and what follows was not read, so limit the paths of the watch");
		}
		return IsOver;
	}

	private void Emit(Entry entry)
	{
		if (_emitted != null && !_emitted.Add(Entry.Identity(entry.Path)))
			return;
		_left--;
		_coverage.Examined++;
		_emit(entry);
	}

	private void NoteUnopened(string path, int error)
	{
		if (!FileErrors.IsAbsent(error))
			Skip(path, "it cannot be opened: " + ContentReader.Describe(error));
	}

	private void Skip(string path, string reason)
	{
		_coverage.Skip(Printable.ShowPath(path), reason);
	}
}
}
