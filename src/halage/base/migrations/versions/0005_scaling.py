"""Scaling: its memory and its decisions; the kind of process of an instance, and its protection."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.add_column(sa.Column("process", sa.String(length=63), nullable=False, server_default="web"))
        batch_op.add_column(
            sa.Column("is_protected", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    op.create_table(
        "scaling_states",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("process", sa.String(length=63), nullable=False),
        sa.Column("instances", sa.Integer(), nullable=True),
        sa.Column("out_at", sa.Float(precision=53), nullable=True),
        sa.Column("in_at", sa.Float(precision=53), nullable=True),
        sa.Column("sized_at", sa.Float(precision=53), nullable=True),
        sa.Column("suspended", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("project", "environment", "process", name=op.f("pk_scaling_states")),
    )
    op.create_table(
        "scaling_decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("process", sa.String(length=63), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("before", sa.Integer(), nullable=False),
        sa.Column("after", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("numbers", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scaling_decisions")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("scaling_decisions", schema=None) as batch_op:
        batch_op.create_index(
            "ix_scaling_decisions_place", ["project", "environment", "process"], unique=False
        )
