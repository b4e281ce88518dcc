"""Numeric accounts: each project's units run under a user id of their own."""

import os

from halage.base.database import Transaction
from halage.compute.errors import AccountsExhausted
from halage.compute.model import Account
from halage.compute.store import hand_out_number, number_of, release_number

FIRST_UID = 200_000
"""Above the ids that distributions hand out to people and below systemd's dynamic and container ranges."""

LARGEST_COUNT = 100_000


class Accounts:
    """Hands out a user and group id per project; they exist as numbers only, in no passwd file."""

    def __init__(
        self, first_uid: int = FIRST_UID, count: int = LARGEST_COUNT, *, is_root: bool | None = None
    ) -> None:
        """Hand out `count` numbers above `first_uid`; `is_root` is for tests (else: whether we are)."""
        self._first_uid = first_uid
        self._count = count
        self._is_root = os.geteuid() == 0 if is_root is None else is_root

    @property
    def are_separate(self) -> bool:
        """Whether projects run apart from each other and from the server."""
        return self._is_root

    def account_for(self, tx: Transaction, project: str) -> Account | None:
        """The project's account, handed out at its first call; None when the server is not root.

        A number is never used again, also not for a later project of the same name.
        Raises AccountsExhausted.
        """
        if not self._is_root:
            return None
        number = number_of(tx, project) or hand_out_number(tx, project)
        if number > self._count:
            raise AccountsExhausted(project=project)
        return Account(self._first_uid + number, self._first_uid + number)

    def forget(self, tx: Transaction, project: str) -> None:
        """Take the account of a deleted project away. Idempotent."""
        release_number(tx, project)
