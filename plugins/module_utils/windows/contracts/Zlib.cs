// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.IO;
using System.IO.Compression;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Zlib
{
	/// <summary>The zlib format (RFC 1950) as Python's zlib module reads and writes it.</summary>
	public static class Zlib
	{
		private const int ChecksumLength = 4;

		// Deflate with a window of 32 KiB, fastest compression (RFC 1950, 2.2).
		private static readonly byte[] Header = { 0x78, 0x01 };

		public static byte[] Compress(byte[] content)
		{
			MemoryStream packed = new MemoryStream();
			packed.Write(Header, 0, Header.Length);
			using (DeflateStream deflate = new DeflateStream(packed, CompressionLevel.Fastest, true))
				deflate.Write(content, 0, content.Length);
			uint sum = Adler32(content, content.Length);
			for (int shift = 24; shift >= 0; shift -= 8)
				packed.WriteByte((byte)(sum >> shift));
			return packed.ToArray();
		}

		/// <summary>
		/// Decompress what begins at <paramref name="start"/> and ends with the array. FormatException when it is not
		/// one whole stream, or holds more than <paramref name="limit"/> bytes.
		/// </summary>
		public static byte[] Decompress(byte[] packed, int start, int limit)
		{
			int length = packed.Length - start - Header.Length - ChecksumLength;
			if (length < 0)
				throw new FormatException("the compressed data are cut off");
			bool isDeflate = (packed[start] & 0x0F) == 8 && (packed[start] * 256 + packed[start + 1]) % 31 == 0;
			if (!isDeflate || (packed[start + 1] & 0x20) != 0)
				throw new FormatException("the compressed data have an incorrect header");
			MemoryStream content = new MemoryStream();
			try
			{
				using (MemoryStream source = new MemoryStream(packed, start + Header.Length, length))
				using (DeflateStream inflate = new DeflateStream(source, CompressionMode.Decompress))
					Copy(inflate, content, limit);
			}
			catch (InvalidDataException error)
			{
				throw new FormatException("the compressed data are damaged", error);
			}
			catch (IOException error)
			{
				// Mono's word for the same.
				throw new FormatException("the compressed data are damaged", error);
			}
			uint sum = 0;
			for (int index = packed.Length - ChecksumLength; index < packed.Length; index++)
				sum = (sum << 8) | packed[index];
			// Also where it is cut off, or goes on after its end: DeflateStream passes over both.
			if (sum != Adler32(content.GetBuffer(), (int)content.Length))
				throw new FormatException("the compressed data are damaged or not complete");
			return content.ToArray();
		}

		private static void Copy(Stream source, MemoryStream target, int limit)
		{
			byte[] buffer = new byte[65536];
			int count;
			while ((count = source.Read(buffer, 0, buffer.Length)) > 0)
			{
				if (target.Length + count > limit)
					throw new FormatException("the compressed data are too large");
				target.Write(buffer, 0, count);
			}
		}

		private static uint Adler32(byte[] content, int length)
		{
			uint low = 1;
			uint high = 0;
			int index = 0;
			while (index < length)
			{
				// The most bytes whose sums stay below 2^32 (as zlib's NMAX).
				int end = Math.Min(index + 5552, length);
				for (; index < end; index++)
				{
					low += content[index];
					high += low;
				}
				low %= 65521;
				high %= 65521;
			}
			return (high << 16) | low;
		}
	}
}
