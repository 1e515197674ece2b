"""The SELECTs of the index of similar bugs and the structs of their rows."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text, Uuid, any_, bindparam, cast, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from bugrelay.domain.bugs.models import Bug, BugText
from bugrelay.domain.bugs.repository import ITEM_COLUMNS, ItemRow, joined
from bugrelay.domain.bugs.similar.query import (
    MAX_PENDING,
    MAX_POSTINGS,
    MAX_TITLE_WORDS,
    MIN_POSTINGS,
    POSTINGS_SHARE,
)
from bugrelay.domain.companies.models import Application
from bugrelay.infra.db.query import Query, Row


class AskedWord(Row):
    """A word of the query, with the totals of the index; `id` is None if no indexed document has the word.

    A word that would be looked up for the title alone has a row for each block of its postings, in the order of the
    blocks; `postings` of others is None. `state` identifies the state of the index in which the row was read.
    """

    word: str
    id: int | None
    in_title: int
    in_description: int
    documents: int
    postings: bytes | None
    indexed: int
    title_length: int
    description_length: int
    pending: int
    state: str


# Changes with every fold and with every pending change.
_STATE = """
    concat_ws(' ', (SELECT xmin::text FROM similar_totals), (SELECT max(id) FROM similar_pending),
              (SELECT count(*) FROM (SELECT FROM similar_pending LIMIT {most}) AS counted))
"""

# Pending changes are counted only up to the limit. Postings are read for the words that `query.weighed` chooses for a
# title without a description: the rarest, within the limit of postings. One value with all blocks of a word would be
# larger than what PostgreSQL keeps of freed memory: the kernel would clear new pages for each query, which costs more
# than the rows. OFFSET 0 keeps the planner from reading all blocks.
_ASKED = """
    WITH totals AS MATERIALIZED (
        SELECT coalesce(t.documents, 0) AS indexed, coalesce(t.title_length, 0) AS title_length,
               coalesce(t.description_length, 0) AS description_length,
               (SELECT count(*) FROM (SELECT FROM similar_pending LIMIT {most} + 1) AS counted) AS pending
        FROM (SELECT) AS one LEFT JOIN similar_totals t ON true
    ), term AS (
        SELECT t.word, w.id, t.in_title, t.in_description, coalesce(w.documents, 0) AS documents
        FROM {words} LEFT JOIN similar_words w ON w.word = t.word
    ), placed AS (
        SELECT term.*, row_number() OVER rarest AS place, sum(documents) OVER rarest AS sum
        FROM term WINDOW rarest AS (
            PARTITION BY in_title > 0 ORDER BY documents, word COLLATE "C" ROWS UNBOUNDED PRECEDING)
    )
    SELECT p.word, p.id, p.in_title, p.in_description, p.documents, b.postings,
           t.indexed, t.title_length, t.description_length, t.pending, {state} AS state
    FROM placed p CROSS JOIN totals t LEFT JOIN LATERAL (
        SELECT block, postings FROM similar_blocks
        WHERE word = p.id AND p.in_title > 0 AND p.place <= {most_words} AND (p.place = 1 OR p.sum <= least(
            greatest({share} * (t.indexed + t.pending), {least_postings}), {most_postings}))
        OFFSET 0) AS b ON true
    ORDER BY p.id, b.block
"""


def _asked(words: str) -> Query[AskedWord]:
    statement = _ASKED.format(
        words=words,
        most_words=MAX_TITLE_WORDS,
        share=POSTINGS_SHARE,
        least_postings=MIN_POSTINGS,
        most_postings=MAX_POSTINGS,
        most=MAX_PENDING,
        state=_STATE.format(most=MAX_PENDING + 1),
    )
    return Query(text(statement), AskedWord, binary=True)


ASKED_TEXTS = _asked("similar_tokens(search_document(:title, '', :description)) AS t")
# The subquery hides the number of words from the planner, which would otherwise make a new plan for each query.
ASKED_WORDS = _asked(
    "(SELECT word, 1 AS in_title, 0 AS in_description"
    " FROM unnest((SELECT CAST(:words AS text[]))) AS word) AS t"
)


class Block(Row):
    word: int
    postings: bytes


BLOCKS = Query(
    text(
        "SELECT word, postings FROM similar_blocks WHERE word = ANY(CAST(:words AS int[])) ORDER BY word, block"
    ),
    Block,
    binary=True,
)


class Estimate(Row):
    """The planner's estimates: `bugs` is the number of bugs; `share` the fraction of them that have the word."""

    bugs: float
    word: str | None
    share: float | None


# Used while most of the board is not indexed yet. Words that the planner's statistics do not have are rare.
ESTIMATES = Query(
    text(
        "SELECT greatest(c.reltuples, 0) AS bugs, e.word, e.share FROM pg_class c LEFT JOIN ("
        "  SELECT u.word, u.share FROM pg_stats s,"
        "  unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) AS u(word, share)"
        "  WHERE s.schemaname = 'public' AND s.tablename = 'bug_search' AND s.attname = 'document'"
        "    AND u.word = ANY(CAST(:words AS text[]))"
        ") AS e ON true WHERE c.oid = 'bug_search'::regclass"
    ),
    Estimate,
)

_ALL_PENDING = "SELECT DISTINCT bug_id FROM similar_pending LIMIT :most"

# For a long queue: the bugs that were changed last, and for each of the query's rarest words the newest bugs with it;
# for each, since it is unknown how many of the queue have it. The inner limit bounds the cost of a word that is not
# rare after all, and keeps the planner from scanning all bugs by their time.
_LIKELY_PENDING = """
    SELECT bug_id FROM (SELECT bug_id FROM similar_pending ORDER BY id DESC LIMIT :newest) AS newest
    UNION
    SELECT found.bug_id FROM unnest(CAST(:rarest AS text[])) AS rarest(word) CROSS JOIN LATERAL (
        SELECT s.bug_id FROM (
            SELECT bug_id, created_at FROM bug_search WHERE document @@ rarest.word::tsquery LIMIT 2000) AS s
        WHERE s.created_at <= :until AND EXISTS (SELECT FROM similar_pending p WHERE p.bug_id = s.bug_id)
        ORDER BY s.created_at DESC LIMIT :each) AS found
"""


class PendingText(Row):
    """A pending bug: the share of its title's words that the query has (`cover`), and the query's words that it has,
    with their weights."""

    bug_id: str
    cover: float
    words: list[str]
    weights: list[int]


def _pending(chosen: str) -> Query[PendingText]:
    return Query(
        text(
            f"""
            WITH token AS MATERIALIZED (
                SELECT b.id, t.word, t.in_title, t.in_description
                FROM ({chosen}) AS p JOIN bugs b ON b.id = p.bug_id,
                similar_tokens(similar_document(b.id)) AS t
                WHERE b.removed_at IS NULL AND b.created_at <= :until
            ), bug AS (
                SELECT id, sum(in_title) AS title, sum(in_description) AS description,
                       count(*) FILTER (WHERE in_title > 0 AND word = ANY(CAST(:known AS text[])))::float8
                       / greatest(count(*) FILTER (WHERE in_title > 0), 1) AS cover
                FROM token GROUP BY id
            )
            SELECT b.id::text AS bug_id, b.cover, array_agg(t.word) AS words,
                   array_agg(similar_weight(
                       t.in_title, t.in_description, b.title, b.description,
                       CAST(:title_average AS float8), CAST(:description_average AS float8))) AS weights
            FROM bug b JOIN token t ON t.id = b.id AND t.word = ANY(CAST(:asked AS text[]))
            GROUP BY b.id, b.cover
            """  # noqa: S608 - one of two constants
        ),
        PendingText,
    )


PENDING = _pending(_ALL_PENDING)
LIKELY_PENDING = _pending(_LIKELY_PENDING)


class Candidate(Row):
    """A candidate with the values that its rank depends on.

    `number` is its document's, None for a pending bug, as is `title_words`; `shown_id` is the bug that it is shown as.
    """

    bug_id: str
    number: int | None
    created_at: datetime
    title_similarity: float
    shown_id: str
    title_words: list[int] | None
    title: str
    application_id: str


# The survivor of each merged candidate: the bug at the end of its merge chain. A candidate that is not listed and has
# no listed survivor has none. OFFSET 0 keeps the planner from reading all bugs instead of some hundred by their keys.
_SURVIVORS = """
        above AS (
            SELECT id AS bug_id, merged_into_id AS id FROM candidate WHERE merged_into_id IS NOT NULL
            UNION
            SELECT a.bug_id, b.merged_into_id FROM above a CROSS JOIN LATERAL (
                SELECT merged_into_id FROM bugs
                WHERE id = a.id AND removed_at IS NULL AND merged_into_id IS NOT NULL OFFSET 0) AS b
        ), survivor AS MATERIALIZED (
            SELECT a.bug_id, a.id FROM above a CROSS JOIN LATERAL (
                SELECT FROM bugs WHERE id = a.id AND removed_at IS NULL AND merged_into_id IS NULL OFFSET 0) AS b
        )
"""

# The candidates, by documents and by pending bugs. Documents of pending bugs are left out, since they are outdated.
CANDIDATES = Query(
    text(
        f"""
        WITH RECURSIVE candidate AS MATERIALIZED (
            SELECT b.*, d.no, d.title_words
            FROM similar_docs d CROSS JOIN LATERAL (
                SELECT id, title, application_id, created_at, removed_at, merged_into_id FROM bugs
                WHERE id = d.bug_id OFFSET 0) AS b
            WHERE d.no = ANY(CAST(:numbers AS int[])) AND b.removed_at IS NULL AND b.created_at <= :until
              AND NOT EXISTS (SELECT FROM similar_pending p WHERE p.bug_id = d.bug_id)
            UNION ALL
            SELECT id, title, application_id, created_at, removed_at, merged_into_id, NULL, NULL
            FROM bugs WHERE id = ANY(CAST(:pending AS uuid[])) AND removed_at IS NULL
        ), {_SURVIVORS}
        SELECT c.id::text AS bug_id, c.no AS number, c.created_at, similarity(c.title, :title) AS title_similarity,
               coalesce(s.id, c.id)::text AS shown_id, c.title_words, c.title, c.application_id::text AS application_id
        FROM candidate c LEFT JOIN survivor s ON s.bug_id = c.id
        WHERE c.merged_into_id IS NULL OR s.id IS NOT NULL
        """  # noqa: S608 - a constant
    ),
    Candidate,
)


# The same for a search, ranked in SQL by text, age and the titles of pending bugs and of the first `:compared`
# documents. The result is the bugs that are shown, best first, as one array, which is less work than a row for each.
class RankedBugs(Row):
    """Ids as the text of an array, the score at the position `:enough`, and the state of the index that was read."""

    ids: str
    least_score: float | None
    state: str


RANKED = Query(
    text(
        f"""
        WITH RECURSIVE candidate AS MATERIALIZED (
            SELECT b.id, b.merged_into_id, b.created_at, a.score,
                   CASE WHEN a.place <= :compared THEN similarity(b.title, :title) ELSE 0 END AS title_similarity
            FROM unnest(CAST(:numbers AS int[]), CAST(:scores AS float8[])) WITH ORDINALITY AS a(no, score, place)
            CROSS JOIN LATERAL (
                SELECT b.id, b.title, b.created_at, b.merged_into_id
                FROM similar_docs d JOIN bugs b ON b.id = d.bug_id
                WHERE d.no = a.no AND b.removed_at IS NULL AND b.created_at <= :until
                  AND NOT EXISTS (SELECT FROM similar_pending p WHERE p.bug_id = d.bug_id) OFFSET 0) AS b
            UNION ALL
            SELECT b.id, b.merged_into_id, b.created_at, a.score, similarity(b.title, :title)
            FROM unnest(CAST(:pending AS uuid[]), CAST(:pending_scores AS float8[])) AS a(id, score)
            JOIN bugs b ON b.id = a.id WHERE b.removed_at IS NULL
        ), {_SURVIVORS}, family AS (
            SELECT coalesce(s.id, c.id) AS id, max(
                c.score + CAST(:trigrams AS float8) * c.title_similarity - CAST(:age AS float8)
                * ln(1 + abs(date_part('epoch', CAST(:at AS timestamptz) - c.created_at)) / 86400)) AS score
            FROM candidate c LEFT JOIN survivor s ON s.bug_id = c.id
            WHERE c.merged_into_id IS NULL OR s.id IS NOT NULL
            GROUP BY 1
        )
        SELECT coalesce(array_agg(id ORDER BY score DESC, id)::text, '{{}}') AS ids,
               (array_agg(score ORDER BY score DESC, id))[CAST(:enough AS int)] AS least_score,
               {_STATE.format(most=MAX_PENDING + 1)} AS state
        FROM family
        """  # noqa: S608 - constants
    ),
    RankedBugs,
)


class DocumentWords(Row):
    no: int
    words: list[int]


WORDS = Query(
    text("SELECT no, words FROM similar_docs WHERE no = ANY(CAST(:numbers AS int[]))"), DocumentWords
)

APPLICATIONS_NAMED = Query(
    select(cast(Application.id, Text)).where(Application.name_key == bindparam("name_key")), str
)


class AskedBug(Row):
    """The fields of an existing bug that are used as a query."""

    title: str
    description: str
    application_id: str
    created_at: datetime


BUG = Query(
    select(
        Bug.title,
        BugText.description,
        cast(Bug.application_id, Text).label("application_id"),
        Bug.created_at,
    )
    .join(BugText, BugText.bug_id == Bug.id)
    .where(Bug.id == bindparam("bug_id")),
    AskedBug,
)

SHOWN = Query(
    select(*ITEM_COLUMNS)
    .select_from(joined(Bug.__table__))
    .where(Bug.id == any_(bindparam("ids", type_=ARRAY(Uuid)))),
    ItemRow,
)
