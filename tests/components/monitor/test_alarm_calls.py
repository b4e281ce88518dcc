"""The HTTP calls of alarms, over real connections."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.alarms import AlarmGround, Plane, alarm_plane
from tests.components.monitor.intake.endpoints import endpoint, says, talks_without_end


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    ground = AlarmGround(tmp_path)
    async with alarm_plane(ground) as plane:
        yield plane
    ground.close()


async def test_a_call_carries_the_change_and_its_key(plane: Plane) -> None:
    async with endpoint(says("thanks", status="202 Accepted")) as receiver:
        call = {"kind": "call", "url": f"http://127.0.0.1:{receiver.port}/x", "headers": {"x-token": "abc"}}
        alarm = await plane.define(on_alarm=[call])
        await plane.tick(load=9)
        change = await plane.delivered(alarm)
    assert [each.state for each in change.deliveries] == ["delivered"]
    (head,) = receiver.requests
    assert head.startswith("POST /x HTTP/1.1\r\n") and "x-token: abc\r\n" in head
    assert f"Idempotency-Key: halage-alarm-{alarm.id}-change-{change.id}-0\r\n" in head


async def test_what_a_receiver_says_without_end_is_not_read(plane: Plane) -> None:
    async with endpoint(talks_without_end) as receiver:
        call = {"kind": "call", "url": f"http://127.0.0.1:{receiver.port}/x"}
        alarm = await plane.define(on_alarm=[call])
        await plane.tick(load=9)
        change = await plane.delivered(alarm)
    assert [(each.state, each.error) for each in change.deliveries] == [("delivered", "")]
    assert len(receiver.requests) == 1
