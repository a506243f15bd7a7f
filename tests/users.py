"""Which users of the machine there are: in a user namespace of somebody who is not root, only 0 is."""

from pathlib import Path


def is_mapped(number: int, kind: str = "uid") -> bool:
    """Whether this process may become, or hand something on to, this user (`uid`) or group (`gid`), if it is root."""
    lines = Path(f"/proc/self/{kind}_map").read_text().splitlines()
    ranges = [(int(first), int(count)) for first, _, count in map(str.split, lines)]
    return any(first <= number < first + count for first, count in ranges)
