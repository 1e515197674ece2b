"""The index of similar bugs: words, documents, postings in blocks, and what is still to be folded into it."""

from __future__ import annotations

from alembic import op

from bugrelay.migrate import create_functions

revision = "0011"
down_revision = "0010"

# Rows of similar_words and similar_blocks are updated over and over, none of them in an indexed column. Postings are
# packed already: compressing them again would only cost time.
_TABLES = """
CREATE TABLE similar_words (
    id integer GENERATED ALWAYS AS IDENTITY, word text NOT NULL, documents integer DEFAULT 0 NOT NULL,
    CONSTRAINT pk_similar_words PRIMARY KEY (id)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX uq_similar_words_word ON similar_words (word);
CREATE TABLE similar_docs (
    no integer GENERATED ALWAYS AS IDENTITY, bug_id uuid NOT NULL, day integer NOT NULL, title_length integer NOT NULL,
    description_length integer NOT NULL, title_words integer[] NOT NULL, words integer[] NOT NULL, weights bytea NOT NULL,
    CONSTRAINT pk_similar_docs PRIMARY KEY (no)
);
CREATE UNIQUE INDEX uq_similar_docs_bug_id ON similar_docs (bug_id);
CREATE TABLE similar_blocks (
    word integer NOT NULL, block integer NOT NULL, n integer NOT NULL, postings bytea NOT NULL,
    CONSTRAINT pk_similar_blocks PRIMARY KEY (word, block)
) WITH (fillfactor = 70);
ALTER TABLE similar_blocks ALTER COLUMN postings SET STORAGE EXTERNAL;
CREATE TABLE similar_totals (
    id integer NOT NULL, documents bigint NOT NULL, title_length bigint NOT NULL, description_length bigint NOT NULL,
    CONSTRAINT pk_similar_totals PRIMARY KEY (id)
);
CREATE TABLE similar_pending (
    id bigint GENERATED ALWAYS AS IDENTITY, bug_id uuid NOT NULL,
    CONSTRAINT pk_similar_pending PRIMARY KEY (id)
);
CREATE INDEX ix_similar_pending_bug_id ON similar_pending (bug_id);
"""

# A bug is inserted before its text, so the text's trigger tells of a new one.
_TRIGGERS = """
CREATE TRIGGER similar_on_bug AFTER UPDATE OF title, created_at, removed_at ON bugs FOR EACH ROW
    WHEN ((OLD.title, OLD.created_at, OLD.removed_at) IS DISTINCT FROM (NEW.title, NEW.created_at, NEW.removed_at))
    EXECUTE FUNCTION similar_on_bug();
CREATE TRIGGER similar_on_bug_deleted AFTER DELETE ON bugs FOR EACH ROW EXECUTE FUNCTION similar_on_bug();
CREATE TRIGGER similar_on_text AFTER INSERT OR UPDATE OF description ON bug_texts FOR EACH ROW
    EXECUTE FUNCTION similar_on_text();
"""


def upgrade() -> None:
    op.execute(_TABLES)
    create_functions(
        "similar_document",
        "similar_tokens",
        "similar_weight",
        "similar_without",
        "similar_remove",
        "similar_add",
        "similar_post",
        "similar_fold",
        "similar_on_bug",
        "similar_on_text",
    )
    op.execute(_TRIGGERS)
