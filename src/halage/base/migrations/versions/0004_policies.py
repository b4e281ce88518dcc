"""Policies: by which one each deployment goes, and how far it is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. Deployments that are under way go on by today's default, one instance at a time."""
    op.create_table(
        "rollouts",
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("policy", sa.String(length=20), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("halted", sa.Text(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("timeline", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_rollouts_deployment_id_deployments")
        ),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_rollouts")),
    )
    op.execute(
        "INSERT INTO rollouts (deployment_id, policy, batch, timeline) "
        "SELECT id, 'rolling_additional', 0, '[]' FROM deployments WHERE state IN ('running', 'rolling_back')"
    )
