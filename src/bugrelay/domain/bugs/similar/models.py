"""The tables of the index. Triggers write `similar_pending`, and `similar_fold` (migrations/sql) the others.

A document is one version of a bug's text: an edit creates another one with a new number. Numbers only grow.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, Integer, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base


class SimilarWord(Base):
    """A word (a lexeme of the search documents) and its document frequency."""

    __tablename__ = "similar_words"
    __table_args__ = (Index("uq_similar_words_word", "word", unique=True),)

    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    word: Mapped[str] = mapped_column(Text)
    documents: Mapped[int] = mapped_column(server_default="0")


class SimilarDocument(Base):
    """The document of a bug that is not removed, merged or not.

    `day` counts from 1970, lengths are in words, and `weights` has a byte for each of `words` (similar_weight).
    """

    __tablename__ = "similar_docs"
    __table_args__ = (Index("uq_similar_docs_bug_id", "bug_id", unique=True),)

    no: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    bug_id: Mapped[UUID]
    day: Mapped[int]
    title_length: Mapped[int]
    description_length: Mapped[int]
    title_words: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    words: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    weights: Mapped[bytes] = mapped_column(LargeBinary)


class SimilarBlock(Base):
    """Up to 2,048 of a word's postings, in the order of document numbers; `block` is the number of the first."""

    __tablename__ = "similar_blocks"

    word: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    block: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[int]
    postings: Mapped[bytes] = mapped_column(LargeBinary)


class SimilarTotals(Base):
    """One row: the number of documents and the sums of their lengths."""

    __tablename__ = "similar_totals"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    documents: Mapped[int] = mapped_column(BigInteger)
    title_length: Mapped[int] = mapped_column(BigInteger)
    description_length: Mapped[int] = mapped_column(BigInteger)


class SimilarPending(Base):
    """A bug whose document must be created, replaced or deleted; several rows for a bug have the effect of one."""

    __tablename__ = "similar_pending"
    __table_args__ = (Index("ix_similar_pending_bug_id", "bug_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    bug_id: Mapped[UUID]
