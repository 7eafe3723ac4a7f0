// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Security.Cryptography;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Lines
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;

/// <summary>An entry as a line of the baseline has it.</summary>
public sealed class RecordedEntry
{
	public readonly Entry Entry;
	public readonly string Watch;

	/// <summary>
	/// Empty, "m:ALERT REASON" for an entry that is suspicious by itself, "a:ALERT REASON" once that is accepted.
	/// </summary>
	public readonly string Mark;

	public RecordedEntry(Entry entry, string watch, string mark)
	{
		Entry = entry;
		Watch = watch;
		Mark = mark;
	}
}

/// <summary>
/// The lines that a baseline keeps: ["SPACE","PATH","KIND","WATCH",{ATTRIBUTES},"MARK"] in compact ASCII JSON.
/// SPACE and PATH are the key. No key begins another, so that the bytes of whole lines order the keys, too.
/// </summary>
public static class Lines
{
	public const string Suspicious = "m:";
	public const string Accepted = "a:";

	// Longer than any that the host can make: a path of 32,767 characters, each six bytes, and its attributes.
	public const int Longest = 4 << 20;

	/// <summary>Return the line without its end.</summary>
	public static byte[] Write(Entry entry, string watch, string mark)
	{
		StringBuilder text = new StringBuilder(256);
		text.Append("[\"").Append(Space(entry.Kind)).Append("\",");
		JsonWriter.Append(text, entry.Path, 0);
		text.Append(",\"").Append(entry.Kind).Append("\",");
		JsonWriter.Append(text, watch, 0);
		JsonWriter.Append(text.Append(','), entry.Attributes, 0);
		JsonWriter.Append(text.Append(','), mark, 0);
		return Encoding.ASCII.GetBytes(text.Append(']').ToString());
	}

	/// <summary>Return what a line says. Raises FormatException when it is none.</summary>
	public static RecordedEntry Parse(byte[] line)
	{
		List<object> fields = Json.Parse(Encoding.ASCII.GetString(line)) as List<object>;
		if (fields == null || fields.Count != 6)
			throw new FormatException("a line of the baseline is not a list of six");
		string path = fields[1] as string;
		string kind = fields[2] as string;
		string watch = fields[3] as string;
		Dictionary<string, object> attributes = fields[4] as Dictionary<string, object>;
		string mark = fields[5] as string;
		if (path == null || kind == null || watch == null || attributes == null || mark == null)
			throw new FormatException("a line of the baseline has a field of another type");
		return new RecordedEntry(new Entry(kind, path, attributes), watch, mark);
	}

	/// <summary>Return the hive of an account (HKU\SID) that a line is from; null for any other.</summary>
	public static string Hive(byte[] line)
	{
		const int start = 13;
		bool isOfHive = line.Length > start && Encoding.ASCII.GetString(line, 5, start - 5) == "\"HKU\\\\S-";
		int end = start;
		while (isOfHive && end < line.Length && line[end] != '"' && line[end] != '\\' && line[end] != '_')
			end++;
		return isOfHive ? "HKU\\S-" + Encoding.ASCII.GetString(line, start, end - start) : null;
	}

	/// <summary>Order two lines by their bytes.</summary>
	public static int Compare(byte[] left, byte[] right)
	{
		int length = Math.Min(left.Length, right.Length);
		for (int i = 0; i < length; i++)
		{
			int difference = left[i] - right[i];
			if (difference != 0)
				return difference;
		}
		return left.Length - right.Length;
	}

	/// <summary>Order two lines by their keys; 0 for the same key.</summary>
	public static int CompareKeys(byte[] left, byte[] right)
	{
		int length = KeyLength(left);
		if (length == KeyLength(right) && SameBytes(left, right, length))
			return 0;
		return Compare(left, right);
	}

	public static bool Same(byte[] left, byte[] right)
	{
		return left.Length == right.Length && SameBytes(left, right, left.Length);
	}

	/// <summary>Say whether a line's entry is suspicious by itself, or was until that was accepted.</summary>
	public static bool IsMarked(byte[] line)
	{
		// An unmarked one ends with ,""]
		return line.Length < 3 || line[line.Length - 3] != '"' || line[line.Length - 4] != ',';
	}

	/// <summary>Return the number of bytes of the key, the quote that ends it included.</summary>
	public static int KeyLength(byte[] line)
	{
		int position = 6;
		while (position < line.Length && line[position] != '"')
			position += line[position] == '\\' ? 2 : 1;
		return Math.Min(position + 1, line.Length);
	}

	private static bool SameBytes(byte[] left, byte[] right, int length)
	{
		for (int i = 0; i < length; i++)
		{
			if (left[i] != right[i])
				return false;
		}
		return true;
	}

	// A key and a value can have the same path.
	private static char Space(string kind)
	{
		return kind == EntryKinds.Key ? 'k' : kind == EntryKinds.Value ? 'v' : 'f';
	}
}

/// <summary>Reads lines that end with a line feed, and the digest of all that was read.</summary>
public sealed class LineReader : IDisposable
{
	private readonly Stream _stream;
	private readonly SHA256 _hash;
	private readonly int _longest;
	private readonly byte[] _buffer = new byte[1 << 16];
	private int _position;
	private int _length;

	/// <summary>stream: read from where it is, and closed with this. longest: bytes of a line.</summary>
	public LineReader(Stream stream, int longest, bool digests)
	{
		_stream = stream;
		_longest = longest;
		_hash = digests ? SHA256.Create() : null;
	}

	/// <summary>Return the next line without its end, null after the last. Raises FormatException.</summary>
	public byte[] Next()
	{
		byte[] line = null;
		while (true)
		{
			if (_position == _length && !Fill())
			{
				if (line != null)
					throw new FormatException("the last line is cut off");
				return null;
			}
			int end = Array.IndexOf(_buffer, (byte)'\n', _position, _length - _position);
			int stop = end < 0 ? _length : end;
			line = Appended(line, stop - _position);
			_position = end < 0 ? _length : end + 1;
			if (end >= 0)
				return line;
		}
	}

	/// <summary>Return the SHA-256 of everything, once Next returned null.</summary>
	public string Digest()
	{
		return BitConverter.ToString(_hash.Hash).Replace("-", "").ToLowerInvariant();
	}

	public void Dispose()
	{
		if (_hash != null)
			((IDisposable)_hash).Dispose();
		_stream.Dispose();
	}

	private bool Fill()
	{
		_position = 0;
		_length = _stream.Read(_buffer, 0, _buffer.Length);
		if (_hash == null)
			return _length > 0;
		if (_length > 0)
		{
			_hash.TransformBlock(_buffer, 0, _length, null, 0);
			return true;
		}
		_hash.TransformFinalBlock(_buffer, 0, 0);
		return false;
	}

	private byte[] Appended(byte[] line, int count)
	{
		int before = line == null ? 0 : line.Length;
		if (before + count > _longest)
			throw new FormatException("a line is longer than " + _longest + " bytes");
		byte[] whole = new byte[before + count];
		if (before > 0)
			Buffer.BlockCopy(line, 0, whole, 0, before);
		Buffer.BlockCopy(_buffer, _position, whole, before, count);
		return whole;
	}
}

/// <summary>Sorts lines in bounded memory: what is more than a run of them goes to temporary files.</summary>
public sealed class Sorter : IDisposable
{
	private readonly Func<Stream> _temporary;
	private readonly long _room;
	private readonly List<Stream> _runs = new List<Stream>();
	private List<byte[]> _lines = new List<byte[]>();
	private long _bytes;

	/// <summary>
	/// temporary: makes an empty buffered file to write, read and seek in, gone once it is closed. room: bytes to
	/// keep in memory; each line costs some 40 bytes more.
	/// </summary>
	public Sorter(Func<Stream> temporary, long room)
	{
		_temporary = temporary;
		_room = room;
	}

	/// <summary>Raises IOException when a temporary file cannot be written.</summary>
	public void Add(byte[] line)
	{
		_lines.Add(line);
		_bytes += line.Length + 40;
		if (_bytes > _room)
			Spill();
	}

	/// <summary>Return all lines in order, once.</summary>
	public IEnumerable<byte[]> Sorted()
	{
		_lines.Sort(Lines.Compare);
		if (_runs.Count == 0)
			return _lines;
		return Merged();
	}

	public void Dispose()
	{
		foreach (Stream run in _runs)
			run.Dispose();
		_runs.Clear();
		_lines = new List<byte[]>();
	}

	private void Spill()
	{
		_lines.Sort(Lines.Compare);
		Stream run = _temporary();
		_runs.Add(run);
		byte[] end = { (byte)'\n' };
		foreach (byte[] line in _lines)
		{
			run.Write(line, 0, line.Length);
			run.Write(end, 0, 1);
		}
		run.Flush();
		run.Position = 0;
		_lines = new List<byte[]>();
		_bytes = 0;
	}

	private IEnumerable<byte[]> Merged()
	{
		List<IEnumerator<byte[]>> sources = new List<IEnumerator<byte[]>>();
		foreach (Stream run in _runs)
			sources.Add(Read(run).GetEnumerator());
		sources.Add(_lines.GetEnumerator());
		sources.RemoveAll(delegate(IEnumerator<byte[]> source) { return !source.MoveNext(); });
		while (sources.Count > 0)
		{
			int least = 0;
			for (int i = 1; i < sources.Count; i++)
			{
				if (Lines.Compare(sources[i].Current, sources[least].Current) < 0)
					least = i;
			}
			yield return sources[least].Current;
			if (!sources[least].MoveNext())
				sources.RemoveAt(least);
		}
	}

	private static IEnumerable<byte[]> Read(Stream run)
	{
		LineReader reader = new LineReader(run, Lines.Longest, false);
		byte[] line;
		while ((line = reader.Next()) != null)
			yield return line;
	}
}
}
