"""Who is a member of which project. Store functions: the transaction comes first."""

from sqlalchemy import delete, insert, select, update

from halage.access.model import Role
from halage.access.people import get_user
from halage.access.store import members
from halage.base.database import Transaction


def put_member(tx: Transaction, project: str, user: str, role: Role | None, actor: str) -> None:
    """Give a person a role in a project, or (None) take it away; says nothing when nothing changes.

    The project's domain calls it in its own transaction too, so that a project is never without
    the one who made it. Raises NoSuchUser.
    """
    get_user(tx, user)
    key = (members.c.project == project, members.c.user == user)
    held = tx.execute(select(members.c.role).where(*key)).scalar_one_or_none()
    if held == role:
        return
    if role is None:
        tx.change(delete(members).where(*key))
    elif held is None:
        tx.execute(insert(members).values(project=project, user=user, role=role.value))
    else:
        tx.change(update(members).where(*key).values(role=role.value))
    tx.record(
        "project:SetMember",
        actor=actor,
        subject=f"project/{project}",
        project=project,
        before={"role": held} if held is not None else None,
        after={"role": role.value} if role is not None else None,
        user=user,
        role=role and role.value,
    )


def get_members(tx: Transaction, project: str) -> dict[str, Role]:
    """Role by user name, in the order of names."""
    rows = tx.execute(select(members).where(members.c.project == project).order_by(members.c.user))
    return {row.user: Role(row.role) for row in rows}


def drop_members(tx: Transaction, project: str) -> None:
    """Forget every role in a project that is deleted, so that a later one of its name starts empty."""
    tx.change(delete(members).where(members.c.project == project))
