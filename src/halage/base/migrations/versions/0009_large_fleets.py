"""Large fleets: living instances and used ports are found without a look at those that have ended."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.drop_index("ix_instances_place")
        batch_op.create_index("ix_instances_place", ["project", "environment", "state"], unique=False)
        batch_op.create_index("ix_instances_port", ["port"], unique=False)
