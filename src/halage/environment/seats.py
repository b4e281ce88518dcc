"""Where a unit of a release runs: its seat, from what is recorded and what the machinery knows."""

from typing import Any

from halage.base.database import Transaction
from halage.compute.model import Account
from halage.environment.configuration import Configuration
from halage.environment.launch import Seat
from halage.environment.machinery import Machinery
from halage.environment.store import Place


async def account_of(machinery: Machinery, place: Place) -> Account | None:
    """The account of the environment's project; None where units have none of their own."""

    def account(tx: Transaction) -> Account | None:
        return machinery.accounts.account_for(tx, place[0])

    return await machinery.database.run(account)


async def unpack_release(machinery: Machinery, place: Place, release: Any) -> None:
    """Have the release's directory there. Raises ObjectMissing, ObjectDamaged, UnpackFailed."""
    persistent = Configuration.from_document(release.configuration).site.run.persistent
    account = await account_of(machinery, place)
    await machinery.places.unpack(place, release.number, release.bundle_digest, persistent, account)


async def seat_of(
    machinery: Machinery, place: Place, name: str, release: Any, address: str, port: int
) -> Seat:
    """The seat of the unit `name` of a release (a row) at an address."""
    configuration = Configuration.from_document(release.configuration)
    return Seat(
        place=place,
        release=release,
        configuration=configuration,
        type=machinery.types[configuration.plan(place[1]).type],
        address=address,
        port=port,
        directory=machinery.places.release(place, release.number),
        private=machinery.places.private(place, name),
        account=await account_of(machinery, place),
        told=machinery.site_variables(*place),
    )
