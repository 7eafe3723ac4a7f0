// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EvtxFile
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.BinXmlData;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EvtxChunk;

/// <summary>
/// Reads event logs in the format of Windows Vista and later (.evtx), without Windows: exports, archived logs and
/// copies of logs in use. Format: https://github.com/libyal/libevtx/blob/main/documentation and [MS-EVEN6] 2.2.12.
/// </summary>
/// <remarks>
/// Nothing in a file makes it throw; errors of the stream do. It holds one chunk of 64 KiB, and a chunk that is made to
/// cost more than any real one is given up where BinXmlData's limits say.
/// </remarks>
public sealed class EvtxFile
{
	private const int HeaderSize = 4096;
	private const int ChecksumOffset = 124;
	private const int FlagsOffset = 120;
	private const int CountOffset = 42;

	// A file may be large and have no records at all. So many chunks are read however little time there is.
	private const int Unstopped = 1024;

	private readonly Stream _stream;
	private readonly Func<bool> _isOver;

	/// <summary>Whether reading ended because there was no more time.</summary>
	public bool IsStopped { get; private set; }

	/// <summary>Take a stream that can seek; the caller closes it.</summary>
	/// <param name="isOver">Whether there is no more time; asked where there are no records. Null for no limit.</param>
	public EvtxFile(Stream stream, Func<bool> isOver = null)
	{
		_stream = stream;
		_isOver = isOver;
	}

	/// <summary>
	/// Return the records, oldest chunk first. What cannot be read is counted and left out. Chunks beyond the number in
	/// the header are read, too: it is old in the copy of a log in use.
	/// </summary>
	public IEnumerable<EventRecord> Read(EvtxProblems problems)
	{
		EvtxChunk chunk = new EvtxChunk(problems);
		int expected = ReadHeader(chunk.Data.Bytes, problems);
		long count = Math.Max(0, (_stream.Length - HeaderSize + BinXmlData.Size - 1) / BinXmlData.Size);
		long first = OldestChunk(chunk.Data.Bytes, count);
		long empty = 0;
		for (long turn = 0; turn < count; turn++)
		{
			long index = (first + turn) % count;
			IsStopped = IsOver(empty++);
			if (IsStopped)
				yield break;
			if (!chunk.Load(Position(index), Fill(chunk.Data.Bytes, Position(index), BinXmlData.Size)))
			{
				if (index < expected)
					chunk.LoseChunk(Position(index), "a chunk of the header is empty");
				continue;
			}
			EventRecord record;
			while ((record = chunk.Next()) != null)
			{
				empty = 0;
				yield return record;
			}
		}
		for (long index = count; index < expected; index++)
			chunk.LoseChunk(_stream.Length, "the file ends before the last chunk of the header");
	}

	/// <summary>Return how many chunks there are at least.</summary>
	private int ReadHeader(byte[] bytes, EvtxProblems problems)
	{
		int length = Fill(bytes, 0, HeaderSize);
		if (length < HeaderSize || BitConverter.ToInt64(bytes, 0) != 0x00656C6946666C45)
			problems.Explain(0, "the file does not begin with the header of an event log");
		else if (BitConverter.ToUInt32(bytes, ChecksumOffset) != Crc32.Next(0, bytes, 0, FlagsOffset))
			problems.Checksums++;
		else
			return BitConverter.ToUInt16(bytes, CountOffset);
		return 0;
	}

	/// <summary>Return where to begin: a log that is full goes on in its oldest chunk.</summary>
	private long OldestChunk(byte[] bytes, long count)
	{
		long oldest = 0;
		ulong lowest = ulong.MaxValue;
		for (long index = 0; index < count && !IsOver(index); index++)
		{
			int length = Fill(bytes, Position(index), 40);
			ulong firstId = BitConverter.ToUInt64(bytes, 24);
			// An empty chunk has no highest id.
			bool hasRecords = length == 40 && EvtxChunk.HasSignature(bytes) && BitConverter.ToInt64(bytes, 32) != -1;
			if (!hasRecords || firstId >= lowest)
				continue;
			lowest = firstId;
			oldest = index;
		}
		return oldest;
	}

	private bool IsOver(long chunks)
	{
		return _isOver != null && chunks >= Unstopped && chunks % 256 == 0 && _isOver();
	}

	private static long Position(long chunk)
	{
		return HeaderSize + chunk * BinXmlData.Size;
	}

	private int Fill(byte[] bytes, long offset, int size)
	{
		_stream.Seek(offset, SeekOrigin.Begin);
		int length = 0;
		int read;
		while (length < size && (read = _stream.Read(bytes, length, size - length)) > 0)
			length += read;
		return length;
	}
}
}
