"""Where a unit of a release runs: directories, account, type."""

from typing import Any

from halage.base.database import Transaction
from halage.compute.model import Account, InstanceType
from halage.environment.autoscaling.model import WEB
from halage.environment.configuration import Configuration
from halage.environment.instances.launch import Seat
from halage.environment.machinery import Machinery
from halage.environment.tables.store import Place


async def take_seat(
    machinery: Machinery,
    place: Place,
    name: str,
    release: Any,
    address: str = "127.0.0.1",
    port: int = 0,
    process: str = WEB,
) -> Seat:
    """The seat of a unit whose private directory is called `name`."""
    configuration = Configuration.from_document(release.configuration)
    return Seat(
        place=place,
        release=release,
        configuration=configuration,
        type=type_of(machinery, configuration, place, process),
        address=address,
        port=port,
        directory=machinery.places.release(place, release.number),
        private=machinery.places.private(place, name),
        account=await account_of(machinery, place),
        told=machinery.site_variables(*place),
    )


async def unpack_release(machinery: Machinery, place: Place, release: Any) -> None:
    """Have the release's directory there. Raises ObjectMissing, ObjectDamaged, UnpackFailed."""
    persistent = Configuration.from_document(release.configuration).site.run.persistent
    account = await account_of(machinery, place)
    await machinery.places.unpack(place, release.number, release.bundle_digest, persistent, account)


async def account_of(machinery: Machinery, place: Place) -> Account | None:
    """The account that everything of a project runs as; None where there is none apart."""

    def look(tx: Transaction) -> Account | None:
        return machinery.accounts.account_for(tx, place[0])

    return await machinery.database.run(look)


def type_of(machinery: Machinery, configuration: Configuration, place: Place, process: str) -> InstanceType:
    """The type of a kind of process: its own, or that of the environment."""
    plan = configuration.plan(place[1])
    kind = next((each for each in plan.processes if each.name == process), None)
    return machinery.types[(kind.type if kind else None) or plan.type]
