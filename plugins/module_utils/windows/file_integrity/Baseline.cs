// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Security.Cryptography;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Baseline
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Header;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Lines;

/// <summary>
/// A baseline that was read through: its digest, which is the seal, its header and the number of its entries. The
/// file stays open, so that nobody else can write to it before the lines are read.
/// </summary>
public sealed class Baseline : IDisposable
{
	private readonly Stream _stream;
	private readonly string _path;

	public readonly string Seal;
	public readonly Header Header;

	private Baseline(Stream stream, string path, string seal, Header header)
	{
		_stream = stream;
		_path = path;
		Seal = seal;
		Header = header;
	}

	/// <summary>
	/// Read a baseline through; null when there is none. Raises DamagedException for one that is cut off or is no
	/// baseline, which has the digest as Data["seal"] where the file could be read.
	/// </summary>
	public static Baseline Open(StateDirectory state, string name)
	{
		Stream stream = state == null ? null : state.OpenRead(name);
		if (stream == null)
			return null;
		string path = state.Path + "\\" + name;
		try
		{
			return Read(stream, path);
		}
		catch (IOException error)
		{
			stream.Dispose();
			throw new DamagedException("the baseline " + path + " cannot be read: " + error.Message, error);
		}
		catch
		{
			stream.Dispose();
			throw;
		}
	}

	/// <summary>Return the lines in order. Raises DamagedException for one that is not in order.</summary>
	public IEnumerable<byte[]> Entries()
	{
		_stream.Position = 0;
		LineReader reader = new LineReader(_stream, Lines.Longest, false);
		reader.Next();
		byte[] before = null;
		for (long i = 0; i < Header.Entries; i++)
		{
			byte[] line = reader.Next();
			if (line == null || (before != null && Lines.Compare(before, line) >= 0))
				throw new DamagedException("the baseline " + _path + " is damaged: its lines are not in order");
			before = line;
			yield return line;
		}
	}

	/// <summary>Copy the whole file.</summary>
	public void CopyTo(Stream stream)
	{
		_stream.Position = 0;
		_stream.CopyTo(stream);
	}

	public void Dispose()
	{
		_stream.Dispose();
	}

	private static Baseline Read(Stream stream, string path)
	{
		LineReader reader = new LineReader(stream, Lines.Longest, true);
		byte[] first = null;
		byte[] last = null;
		long count = 0;
		try
		{
			byte[] line;
			while ((line = reader.Next()) != null)
			{
				first = first ?? line;
				last = line;
				count++;
			}
		}
		catch (FormatException error)
		{
			throw new DamagedException("the baseline " + path + " is damaged: " + error.Message, error);
		}
		if (count < 2)
			throw new DamagedException("the baseline " + path + " is damaged: it is cut off");
		Header header = Header.Of(Parsed(first), path);
		Dictionary<string, object> end = Parsed(last);
		object entries;
		if (end == null || !end.TryGetValue("entries", out entries) || !(entries is long)
			|| (long)entries != count - 2)
			throw new DamagedException("the baseline " + path + " is damaged: it is cut off");
		header.Entries = count - 2;
		return new Baseline(stream, path, reader.Digest(), header);
	}

	private static Dictionary<string, object> Parsed(byte[] line)
	{
		try
		{
			return Json.Parse(Encoding.ASCII.GetString(line)) as Dictionary<string, object>;
		}
		catch (FormatException)
		{
			return null;
		}
	}
}

/// <summary>
/// Writes a baseline: the header, the lines in order, and a last line that says how many there are.
/// </summary>
public sealed class BaselineWriter
{
	private readonly Stream _stream;
	private readonly SHA256 _hash = SHA256.Create();
	private readonly byte[] _buffer = new byte[1 << 16];
	private int _used;
	private byte[] _before;

	public long Entries { get; private set; }

	public BaselineWriter(Stream stream, Header header)
	{
		_stream = stream;
		Append(Encoding.ASCII.GetBytes(Json.Write(header.ToData())));
	}

	public void Add(byte[] line)
	{
		if (_before != null && Lines.Compare(_before, line) >= 0)
			throw new InvalidOperationException("lines of a baseline are written in order");
		_before = line;
		Entries++;
		Append(line);
	}

	/// <summary>Write the last line; return the seal.</summary>
	public string Finish()
	{
		Dictionary<string, object> end = new Dictionary<string, object> { { "entries", Entries } };
		Append(Encoding.ASCII.GetBytes(Json.Write(end)));
		Flush();
		_hash.TransformFinalBlock(_buffer, 0, 0);
		return BitConverter.ToString(_hash.Hash).Replace("-", "").ToLowerInvariant();
	}

	private void Append(byte[] line)
	{
		if (_used + line.Length + 1 > _buffer.Length)
			Flush();
		if (line.Length + 1 > _buffer.Length)
		{
			Write(line, line.Length);
		}
		else
		{
			Buffer.BlockCopy(line, 0, _buffer, _used, line.Length);
			_used += line.Length;
		}
		_buffer[_used++] = (byte)'\n';
	}

	private void Flush()
	{
		Write(_buffer, _used);
		_used = 0;
	}

	private void Write(byte[] bytes, int count)
	{
		_hash.TransformBlock(bytes, 0, count, null, 0);
		_stream.Write(bytes, 0, count);
	}
}
}
