"""Two network namespaces with addresses of their own, and a slow link between them.

The link is a pair of tun devices whose packets a process of ours carries over, each after a fixed
delay: what `tc qdisc add ... netem delay` does, for kernels without netem. It has to be root.
"""

import fcntl
import heapq
import os
import select
import shutil
import struct
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

ADDRESSES = ("10.77.0.1", "10.77.0.2")
DEVICE = "mgtun"
MTU = 9000  # fewer packets for the process that carries them
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 1, 0x1000
_CLONE_NEWNET = 0x40000000


def available():
    """Why there can be no such hosts here; "" where there can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces want root"
    if shutil.which("ip") is None:
        return "no iproute2"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    made = subprocess.run(["ip", "netns", "add", "mg-probe"], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", "mg-probe"], capture_output=True, check=False)
    return "" if made.returncode == 0 else f"no network namespaces: {made.stderr.decode()}"


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _open_tun():
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH", DEVICE.encode(), _IFF_TUN | _IFF_NO_PI)
    fcntl.ioctl(device, _TUNSETIFF, request)
    return device


def _into(namespace):
    """The calling process goes over into a namespace."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/var/run/netns/{namespace}") as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def carry(names, seconds):
    """Carries packets between the devices of two namespaces, each after so many seconds."""
    devices = []
    for name in names:
        _into(name)
        devices.append(_open_tun())
    print("ready", flush=True)
    waiting, count = [], 0
    while True:
        left = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select(devices, [], [], left)
        now = time.monotonic()
        for device in ready:
            other = devices[1 - devices.index(device)]
            with suppress(OSError):
                while True:
                    packet = os.read(device, 65536)
                    count += 1
                    heapq.heappush(waiting, (now + seconds, count, other, packet))
        while waiting and waiting[0][0] <= now:
            _, _, device, packet = heapq.heappop(waiting)
            with suppress(OSError):  # a full queue drops it, and TCP sends it again
                os.write(device, packet)


@contextmanager
def two_hosts(seconds, folder, mpiexec):
    """Two hosts, `seconds` away from each other in each direction; yields what starts two ranks
    on them, as `mpiexec -n 2` does on one."""
    tag = os.getpid()
    names = [f"mg{tag}a", f"mg{tag}b"]
    relay = None
    try:
        for name in names:
            _ip("netns", "add", name)
        relay = subprocess.Popen(
            [sys.executable, __file__, *names, str(seconds)], stdout=subprocess.PIPE, text=True
        )
        assert relay.stdout.readline() == "ready\n"
        for name, address, peer in zip(names, ADDRESSES, reversed(ADDRESSES), strict=True):
            inside = ("netns", "exec", name, "ip")
            _ip(*inside, "link", "set", "lo", "up")
            _ip(*inside, "addr", "add", address, "peer", peer, "dev", DEVICE)
            _ip(*inside, "link", "set", DEVICE, "mtu", str(MTU), "up", "txqueuelen", "5000")
        yield _launcher(names, Path(folder), mpiexec)
    finally:
        if relay is not None:
            relay.kill()
            relay.wait()
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _launcher(names, folder, mpiexec):
    """mpiexec in the first namespace; what stands for ssh goes into the one with that address."""
    remote = folder / "remote"
    cases = "".join(
        f'    {address}) exec ip netns exec {name} sh -c "$*" ;;\n'
        for name, address in zip(names, ADDRESSES, strict=True)
    )
    remote.write_text(
        "#!/bin/sh\n"
        'while [ "${1#-}" != "$1" ]; do shift; done\n'
        f"host=$1; shift\ncase $host in\n{cases}esac\n"
    )
    remote.chmod(0o755)
    return [
        "ip", "netns", "exec", names[0], mpiexec,
        "-launcher", "ssh", "-launcher-exec", str(remote), "-iface", DEVICE,
        "-hosts", ",".join(ADDRESSES), "-n", "2",
    ]  # fmt: skip


if __name__ == "__main__":
    carry(sys.argv[1:3], float(sys.argv[3]))
