// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.ReparsePoint
{
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
            {
                return new ReparsePoint(0, null);
            }
            uint tag = BitConverter.ToUInt32(data, 0);
            if (tag == MountPoint)
            {
                return new ReparsePoint(tag, Name(data, MountPointPath));
            }
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
            {
                return null;
            }
            int start = path + BitConverter.ToUInt16(data, SubstituteNameOffset);
            int length = BitConverter.ToUInt16(data, SubstituteNameLength);
            if (start + length > end || length % 2 != 0)
            {
                return null;
            }
            char[] characters = new char[length / 2];
            Buffer.BlockCopy(data, start, characters, 0, length);
            return new string(characters);
        }
    }
}
