"""What all tables share: the metadata that they register in and the column types."""

from sqlalchemy import JSON, Float, MetaData

Instant = Float(precision=53)
"""Column type of a moment: seconds since the Unix epoch, UTC."""

Document = JSON(none_as_null=True)
"""Column type of a small JSON document."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every domain's tables register here; tests compare it with what the migrations make."""
