"""Whether the symbolic links of a commit stay inside its tree; pure."""

from collections.abc import Mapping

MAX_HOPS = 40
"""As in Linux: past so many links it is a loop, which leads nowhere."""


def find_escape(links: Mapping[str, str]) -> str | None:
    """The path of a link that leads out of the tree, or None.

    `links` maps the path of each symbolic link to its target. Links are followed through each
    other, because `a/up/../..` can leave the tree though it does not look like it when `up` is
    itself a link. What does not exist in the tree is taken for a directory to come.
    """
    return next((path for path in sorted(links) if _escapes(path, links)), None)


def _escapes(path: str, links: Mapping[str, str]) -> bool:
    where: list[str] = []
    ahead = path.split("/")[::-1]
    hops = 0
    while ahead:
        step = ahead.pop()
        if step in ("", "."):
            continue
        if step == "..":
            if not where:
                return True
            where.pop()
            continue
        target = links.get("/".join([*where, step]))
        if target is None:
            where.append(step)
            continue
        if target.startswith("/"):
            return True
        hops += 1
        if hops > MAX_HOPS:
            return False
        ahead.extend(target.split("/")[::-1])
    return False
