"""The kernel's own figures of the machine, from the text of its files (see proc(5)). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

SECTOR_BYTES = 512
"""In /proc/diskstats, whatever the disk's own sectors are."""
_IDLE = (3, 4)
"""Fields of /proc/stat that are no work: idle, and waiting for a disk."""
_GUESTS = 8
"""From here on time of guests, which is in the fields before as well."""
_NO_DISKS = ("loop", "ram", "zram", "sr", "fd", "nbd")
_NO_NETWORKS = ("lo", "veth", "docker", "br-", "virbr", "ifb", "tap", "cali", "flannel", "cni", "dummy")
"""Beginnings of names of interfaces that carry what others carry as well, or come and go by the hundred."""
_KEPT_FILE_SYSTEMS = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "overlay"})
"""Local ones that are written to. Those of other machines may hang, and are theirs to watch."""


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Ticks of all cores since the start of the machine."""

    busy: int
    total: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What went to and came from a disk or an interface since the start of the machine."""

    in_bytes: int
    out_bytes: int
    in_operations: int
    out_operations: int
    """Packets, of an interface."""


def parse_cpu(text: str) -> CpuTime:
    """/proc/stat."""
    ticks = [int(word) for word in text.split("\n", 1)[0].split()[1 : 1 + _GUESTS]]
    total = sum(ticks)
    return CpuTime(total - sum(ticks[index] for index in _IDLE), total)


def parse_memory(text: str) -> dict[str, int]:
    """/proc/meminfo, in bytes."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0]) * 1024
    return found


def parse_load(text: str) -> tuple[float, float, float]:
    """/proc/loadavg: over 1, 5 and 15 minutes."""
    one, five, fifteen = (float(word) for word in text.split()[:3])
    return one, five, fifteen


def parse_disks(text: str, whole: Iterable[str]) -> dict[str, Moved]:
    """/proc/diskstats, of the devices in `whole` (the names in /sys/block: no partitions)."""
    wanted = {name for name in whole if not name.startswith(_NO_DISKS)}
    found = {}
    for words in map(str.split, text.splitlines()):
        if len(words) >= 10 and words[2] in wanted:
            reads, read_sectors, writes, written_sectors = (int(words[index]) for index in (3, 5, 7, 9))
            found[words[2]] = Moved(
                read_sectors * SECTOR_BYTES, written_sectors * SECTOR_BYTES, reads, writes
            )
    return found


def parse_networks(text: str) -> dict[str, Moved]:
    """/proc/net/dev, of the interfaces that lead out of the machine."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        name, words = name.strip(), rest.split()
        if len(words) >= 10 and not name.startswith(_NO_NETWORKS):
            in_bytes, in_packets, out_bytes, out_packets = (int(words[index]) for index in (0, 1, 8, 9))
            found[name] = Moved(in_bytes, out_bytes, in_packets, out_packets)
    return found


def parse_mounts(text: str) -> list[str]:
    """/proc/self/mounts: where file systems of our own disks are mounted, each once, the shortest path."""
    found: dict[str, str] = {}
    for words in map(str.split, text.splitlines()):
        if len(words) < 4 or words[2] not in _KEPT_FILE_SYSTEMS:
            continue
        device, path, kind = words[0], _unescape(words[1]), words[2]
        if kind == "overlay" and path != "/":  # containers of others, each on a disk that is told already
            continue
        if device not in found or len(path) < len(found[device]):
            found[device] = path
    return sorted(found.values())


def _unescape(path: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(code, character)
    return path
