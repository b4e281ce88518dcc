"""A git server in a process of its own, to be killed: `python -m tests.faults.source.server DATA PORT HOME`.

It writes a line for each push that it was told to DATA/told. While DATA/hang exists, it notes in
DATA/begun that it was asked to record a push, and never ends doing so.
"""

import asyncio
import sys
from pathlib import Path

from halage.source.model import Push, PushAnswer
from tests.components.source.rig import running


async def main(data: Path, port: int, home: Path) -> None:
    async with running(data, home, port) as rig:

        async def answer(push: Push) -> PushAnswer:
            if (data / "hang").exists():
                (data / "begun").touch()
                await asyncio.Event().wait()
            with (data / "told").open("a") as told:
                print(push.ref, push.old, push.new, push.pusher, file=told)
            return PushAnswer()

        rig.consumer.answer = answer
        await rig.source.reconcile()
        (data / "ready").touch()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
