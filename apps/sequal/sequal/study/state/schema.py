"""The ledger's tables, each row under the study that it belongs to."""

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text

__all__ = ["METADATA", "label_checks", "leases", "locks", "refined", "rounds", "scores", "skips"]

METADATA = MetaData()

scores = Table(
    "scores",
    METADATA,
    Column("study", String(64), primary_key=True),
    Column("image", String(512), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("acquisition", String(64), primary_key=True),
    Column("score", Float(53)),
    Column("scored_at", Float(53), nullable=False),
)

# The images of a checkpoint by falling score, without reading the others.
Index(
    "scores_by_score",
    scores.c.study,
    scores.c.digest,
    scores.c.acquisition,
    scores.c.score,
    scores.c.image,
)

refined = Table(
    "refined",
    METADATA,
    Column("study", String(64), primary_key=True),
    Column("image", String(512), primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("label_digest", String(64), nullable=False),
    Column("checkpoint_digest", String(64), nullable=False),
    Column("fraction_changed", Float(53), nullable=False),
    Column("fusion_lambda", Float(53), nullable=False),
    Column("created_at", Float(53), nullable=False),
)

rounds = Table(
    "rounds",
    METADATA,
    Column("study", String(64), primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("status", String(16), nullable=False),
    Column("started_at", Float(53), nullable=False),
    Column("finished_at", Float(53)),
    Column("settings", JSON, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("train_ids", JSON, nullable=False),
    Column("validation_ids", JSON, nullable=False),
    Column("unlabelled_count", Integer, nullable=False),
    Column("metrics", JSON),
    Column("seconds", Float(53)),
    Column("checkpoint_digest", String(64)),
    Column("reason", Text),
)

leases = Table(
    "leases",
    METADATA,
    Column("study", String(64), primary_key=True),
    Column("image", String(512), primary_key=True),
    Column("client", String(256), nullable=False),
    Column("until", Float(53), nullable=False),
    Column("created", Float(53), nullable=False),
)

skips = Table(
    "skips",
    METADATA,
    Column("study", String(64), primary_key=True),
    Column("image", String(512), primary_key=True),
    Column("client", String(256), nullable=False),
    Column("reason", Text, nullable=False),
    Column("skipped_at", Float(53), nullable=False),
)

label_checks = Table(
    "label_checks",
    METADATA,
    Column("study", String(64), primary_key=True),
    Column("image", String(512), primary_key=True),
    Column("checkpoint_digest", String(64), nullable=False),
    Column("predicted_dice", Float(53)),
    Column("dice", Float(53), nullable=False),
    Column("sizes", JSON, nullable=False),
    Column("checked_at", Float(53), nullable=False),
)

locks = Table(
    "locks",
    METADATA,
    Column("study", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("holder", String(256), nullable=False),
    Column("until", Float(53), nullable=False),
)
