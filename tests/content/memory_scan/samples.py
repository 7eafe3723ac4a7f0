# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tools have in memory, as their compilers and interpreters lay it out; none of it is a program."""

from __future__ import annotations

import typing as t


def c(*texts: str) -> bytes:
    """Return strings of a C program: each ends with a zero byte."""
    return b"\0" + b"".join(text.encode() + b"\0" for text in texts)


def go(*names: str) -> bytes:
    """Return names of a Go program, the full ones of its functions, each with a zero byte at its end."""
    return b"runtime.main\0" + b"".join(name.encode() + b"\0" for name in names) + b"sync.(*Mutex).Lock\0"


def rust(*texts: str) -> bytes:
    """Return strings of a Rust program, which stand without anything between them."""
    return "".join(texts).encode()


def source(*lines: str) -> bytes:
    """Return a script that an interpreter has read."""
    return ("\n".join(lines) + "\n").encode()


def hidden(key: int, *texts: str) -> bytes:
    """Return strings of which each byte is combined with a key."""
    return b"\0" + b"".join(bytes(byte ^ key for byte in text.encode()) + b"\0" for text in texts)


def arguments(*given: str) -> bytes:
    return c(*given)


def words(*given: int) -> bytes:
    """Return 128-bit constants that a program sets from four 32-bit words each, the highest first."""
    return b"".join(
        b"".join(word.to_bytes(4, "little") for word in reversed(given[at : at + 4])) for at in range(0, len(given), 4)
    )


# As the RandomX library of its authors writes them.
_RANDOMX = words(
    *(0xD7983AAD, 0xCC82DB47, 0x9FA856DE, 0x92B52C0D),
    *(0xB4F44917, 0xDBB5552B, 0x62716609, 0x6DACA553),
    *(0x0DA1DC4E, 0x1725D378, 0x846A710D, 0x6D7CAF07),
    *(0x3E20E345, 0xF4C0794F, 0x9F947EC6, 0x3F1262F1),
    *(0x49169154, 0x16314C88, 0xB1BA317C, 0x6AEF8135),
)
_JH = bytes.fromhex("72d5dea2df15f8677b84150ab723155781abd6904d5a87f64e9f4fc5c3d12b40fd24")

SAMPLES: t.Mapping[str, bytes] = {
    "xmrig": c(
        "  -a, --algo=ALGO               mining algorithm https://xmrig.com/docs/algorithms\n",
        "      --donate-over-proxy=N     control donate over xmrig-proxy feature\n",
        "      --cpu-max-threads-hint=N  maximum CPU threads count (in percentage) hint for autoconfig\n",
        "      --huge-pages-jit          enable huge pages support for RandomX JIT code\n",
    ),
    "randomx_miner": _RANDOMX + c("stratum+ssl://", "keepalived", "rx/wow"),
    "randomx_code": _RANDOMX + c("seed hash"),
    "cryptonight_miner": _JH + c("cryptonight", "cn-lite", "cn-heavy/tube", "stratum+tcp://"),
    "cpuminer": c(
        '{"id": 1, "method": "mining.subscribe", "params": ["%s/%s"]}',
        "stratum_subscribe timed out",
        "Stratum authentication failed",
        "Stratum requested work restart",
        "accepted: %lu/%lu (%.2f%%), %s khash/s %s",
    ),
    "gpu_miner": c("lolMiner 1.88", "eth_submitHashrate", "eth_submitWork", "EthereumStratum/1.0.0", "etchash"),
    "stratum_messages": b'\0{"id":1,"jsonrpc":"2.0","method":"login","params":{"login":"48abc","pass":"x"}}\n\0\0'
    b'{"jsonrpc":"2.0","method":"job","params":{"blob":"1010","job_id":"7","target":"b88d0600"}}\n',
    "miner_options": arguments("./kworker", "--donate-level", "1", "--cpu-max-threads-hint=80", "-o", "10.0.0.1:80"),
    "mettle": c(
        "  -U, --uuid <uuid>      set the UUID (base64)\n",
        "fd://%d",
        "session-guid",
        "core_machine_id",
    ),
    "meterpreter_python": source(
        "class HttpTransport(Transport):",
        "\tdef _get_packet(self):",
        "class PythonMeterpreter(object):",
        "\tdef __init__(self, transport):",
        "SESSION_EXPIRATION_TIMEOUT = 604800",
    ),
    "meterpreter_java": c(
        "com/metasploit/meterpreter/Meterpreter", "com/metasploit/meterpreter/core/core_channel_open"
    ),
    "sliver": rust(
        ".sliverpb.BeaconRegister", ".sliverpb.Register", ".sliverpb.BeaconTasks", ".sliverpb.PivotListener"
    ),
    "merlin": go("github.com/Ne0nd0g/merlin-agent/v2/agent.New", "github.com/Ne0nd0g/merlin-message/jobs.Command"),
    "poseidon": go(
        "github.com/MythicAgents/poseidon/Payload_Type/poseidon/agent_code/pkg/profiles.Start",
        "github.com/MythicAgents/poseidon/Payload_Type/poseidon/agent_code/pkg/utils/structs.(*Task).Job",
    ),
    "geacon": go("geacon/cmd/packet.FirstBlood", "geacon/cmd/crypt.AesCBCEncrypt", "geacon/cmd/util.KeyExists"),
    "tinyshell": bytes.fromhex("5890ae86f1b91cf6298395711dde580d"),
    "prism": c(
        " Version:\t\t%s\n Mode:\t\t\ticmp\n Key:\t\t\t%s\n",
        " Process name:\t\t%s\n",
        " Detach:\t\tYes\n",
        "I'm not root :(\n",
    ),
    "bpfdoor": c(
        "/var/run/haldrund.pid",
        "MYSQL_HISTFILE=/dev/null",
        "/sbin/iptables -I INPUT -p tcp -s %s -j ACCEPT",
        "hald-addon-acpi: listening on acpi kernel interface /proc/acpi/event",
    ),
    "empire_python": source(
        "def send_job_message_buffer():",
        "    global jobMessageBuffer",
        "def process_tasking(data):",
        "    (session, meta, extra) = decode_routing_packet(data)",
        "def build_routing_packet(stagingKey, sessionID, meta=0):",
        "    data = base(x); y(aes_encrypt_then_hmac(key, data))",
        "def parse_routing_packet(stagingKey, data):",
    ),
    "pupy": source(
        "import pupyimporter",
        "pupyimporter.install(debug=False)",
        "pupyimporter.pupy_add_package(x)",
        "class PupyPackageFinderImportError(ImportError):",
        "class ReverseSlaveService(Service):",
    ),
    "pwncat": c(
        "pwncat.modules.linux.enumerate.system", "pwncat.channel.bind", "pwncat.manager", "pwncat.platform.linux"
    ),
    "libprocesshider": c("/proc/self/fd/%d", "/proc/%s/stat", "0123456789", "%d (%[^)]s", "Error in dlsym: %s\n"),
    "azazel": hidden(0xFE, "CLEANUP_LOGS", "Don't scratch the walls", "/etc/ld.so.preload", "HIDE_THIS_SHELL=please"),
    "reptile": c("\x1b[01;36mYou got super powers!\x1b[00m\n\n", "\x1b[00;31mYou have no power here! :( \x1b[00m\n\n"),
    "symbiote": c("certbotx64", "javaserverx64", "apache2start", "mt64"),
    "jynx": c("libc", "drop_dup_shell", "gen_cert", "forge_proc_net_tcp", "backconnect"),
    "vlany": hidden(0xAC, "/tmp/%d.fakemaps", "vlanyrk", "/dev/null", "LD_TRACE_LOADED_OBJECTS="),
    "bedevil": c("fopen", "forge_maps", "forge_smaps", "forge_numamaps", "forge_procnet"),
    "ebury": c("libkeyutils.so.1", "keyctl_instantiate_iov", "popen", "connect", "gethostbyname", "hosts_access"),
    "mirai": hidden(
        0x22, "root", "xc3511", "vizxv", "7ujMko0vizxv", "7ujMko0admin", "klv1234", "Zte521", "/proc/net/tcp"
    ),
    "gafgyt": c(
        "UDP Flooding %s for %d seconds.", "HOLD Flooding %s:%d for %d seconds.", "SCANNER ON | OFF", "My IP: %s"
    ),
    "tsunami": c(
        "NOTICE %s :TSUNAMI <target> <secs>\n",
        "NOTICE %s :Tsunami heading for %s.\n",
        "NOTICE %s :PAN <target> <port> <secs>\n",
        "NOTICE %s :Kaiten wa goraku\n",
    ),
    "xorddos": c(
        "#!/bin/sh\nfor i in `cat /proc/net/dev|grep :|awk -F: {'print $1'}`; do ifconfig $i up& done\n"
        "cp /lib/libudev.so /lib/libudev.so.6\n/lib/libudev.so.6\n",
        "BB2FA36AAA9541F0",
        "denyip=",
    ),
    "chisel": go(
        "github.com/jpillora/chisel/client.(*Client).connectionLoop",
        "github.com/jpillora/chisel/share/tunnel.(*Tunnel).BindSSH",
    ),
    "frp": go("github.com/fatedier/frp/client.(*Service).Run", "github.com/fatedier/frp/client.(*Control).Run"),
    "ligolo": go(
        "github.com/nicocha30/ligolo-ng/pkg/agent.HandleConn", "github.com/nicocha30/ligolo-ng/pkg/relay.StartRelay"
    ),
    "gost": go("github.com/ginuerzh/gost.(*Chain).Dial", "github.com/ginuerzh/gost.(*Node).Clone"),
    "ngrok": go("go.ngrok.com/cmd/ngrok/main.go", "golang.ngrok.com/muxado/v2.Client") + b"connect.ngrok-agent.com:443",
    "cloudflared": go(
        "github.com/cloudflare/cloudflared/cmd/cloudflared/tunnel.Commands",
        "github.com/cloudflare/cloudflared/supervisor.(*Supervisor).Run",
    ),
    "revsocks": go("github.com/kost/revsocks", "github.com/hashicorp/yamux.(*Session).Open"),
    "earthworm": c(
        " options:\n ssocksd , rcsocks , rssocks , \n",
        " lcx_listen , lcx_tran , lcx_slave\n",
    ),
    "iodine": c("Server is at %s, trying raw login: ", "Server switched to lazy mode\n"),
    "dnscat2": c(
        "** Peer verified with pre-shared secret!",
        "Encrypted session established! For added security, please verify the server also displays this string:",
    ),
    "bore": rust(
        "Starts a local proxy to the remote server",
        "Address of the remote server to expose local ports to",
        "BORE_SERVER",
        "bore_cli::client",
    ),
    "gsocket": c(
        "=Encryption     : %s (Prime: %d bits)\n", "GSOCKET_NO_GREETINGS", "GSOCKET_ARGS", "_GSOCKET_INTERNAL"
    ),
    "ptunnel": c("Incoming tunnel request from %s.\n", "Starting new session to %s:%d with ID %d\n"),
    "linpeas": source(
        'print_title "System Information"',
        "print_2title(){",
        'printf ${YELLOW}"ADVISORY: This script should be used for authorized penetration testing and/or educational '
        'purposes only. Any misuse"',
        'sidVB="peass{SUIDVB}"',
    ),
    "pspy": go(
        "github.com/dominicbreuker/pspy/internal/pspy.Start",
        "github.com/dominicbreuker/pspy/internal/psscanner.NewPSScanner",
    ),
    "traitor": go(
        "github.com/liamg/traitor/pkg/exploits/dirtypipe.New", "github.com/liamg/traitor/pkg/state.(*State).Assess"
    ),
    "mimipenguin": source(
        '\techo "Even mimikatz requires administrator"',
        '\tSOURCE ="[SYSTEM - GNOME]"',
        "egrep '^_pammodutil_getpwnam_root_1$' -B 5 -A 5)",
        "gkr_system_authtok",
    )
    + c("[SYSTEM - SSH]", "[SYSTEM - VSFTPD]"),
    "threesnake": c(
        "You don't have permission attach to other users processes\n [hint] you need to sudo or be root or something\n"
        " [hint] i hear someone has lpes\n"
    ),
    "exploit_suggester": source(
        "EXPLOITS[((n++))]=$(cat <<EOF",
        "Name: ${txtgrn}[CVE-0000-0000]${txtrst} example",
        "Reqs: pkg=linux-kernel,ver>=2.6.22",
        "Rank: 1",
        "EOF",
    ),
    "fscan": go("github.com/shadow1ng/fscan/Plugins.Scan", "github.com/shadow1ng/fscan/common.Parse"),
    "container_escape": go(
        "github.com/cdk-team/CDK/pkg/exploit/base.Run", "github.com/cdk-team/CDK/pkg/evaluate.CallBasics"
    ),
}
# What has such words and is none of it: lines of logs, manuals, mails, rules, and what administrators search for.
INNOCENT: t.Mapping[str, bytes] = {
    "a log of blocked connections": source(
        "Nov 26 03:57:23 gw dnsmasq[811]: query[A] donate.v2.xmrig.com from 10.0.0.7",
        "Nov 26 03:57:24 gw dnsmasq[811]: config donate.v2.xmrig.com is 0.0.0.0",
        "Nov 26 03:57:25 gw kernel: blocked stratum+tcp://pool.example.org:3333 mining.subscribe",
    ),
    "a manual of a pool": source(
        "Connect with stratum+tcp://pool.example.org:3333, or stratum+ssl:// for TLS.",
        "A miner first sends mining.subscribe, then mining.authorize, and mining.submit for each share.",
        "cryptonight, cn/r, cn-heavy, cn-lite and rx/0 are supported; rx/wow is not.",
    ),
    "an administrator's search": arguments("grep", "-rE", "stratum\\+tcp://|donate-level|mining.subscribe", "/home"),
    "who ends miners": arguments("pkill", "-f", "xmrig --donate-level 1 -o stratum+tcp://pool.example.org:3333"),
    "a shell that looks": arguments("sh", "-c", "ps aux | grep -e --donate-level -e --nicehash -e stratum+tcp://"),
    "a report on an incident": source(
        "The implant is Sliver: its binary has sliverpb.Register. BPFDoor uses /var/run/haldrund.pid.",
        "Gafgyt answers with 'UDP Flooding %s for %d seconds.'; Mirai tries root:xc3511 and root:vizxv.",
        "The tunnel was github.com/jpillora/chisel, the proxy github.com/fatedier/frp, both from GitHub.",
    ),
    "a Go program's dependencies": source(
        "github.com/hashicorp/yamux v0.1.1 h1:yrQxtgseBDrq9Y652vSRDvsKCJKOUD+GzTS4Y0Y8pvE=",
        "github.com/jpillora/chisel v1.9.1/go.mod h1:Zk1=",
        "github.com/cloudflare/cloudflared v0.0.0 h1:abc=",
    ),
}
