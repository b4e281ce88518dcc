"""The kernel's files about the machine."""

from halage.monitor.collect.proc import (
    CpuTime,
    Moved,
    parse_cpu,
    parse_disks,
    parse_load,
    parse_memory,
    parse_mounts,
    parse_networks,
)

DISKS = """\
   7       0 loop0 5 0 40 0 0 0 0 0 0 0 0
 254       0 vda 100 5 2000 7 300 9 4000 8 0 85556 254711 0 0 0 0 9750 222436
 254       1 vda1 90 5 1900 7 290 9 3900 8 0 1 2 0 0 0 0
 253       0 zram0 1 0 8 0 0 0 0 0 0 0 0
"""

NETWORKS = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls
    lo: 55881395597 57152390    0    0    0     0          0         0 55881395597 57152390    0    0    0
veth12:       1       1    0    0    0     0          0         0        1       1    0    0    0     0
  eth0: 1788489197   55591    0    0    0     0          0         0  3000311   29885    0    0    0     0
wlp2s0:3 4 0 0 0 0 0 0 5 6 0 0 0 0 0 0
"""

MOUNTS = """\
proc /proc proc rw 0 0
/dev/vda1 / ext4 rw,relatime 0 0
/dev/vda1 /var/lib/a\\040b ext4 rw 0 0
/dev/vdb /srv/my\\040disk xfs rw 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/loop3 /snap/x squashfs ro 0 0
overlay /var/lib/docker/overlay2/1/merged overlay rw 0 0
server:/x /mnt/nfs nfs4 rw 0 0
pool/data /pool zfs rw 0 0
broken
"""


def test_cpu_is_busy_when_it_neither_idles_nor_waits_for_disks() -> None:
    text = "cpu  10 20 30 400 50 6 7 8 9 10\ncpu0 1 2 3\n"
    assert parse_cpu(text) == CpuTime(busy=81, total=531)


def test_memory_is_in_bytes() -> None:
    assert parse_memory("MemTotal:  100 kB\nMemAvailable: 40 kB\nHugePages_Total: 0\n") == {
        "MemTotal": 102400,
        "MemAvailable": 40960,
    }


def test_load_is_read() -> None:
    assert parse_load("1.75 1.22 0.65 1/122 18266\n") == (1.75, 1.22, 0.65)


def test_disks_are_whole_and_real() -> None:
    assert parse_disks(DISKS, ["loop0", "vda", "zram0"]) == {"vda": Moved(2000 * 512, 4000 * 512, 100, 300)}


def test_interfaces_lead_out_of_the_machine() -> None:
    assert parse_networks(NETWORKS) == {
        "eth0": Moved(1788489197, 3000311, 55591, 29885),
        "wlp2s0": Moved(3, 5, 4, 6),
    }


def test_file_systems_are_local_and_told_once() -> None:
    assert parse_mounts(MOUNTS) == ["/", "/pool", "/srv/my disk"]


def test_a_container_sees_its_own_root() -> None:
    assert parse_mounts("overlay / overlay rw 0 0\n") == ["/"]
