// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;

	/// <summary>What Windows says of a signature.</summary>
	public sealed class Verification
	{
		/// <summary>What WinVerifyTrust returned: 0 is a signature that holds and a chain that is trusted.</summary>
		public uint Status;

		/// <summary>The common name of the signer; null when there is no signature that could be read.</summary>
		public string Signer;

		/// <summary>The organisation of the signer; null where the certificate names none.</summary>
		public string Organisation;

		/// <summary>SHA-1 of the signer's certificate, in upper-case hexadecimal.</summary>
		public string Thumbprint;

		/// <summary>The same of the certificate that the chain ends in.</summary>
		public string Root;
	}

	/// <summary>Verifies signatures without the network.</summary>
	public interface IAuthenticode
	{
		/// <summary>Verify the signature in an open file; path says by its extension what kind of file it is.</summary>
		Verification Embedded(IOpenFile file, string path);

		/// <summary>
		/// Verify an open file by the catalogues of this host. Null when no catalogue has its digest, or with a Win32
		/// error when they cannot be asked. mayGoOn: asked before each reading of the file; Cancelled if it is false.
		/// </summary>
		Verification Catalogue(IOpenFile file, string path, Func<bool> mayGoOn, out int error);
	}

	/// <summary>
	/// Signatures through wintrust.dll: no revocation list is fetched, certificates come from the cache.
	/// </summary>
	public sealed class NativeAuthenticode : IAuthenticode, IDisposable
	{
		// WINTRUST_ACTION_GENERIC_VERIFY_V2 (softpub.h).
		private static readonly Guid Action = new Guid("00AAC56B-CD44-11d0-8CC2-00C04FC295EE");

		private const uint NoInterface = 2;
		private const uint ChoiceFile = 1;
		private const uint ChoiceCatalogue = 2;
		private const uint StateVerify = 1;
		private const uint StateClose = 2;

		// WTD_REVOCATION_CHECK_NONE | WTD_CACHE_ONLY_URL_RETRIEVAL | WTD_DISABLE_MD2_MD4.
		private const uint ProviderFlags = 0x10 | 0x1000 | 0x2000;

		private const int BadFormat = 193;
		private const int NotFound = 1168;

		// One is the rule; several updates can list the same file.
		private const int MostCatalogues = 20;

		private static readonly string[] Algorithms = { "SHA256", "SHA1" };

		private readonly IntPtr[] _catalogues = new IntPtr[2];
		private readonly bool _hasAlgorithms;

		[StructLayout(LayoutKind.Sequential)]
		internal struct WINTRUST_FILE_INFO
		{
			public uint cbStruct;
			public IntPtr pcwszFilePath;
			public IntPtr hFile;
			public IntPtr pgKnownSubject;
		}

		[StructLayout(LayoutKind.Sequential)]
		internal struct WINTRUST_CATALOG_INFO
		{
			public uint cbStruct;
			public uint dwCatalogVersion;
			public IntPtr pcwszCatalogFilePath;
			public IntPtr pcwszMemberTag;
			public IntPtr pcwszMemberFilePath;
			public IntPtr hMemberFile;
			public IntPtr pbCalculatedFileHash;
			public uint cbCalculatedFileHash;
			public IntPtr pcCatalogContext;
			public IntPtr hCatAdmin;
		}

		// As before Windows 8, which added settings for files with several signatures; cbStruct says which it is.
		[StructLayout(LayoutKind.Sequential)]
		internal struct WINTRUST_DATA
		{
			public uint cbStruct;
			public IntPtr pPolicyCallbackData;
			public IntPtr pSIPClientData;
			public uint dwUIChoice;
			public uint fdwRevocationChecks;
			public uint dwUnionChoice;
			public IntPtr pFile;
			public uint dwStateAction;
			public IntPtr hWVTStateData;
			public IntPtr pwszURLReference;
			public uint dwProvFlags;
			public uint dwUIContext;
		}

		[StructLayout(LayoutKind.Sequential, CharSet = CharSet.Unicode)]
		internal struct CATALOG_INFO
		{
			public uint cbStruct;

			[MarshalAs(UnmanagedType.ByValTStr, SizeConst = 260)]
			public string wszCatalogFile;
		}

		// The beginning of CRYPT_PROVIDER_SGNR and CRYPT_PROVIDER_CERT: what is read of them (wintrust.h).
		[StructLayout(LayoutKind.Sequential)]
		internal struct CRYPT_PROVIDER_SGNR
		{
			public uint cbStruct;
			public uint sftVerifyAsOfLow;
			public uint sftVerifyAsOfHigh;
			public uint csCertChain;
			public IntPtr pasCertChain;
		}

		[StructLayout(LayoutKind.Sequential)]
		internal struct CRYPT_PROVIDER_CERT
		{
			public uint cbStruct;
			public IntPtr pCert;
		}

		[DllImport("wintrust.dll")]
		private static extern uint WinVerifyTrust(IntPtr window, ref Guid action, ref WINTRUST_DATA data);

		[DllImport("wintrust.dll")]
		private static extern IntPtr WTHelperProvDataFromStateData(IntPtr state);

		[DllImport("wintrust.dll")]
		private static extern IntPtr WTHelperGetProvSignerFromChain(
			IntPtr data, int signer, bool isCounterSigner, int counterSigner);

		[DllImport("wintrust.dll")]
		private static extern IntPtr WTHelperGetProvCertFromChain(IntPtr signer, int certificate);

		[DllImport("wintrust.dll")]
		private static extern bool CryptCATAdminAcquireContext(out IntPtr admin, IntPtr subsystem, int flags);

		[DllImport("wintrust.dll", CharSet = CharSet.Unicode)]
		private static extern bool CryptCATAdminAcquireContext2(
			out IntPtr admin, IntPtr subsystem, string algorithm, IntPtr policy, int flags);

		[DllImport("wintrust.dll")]
		private static extern bool CryptCATAdminReleaseContext(IntPtr admin, int flags);

		[DllImport("kernel32.dll")]
		private static extern bool SetFilePointerEx(
			SafeFileHandle file, long distance, IntPtr position, int method);

		[DllImport("wintrust.dll", SetLastError = true)]
		private static extern bool CryptCATAdminCalcHashFromFileHandle(
			SafeFileHandle file, ref int length, byte[] hash, int flags);

		[DllImport("wintrust.dll", SetLastError = true)]
		private static extern bool CryptCATAdminCalcHashFromFileHandle2(
			IntPtr admin, SafeFileHandle file, ref int length, byte[] hash, int flags);

		[DllImport("wintrust.dll", SetLastError = true)]
		private static extern IntPtr CryptCATAdminEnumCatalogFromHash(
			IntPtr admin, byte[] hash, int length, int flags, ref IntPtr previous);

		[DllImport("wintrust.dll", CharSet = CharSet.Unicode)]
		private static extern bool CryptCATCatalogInfoFromContext(
			IntPtr catalogue, ref CATALOG_INFO information, int flags);

		[DllImport("wintrust.dll")]
		private static extern bool CryptCATAdminReleaseCatalogContext(IntPtr admin, IntPtr catalogue, int flags);

		public NativeAuthenticode()
		{
			try
			{
				_hasAlgorithms = true;
				for (int index = 0; index < Algorithms.Length; index++)
				{
					CryptCATAdminAcquireContext2(
						out _catalogues[index], IntPtr.Zero, Algorithms[index], IntPtr.Zero, 0);
				}
			}
			catch (EntryPointNotFoundException)
			{
				// Before Windows 8, and where only the older API is rebuilt: it knows SHA-1 alone.
				_hasAlgorithms = false;
				CryptCATAdminAcquireContext(out _catalogues[0], IntPtr.Zero, 0);
			}
		}

		public Verification Embedded(IOpenFile file, string path)
		{
			IntPtr name = Marshal.StringToHGlobalUni(path);
			WINTRUST_FILE_INFO[] subject = new WINTRUST_FILE_INFO[1];
			GCHandle pinned = GCHandle.Alloc(subject, GCHandleType.Pinned);
			try
			{
				subject[0].cbStruct = (uint)Marshal.SizeOf(typeof(WINTRUST_FILE_INFO));
				subject[0].pcwszFilePath = name;
				subject[0].hFile = file.Handle.DangerousGetHandle();
				subject[0].pgKnownSubject = IntPtr.Zero;
				Rewind(file);
				return Verify(ChoiceFile, pinned.AddrOfPinnedObject());
			}
			finally
			{
				GC.KeepAlive(file);
				pinned.Free();
				Marshal.FreeHGlobal(name);
			}
		}

		public Verification Catalogue(IOpenFile file, string path, Func<bool> mayGoOn, out int error)
		{
			error = FileErrors.CallNotImplemented;
			bool isAnswered = false;
			foreach (IntPtr admin in _catalogues)
			{
				if (admin == IntPtr.Zero)
				{
					continue;
				}
				if (!mayGoOn())
				{
					error = FileErrors.Cancelled;
					return null;
				}
				byte[] hash = Hash(admin, file);
				Verification verification = null;
				if (hash != null)
				{
					verification = Listed(admin, hash, file, path, out error);
				}
				else
				{
					// What Windows takes for no program, no catalogue lists as one.
					int reported = Marshal.GetLastWin32Error() & 0xFFFF;
					error = reported == BadFormat ? 0 : Math.Max(1, reported);
				}
				isAnswered |= error == 0;
				// An old or incomplete Windows knows no catalogues of this algorithm.
				if (verification != null || (error != 0 && error != FileErrors.InvalidParameter))
				{
					return verification;
				}
			}
			error = isAnswered ? 0 : error;
			return null;
		}

		/// <summary>Verify by the catalogues that have a digest until one holds; null where none has it.</summary>
		private static Verification Listed(IntPtr admin, byte[] hash, IOpenFile file, string path, out int error)
		{
			error = 0;
			Verification verification = null;
			// Each call releases the one before.
			IntPtr catalogue = IntPtr.Zero;
			for (int count = 0; count < MostCatalogues; count++)
			{
				catalogue = CryptCATAdminEnumCatalogFromHash(admin, hash, hash.Length, 0, ref catalogue);
				if (catalogue == IntPtr.Zero)
				{
					// Anything else than that there is none, also as an HRESULT, says that the service was not asked.
					int reported = Marshal.GetLastWin32Error() & 0xFFFF;
					bool isNone = reported == NotFound || reported == FileErrors.FileNotFound ||
						reported == FileErrors.NoMoreFiles;
					error = isNone || verification != null ? 0 : Math.Max(1, reported);
					return verification;
				}
				CATALOG_INFO information = new CATALOG_INFO();
				information.cbStruct = (uint)Marshal.SizeOf(typeof(CATALOG_INFO));
				if (CryptCATCatalogInfoFromContext(catalogue, ref information, 0))
				{
					verification = Member(admin, information.wszCatalogFile, hash, file, path);
				}
				if (verification != null && verification.Status == 0)
				{
					break;
				}
			}
			CryptCATAdminReleaseCatalogContext(admin, catalogue, 0);
			return verification;
		}

		// Reading moves the pointer, and readers of scripts begin at it.
		private static void Rewind(IOpenFile file)
		{
			SetFilePointerEx(file.Handle, 0, IntPtr.Zero, 0);
		}

		public void Dispose()
		{
			for (int index = 0; index < _catalogues.Length; index++)
			{
				if (_catalogues[index] != IntPtr.Zero)
				{
					CryptCATAdminReleaseContext(_catalogues[index], 0);
					_catalogues[index] = IntPtr.Zero;
				}
			}
		}

		private byte[] Hash(IntPtr admin, IOpenFile file)
		{
			byte[] buffer = new byte[64];
			int length = buffer.Length;
			Rewind(file);
			bool computed = _hasAlgorithms
				? CryptCATAdminCalcHashFromFileHandle2(admin, file.Handle, ref length, buffer, 0)
				: CryptCATAdminCalcHashFromFileHandle(file.Handle, ref length, buffer, 0);
			if (!computed)
			{
				return null;
			}
			byte[] hash = new byte[length];
			Buffer.BlockCopy(buffer, 0, hash, 0, length);
			return hash;
		}

		private static Verification Member(IntPtr admin, string catalogue, byte[] hash, IOpenFile file, string path)
		{
			StringBuilder tag = new StringBuilder(hash.Length * 2);
			foreach (byte value in hash)
			{
				tag.Append(value.ToString("X2", CultureInfo.InvariantCulture));
			}
			IntPtr catalogueName = Marshal.StringToHGlobalUni(catalogue);
			IntPtr tagName = Marshal.StringToHGlobalUni(tag.ToString());
			IntPtr name = Marshal.StringToHGlobalUni(path);
			WINTRUST_CATALOG_INFO[] subject = new WINTRUST_CATALOG_INFO[1];
			GCHandle pinned = GCHandle.Alloc(subject, GCHandleType.Pinned);
			GCHandle digest = GCHandle.Alloc(hash, GCHandleType.Pinned);
			try
			{
				subject[0].cbStruct = (uint)Marshal.SizeOf(typeof(WINTRUST_CATALOG_INFO));
				subject[0].dwCatalogVersion = 0;
				subject[0].pcwszCatalogFilePath = catalogueName;
				subject[0].pcwszMemberTag = tagName;
				subject[0].pcwszMemberFilePath = name;
				subject[0].hMemberFile = file.Handle.DangerousGetHandle();
				subject[0].pbCalculatedFileHash = digest.AddrOfPinnedObject();
				subject[0].cbCalculatedFileHash = (uint)hash.Length;
				subject[0].pcCatalogContext = IntPtr.Zero;
				subject[0].hCatAdmin = admin;
				Rewind(file);
				return Verify(ChoiceCatalogue, pinned.AddrOfPinnedObject());
			}
			finally
			{
				GC.KeepAlive(file);
				digest.Free();
				pinned.Free();
				Marshal.FreeHGlobal(catalogueName);
				Marshal.FreeHGlobal(tagName);
				Marshal.FreeHGlobal(name);
			}
		}

		private static Verification Verify(uint choice, IntPtr subject)
		{
			WINTRUST_DATA data = new WINTRUST_DATA();
			data.cbStruct = (uint)Marshal.SizeOf(typeof(WINTRUST_DATA));
			data.dwUIChoice = NoInterface;
			data.fdwRevocationChecks = 0;
			data.dwUnionChoice = choice;
			data.pFile = subject;
			data.dwStateAction = StateVerify;
			data.dwProvFlags = ProviderFlags;
			data.pPolicyCallbackData = IntPtr.Zero;
			data.pSIPClientData = IntPtr.Zero;
			data.pwszURLReference = IntPtr.Zero;
			data.dwUIContext = 0;
			Guid action = Action;
			Verification verification = new Verification();
			verification.Status = WinVerifyTrust(new IntPtr(-1), ref action, ref data);
			try
			{
				ReadSigner(data.hWVTStateData, verification);
			}
			finally
			{
				data.dwStateAction = StateClose;
				WinVerifyTrust(new IntPtr(-1), ref action, ref data);
			}
			return verification;
		}

		private static void ReadSigner(IntPtr state, Verification verification)
		{
			IntPtr provider = state == IntPtr.Zero ? IntPtr.Zero : WTHelperProvDataFromStateData(state);
			IntPtr signer = provider == IntPtr.Zero
				? IntPtr.Zero
				: WTHelperGetProvSignerFromChain(provider, 0, false, 0);
			if (signer == IntPtr.Zero)
			{
				return;
			}
			CRYPT_PROVIDER_SGNR chain =
				(CRYPT_PROVIDER_SGNR)Marshal.PtrToStructure(signer, typeof(CRYPT_PROVIDER_SGNR));
			X509Certificate2 certificate = Certificate(signer, 0);
			if (certificate == null)
			{
				return;
			}
			verification.Signer = certificate.GetNameInfo(X509NameType.SimpleName, false);
			verification.Organisation = Part(certificate.SubjectName, "O=");
			verification.Thumbprint = certificate.Thumbprint;
			X509Certificate2 root = Certificate(signer, (int)chain.csCertChain - 1);
			verification.Root = root == null ? null : root.Thumbprint;
		}

		private static X509Certificate2 Certificate(IntPtr signer, int index)
		{
			IntPtr entry = index < 0 ? IntPtr.Zero : WTHelperGetProvCertFromChain(signer, index);
			if (entry == IntPtr.Zero)
			{
				return null;
			}
			CRYPT_PROVIDER_CERT read = (CRYPT_PROVIDER_CERT)Marshal.PtrToStructure(entry, typeof(CRYPT_PROVIDER_CERT));
			return read.pCert == IntPtr.Zero ? null : new X509Certificate2(read.pCert);
		}

		private static string Part(X500DistinguishedName name, string label)
		{
			string text = name.Decode(
				X500DistinguishedNameFlags.UseNewLines | X500DistinguishedNameFlags.DoNotUseQuotes);
			foreach (string line in text.Split('\n'))
			{
				if (line.StartsWith(label, StringComparison.Ordinal))
				{
					return line.Substring(label.Length).TrimEnd('\r');
				}
			}
			return null;
		}
	}
}
