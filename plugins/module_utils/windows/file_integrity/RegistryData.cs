// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryData
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

    /// <summary>The type, digest and text of the data of registry values. Not for use by several threads.</summary>
    public sealed class RegistryData : IDisposable
    {
        /// <summary>What stands between the strings of a REG_MULTI_SZ; no file name can hold it.</summary>
        public const string Separator = " | ";

        /// <summary>In bytes. Longer text is known by its digest only.</summary>
        public const int LongestText = 4096;

        // Longer binary data is known by its digest only.
        private const int LongestBinary = 64;

        private static readonly string[] Types =
        {
            "REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN", "REG_LINK",
            "REG_MULTI_SZ", "REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR", "REG_RESOURCE_REQUIREMENTS_LIST",
            "REG_QWORD"
        };

        private static readonly Regex SecretName = new Regex(
            "pass(word|wd|phrase)|pwd|secret|token|credential|api[-_ ]?key|private[-_ ]?key|access[-_ ]?key",
            RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

        // A path, a program, or options.
        private static readonly Regex Command = new Regex(
            @"\\|\.(?:exe|dll|com|bat|cmd|vbs|js|ps1|scr|sys|hta)\b|\s[-/]\w",
            RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

        private const string SecretWords = "(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|access[-_]?key)";

        // One of them is in all that SecretOption matches.
        private static readonly string[] SecretHints = { "pass", "pwd", "secret", "token", "key" };

        // --password X, /password:X; pwd=X. Not a path or address: whoever names its option "token" must not hide it.
        private static readonly Regex SecretOption = new Regex(
            @"((?:(?<=^|\s)(?:--?|/)[\w-]{0,40}?" + SecretWords + @"(?:[=:]|\s+)|\b\w{0,40}?" + SecretWords +
            @"\s?[=:]\s?)[""']?)(?![^\s""'|]*(?::[\\/]|\\\\))[^\s""'|]+",
            RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

        private static readonly Regex SecretInAddress = new Regex(
            @"(\w://[^\s/:@]{1,100}:)[^\s/@]+(?=@)", RegexOptions.CultureInvariant);

        private const string Mask = "$1***";

        private readonly HashAlgorithm _sha256 = SHA256.Create();

        /// <summary>Return the name of a type, and TYPE_0xN for one that Windows does not define.</summary>
        public static string TypeName(uint type)
        {
            if (type < Types.Length)
            {
                return Types[type];
            }
            return "TYPE_0x" + type.ToString("x", CultureInfo.InvariantCulture);
        }

        /// <summary>Return the SHA-256 in lower-case hexadecimal.</summary>
        public string Digest(byte[] data)
        {
            byte[] digest = _sha256.ComputeHash(data);
            char[] text = new char[digest.Length * 2];
            for (int index = 0; index < digest.Length; index++)
            {
                text[2 * index] = Digit(digest[index] >> 4);
                text[2 * index + 1] = Digit(digest[index] & 15);
            }
            return new string(text);
        }

        /// <summary>
        /// Return short data as text that can be shown; null for long data and for values whose name says that they
        /// hold a secret. Passwords in command lines are masked.
        /// </summary>
        public static string Show(string name, uint type, byte[] data)
        {
            if (data == null || data.Length > LongestText || IsSecret(name, type, data))
            {
                return null;
            }
            switch (type)
            {
                case 1:
                case 2:
                    return Safe(Text(data, data.Length));
                case 7:
                    return Safe(string.Join(Separator, Strings(data)));
                case 4:
                    if (data.Length == 4)
                    {
                        return BitConverter.ToUInt32(data, 0).ToString(CultureInfo.InvariantCulture);
                    }
                    break;
                case 11:
                    if (data.Length == 8)
                    {
                        return BitConverter.ToUInt64(data, 0).ToString(CultureInfo.InvariantCulture);
                    }
                    break;
            }
            return data.Length <= LongestBinary ? Hex(data) : null;
        }

        /// <summary>Return UTF-16 text as it is, without the NUL at its end.</summary>
        public static string Text(byte[] data, int length)
        {
            char[] characters = new char[length / 2];
            Buffer.BlockCopy(data, 0, characters, 0, characters.Length * 2);
            int end = characters.Length;
            if (end > 0 && characters[end - 1] == '\0')
            {
                end--;
            }
            return new string(characters, 0, end);
        }

        /// <summary>Return the strings of a REG_MULTI_SZ.</summary>
        public static string[] Strings(byte[] data)
        {
            string text = Text(data, data.Length);
            if (text.EndsWith("\0", StringComparison.Ordinal))
            {
                text = text.Substring(0, text.Length - 1);
            }
            return text.Length == 0 ? new string[0] : text.Split('\0');
        }

        public void Dispose()
        {
            ((IDisposable)_sha256).Dispose();
        }

        // Whoever names a command "token" must not hide it so.
        private static bool IsSecret(string name, uint type, byte[] data)
        {
            if (!SecretName.IsMatch(name))
            {
                return false;
            }
            bool isText = type == 1 || type == 2 || type == 7;
            return !isText || !Command.IsMatch(Text(data, data.Length));
        }

        /// <summary>Return a text with its passwords masked, escaped so that it can be shown.</summary>
        public static string Safe(string text)
        {
            string masked = text;
            if (Array.Exists(SecretHints, delegate(string hint) { return Has(masked, hint); }))
            {
                masked = SecretOption.Replace(masked, Mask);
            }
            return Printable.ShowPath(Has(masked, "://") ? SecretInAddress.Replace(masked, Mask) : masked);
        }

        private static bool Has(string text, string part)
        {
            return text.IndexOf(part, StringComparison.OrdinalIgnoreCase) >= 0;
        }

        private static string Hex(byte[] data)
        {
            char[] text = new char[data.Length * 2];
            for (int index = 0; index < data.Length; index++)
            {
                text[2 * index] = Digit(data[index] >> 4);
                text[2 * index + 1] = Digit(data[index] & 15);
            }
            return new string(text);
        }

        private static char Digit(int value)
        {
            return (char)(value < 10 ? '0' + value : 'a' + value - 10);
        }
    }
}
