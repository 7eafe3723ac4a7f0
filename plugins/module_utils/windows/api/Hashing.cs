// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Hashing
{
	/// <summary>A SHA-256 that is computed piece by piece, and can be used again after Finish.</summary>
	public interface IDigest : IDisposable
	{
		/// <summary>Add the first bytes of a buffer.</summary>
		void Add(byte[] buffer, int count);

		/// <summary>Return the digest and begin anew.</summary>
		byte[] Finish();
	}

	/// <summary>Makes digests.</summary>
	public static class Digests
	{
		/// <summary>
		/// Return Windows' own SHA-256 (bcrypt.dll, which uses the processor's instructions); without it that of the
		/// class library.
		/// </summary>
		public static IDigest Sha256()
		{
			try
			{
				return new BCryptDigest();
			}
			catch (DllNotFoundException)
			{
				return new ManagedDigest();
			}
		}
	}

	/// <summary>SHA-256 by BCryptHashData (bcrypt.h).</summary>
	public sealed class BCryptDigest : IDigest
	{
		private const int Length = 32;

		private IntPtr _algorithm;
		private IntPtr _hash;

		[DllImport("bcrypt.dll", CharSet = CharSet.Unicode)]
		private static extern int BCryptOpenAlgorithmProvider(
			out IntPtr algorithm, string name, string provider, int flags);

		[DllImport("bcrypt.dll")]
		private static extern int BCryptCreateHash(
			IntPtr algorithm, out IntPtr hash, IntPtr memory, int size, IntPtr secret, int secretSize, int flags);

		[DllImport("bcrypt.dll")]
		private static extern int BCryptHashData(IntPtr hash, byte[] data, int length, int flags);

		[DllImport("bcrypt.dll")]
		private static extern int BCryptFinishHash(IntPtr hash, byte[] digest, int length, int flags);

		[DllImport("bcrypt.dll")]
		private static extern int BCryptDestroyHash(IntPtr hash);

		[DllImport("bcrypt.dll")]
		private static extern int BCryptCloseAlgorithmProvider(IntPtr algorithm, int flags);

		public BCryptDigest()
		{
			Check(BCryptOpenAlgorithmProvider(out _algorithm, "SHA256", null, 0));
		}

		public void Add(byte[] buffer, int count)
		{
			if (_hash == IntPtr.Zero)
			{
				Create();
			}
			Check(BCryptHashData(_hash, buffer, count, 0));
		}

		public byte[] Finish()
		{
			if (_hash == IntPtr.Zero)
			{
				Create();
			}
			byte[] digest = new byte[Length];
			Check(BCryptFinishHash(_hash, digest, digest.Length, 0));
			Destroy();
			return digest;
		}

		public void Dispose()
		{
			Destroy();
			if (_algorithm != IntPtr.Zero)
			{
				BCryptCloseAlgorithmProvider(_algorithm, 0);
				_algorithm = IntPtr.Zero;
			}
		}

		// A reusable hash needs Windows 8 in each edition and is no faster.
		private void Create()
		{
			Check(BCryptCreateHash(_algorithm, out _hash, IntPtr.Zero, 0, IntPtr.Zero, 0, 0));
		}

		private void Destroy()
		{
			if (_hash != IntPtr.Zero)
			{
				BCryptDestroyHash(_hash);
				_hash = IntPtr.Zero;
			}
		}

		private static void Check(int status)
		{
			if (status != 0)
			{
				throw new CryptographicException("Windows computes no SHA-256: NTSTATUS 0x" + status.ToString("X8"));
			}
		}
	}

	/// <summary>SHA-256 by the class library.</summary>
	public sealed class ManagedDigest : IDigest
	{
		private static readonly byte[] Nothing = new byte[0];

		private readonly SHA256 _hash = SHA256.Create();

		public void Add(byte[] buffer, int count)
		{
			_hash.TransformBlock(buffer, 0, count, null, 0);
		}

		public byte[] Finish()
		{
			_hash.TransformFinalBlock(Nothing, 0, 0);
			byte[] digest = _hash.Hash;
			_hash.Initialize();
			return digest;
		}

		public void Dispose()
		{
			((IDisposable)_hash).Dispose();
		}
	}
}
