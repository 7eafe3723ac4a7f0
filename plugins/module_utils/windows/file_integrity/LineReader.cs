// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Security.Cryptography;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.LineReader
{
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
                    {
                        throw new FormatException("the last line is cut off");
                    }
                    return null;
                }
                int end = Array.IndexOf(_buffer, (byte)'\n', _position, _length - _position);
                int stop = end < 0 ? _length : end;
                line = Appended(line, stop - _position);
                _position = end < 0 ? _length : end + 1;
                if (end >= 0)
                {
                    return line;
                }
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
            {
                ((IDisposable)_hash).Dispose();
            }
            _stream.Dispose();
        }

        private bool Fill()
        {
            _position = 0;
            _length = _stream.Read(_buffer, 0, _buffer.Length);
            if (_hash == null)
            {
                return _length > 0;
            }
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
            {
                throw new FormatException("a line is longer than " + _longest + " bytes");
            }
            byte[] whole = new byte[before + count];
            if (before > 0)
            {
                Buffer.BlockCopy(line, 0, whole, 0, before);
            }
            Buffer.BlockCopy(_buffer, _position, whole, before, count);
            return whole;
        }
    }
}
