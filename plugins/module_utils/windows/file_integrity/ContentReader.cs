// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Globalization;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.ContentReader
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Hashing;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Deadline;

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
                {
                    break;
                }
                count = (int)Math.Min(count, size - position);
                if (position == 0)
                {
                    content.IsExecutable = count > 64 && _buffer[0] == 'M' && _buffer[1] == 'Z';
                }
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
                {
                    index++;
                }
                if (index == wanted.Length)
                {
                    return true;
                }
            }
            return false;
        }
    }
}
