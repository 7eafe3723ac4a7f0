// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.events.RecordedEvents
{
/// <summary>What records the events of the Security log, and which fields events have.</summary>
internal static class RecordedEvents
{
	// Subcategories: the digits of the GUID that differ, the events with their outcome when it is not only success (F:
	// only failure, *: both), and the name. Events that are in no subcategory are always recorded.
	internal static readonly string[] Subcategories =
	{
		"923F 4774* 4775F 4776* 4777F:Credential Validation",
		"9242 4768* 4771F 4772F:Kerberos Authentication Service",
		"9240 4769* 4770 4773F:Kerberos Service Ticket Operations",
		"9239 4783-4792:Application Group Management",
		"9236 4741-4743:Computer Account Management",
		"9238 4744-4753 4759-4763:Distribution Group Management",
		"923A 4782 4793:Other Account Management Events",
		"9237 4727-4735 4737 4754-4758 4764 4799:Security Group Management",
		"9235 4720 4722-4726* 4738 4740 4765 4766F 4767 4780 4781 4794* 4797 4798 5376-5382:User Account Management",
		"922D 4692-4695*:DPAPI Activity",
		"9248 6416 6419-6424:Plug and Play Events",
		"922B 4688 4696:Process Creation",
		"922C 4689:Process Termination",
		"922E 5712:RPC Events",
		"924A 4703:Token Right Adjusted Events",
		"923E 4928-4931* 4934-4937*:Detailed Directory Service Replication",
		"923B 4661* 4662*:Directory Service Access",
		"923C 5136-5139* 5141*:Directory Service Changes",
		"923D 4932* 4933*:Directory Service Replication",
		"9217 4625F:Account Lockout",
		"9247 4626:User / Device Claims",
		"9249 4627:Group Membership",
		"921A 4978-4984:IPsec Extended Mode",
		"9218 4646 4650-4653 4655 4976 5049 5453:IPsec Main Mode",
		"9219 4977 5451 5452:IPsec Quick Mode",
		"9216 4634 4647:Logoff",
		"9215 4624 4625F 4648* 4675:Logon",
		"9243 6272-6280*:Network Policy Server",
		"921C 4649 4778 4779 4800-4803 5378F 5632* 5633*:Other Logon/Logoff Events",
		"921B 4672 4964:Special Logon",
		"9222 4665-4668*:Application Generated",
		"9221 4868-4900*:Certification Services",
		"9244 5145*:Detailed File Share",
		"9224 5140* 5142-5144 5168F:File Share",
		"921D 4656* 4658-4660* 4663* 4664 4670 4985 5051:File System",
		"9226 5031F 5150 5151 5154 5155F 5156 5157F 5158 5159F:Filtering Platform Connection",
		"9225 5152F 5153F:Filtering Platform Packet Drop",
		"9223 4658 4690:Handle Manipulation",
		"921F 4656* 4658-4660* 4663*:Kernel Object",
		"9227 4671 4691 4698-4702 5148F 5149F 5888-5890:Other Object Access Events",
		"921E 4656* 4657 4658-4660* 4663* 4670 5039:Registry",
		"9245 4656* 4658 4663*:Removable Storage",
		"9220 4661*:SAM",
		"9246 4818:Central Policy Staging",
		"922F 4715 4817 4902 4904-4908 4912:Audit Policy Change",
		"9230 4706 4707 4713 4716-4718 4739 4864-4867:Authentication Policy Change",
		"9231 4670 4703-4705 4714 4911 4913:Authorization Policy Change",
		"9233 4709-4712 5040-5048 5440-5444 5446 5448-5450 5456-5477*:Filtering Platform Policy Change",
		"9232 4944-4958*:MPSSVC Rule-Level Policy Change",
		"9234 4714 4819 4826 4909 4910 5063-5070* 5447 6144 6145F:Other Policy Change Events",
		"9229 4673* 4674*:Non Sensitive Privilege Use",
		"9228 4673* 4674*:Sensitive Privilege Use",
		"922A 4985:Other Privilege Use Events",
		"9213 4960-4963 4965 5478-5485*:IPsec Driver",
		"9214 5024 5025 5027-5030F 5032-5037* 5058* 5059* 6400-6409:Other System Events",
		"9210 4608 4616 4621:Security State Change",
		"9211 4610 4611 4614 4622 4697:Security System Extension",
		"9212 4612 4615 4618 4816 5038F 5056 5057F 5060F 5061* 5062 6281F 6410F:System Integrity",
	};

	private const string OfProcess = "ProcessGuid ProcessId Image User ";
	private const string OfFile = OfProcess + "TargetFilename ";
	private const string Hashes = "Hashes MD5 SHA1 SHA256 IMPHASH ";
	private const string OfImage = "FileVersion Description Product Company OriginalFileName " + Hashes;
	private const string OfKey = OfProcess + "EventType TargetObject ";
	private const string OfPair = "SourceProcessGuid SourceProcessGUID SourceProcessId SourceImage SourceUser " +
		"TargetProcessGuid TargetProcessGUID TargetProcessId TargetImage TargetUser ";

	// What an event of Sysmon has, UtcTime and RuleName aside; of the others in the table of sources all may be there.
	internal static readonly Dictionary<int, string> SysmonFields = new Dictionary<int, string>
	{
		{ 1, OfProcess + OfImage + "CommandLine CurrentDirectory LogonGuid LogonId TerminalSessionId IntegrityLevel " +
			"ParentProcessGuid ParentProcessId ParentImage ParentCommandLine ParentUser" },
		{ 2, OfFile + "CreationUtcTime PreviousCreationUtcTime" },
		{ 3, OfProcess + "Protocol Initiated SourceIsIpv6 SourceIp SourceHostname SourcePort SourcePortName " +
			"DestinationIsIpv6 DestinationIp DestinationHostname DestinationPort DestinationPortName" },
		{ 5, OfProcess },
		{ 6, Hashes + "ImageLoaded Signed Signature SignatureStatus" },
		{ 7, OfProcess + OfImage + "ImageLoaded Signed Signature SignatureStatus" },
		{ 8, OfPair + "NewThreadId StartAddress StartModule StartFunction" },
		{ 9, OfProcess + "Device" },
		{ 10, OfPair + "SourceThreadId GrantedAccess CallTrace" },
		{ 11, OfFile + "CreationUtcTime" },
		{ 12, OfKey },
		{ 13, OfKey + "Details" },
		{ 14, OfKey + "NewName" },
		{ 15, OfFile + Hashes + "CreationUtcTime Hash Contents" },
		{ 17, OfProcess + "EventType PipeName" },
		{ 18, OfProcess + "EventType PipeName" },
		{ 22, OfProcess + "QueryName QueryStatus QueryResults" },
		{ 23, OfFile + Hashes + "IsExecutable Archived" },
		{ 25, OfProcess + "Type" },
		{ 26, OfFile + Hashes + "IsExecutable" },
		{ 27, OfFile + Hashes },
		{ 28, OfFile + Hashes + "IsExecutable" },
		{ 29, OfFile + Hashes },
	};

	private const string OfSubject = "SubjectUserSid SubjectUserName SubjectDomainName SubjectLogonId ";
	private const string OfObject = OfSubject +
		"ProcessId ProcessName Image User LogonId ObjectServer ObjectType ObjectName HandleId AccessList AccessMask ";

	// What Builtin makes of an event.
	internal static readonly Dictionary<int, string> BuiltinFields = new Dictionary<int, string>
	{
		{ 4688, OfSubject + "Image User ProcessId LogonId IntegrityLevel ParentProcessId ParentImage ParentUser " +
			"NewProcessName NewProcessId ParentProcessName TokenElevationType MandatoryLabel TargetUserSid " +
			"TargetUserName TargetDomainName TargetLogonId" },
		{ 4689, OfSubject + "Image User ProcessId LogonId ProcessName Status" },
		{ 4657, OfObject + "EventType TargetObject Details ObjectValueName OperationType OldValueType OldValue " +
			"NewValueType NewValue" },
		{ 4663, OfObject + "FileName TargetFilename" },
		{ 5156, "Image ProcessId Protocol Initiated SourceIp SourcePort SourceIsIpv6 DestinationIp DestinationPort " +
			"DestinationIsIpv6 ProcessID Application Direction SourceAddress DestAddress DestPort FilterRTID LayerName " +
			"LayerRTID RemoteUserID RemoteMachineID" },
	};
}
}
