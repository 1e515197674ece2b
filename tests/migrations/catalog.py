"""What a database's catalog says: one line for each column, constraint, index, function, …, in no order."""

from __future__ import annotations

from typing import Any

import psycopg

# Those of extensions are the server's, not ours.
OURS = """{oid} NOT IN (SELECT objid FROM pg_depend WHERE deptype = 'e')
    AND {namespace} = 'public'::regnamespace"""

TABLES = "SELECT 'table ' || relname || ' ' || relkind::text FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S')"

COLUMNS = """
    SELECT concat_ws(' ', 'column', relname || '.' || attname, format_type(atttypid, atttypmod),
        CASE WHEN attnotnull THEN 'not null' END, 'generated ' || nullif(attgenerated::text, ''),
        'identity ' || nullif(attidentity::text, ''), 'default ' || pg_get_expr(adbin, adrelid))
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind = 'r' AND attnum > 0 AND NOT attisdropped"""

# Without those of NOT NULL, which newer versions of PostgreSQL have: a column says it already.
CONSTRAINTS = """
    SELECT 'constraint ' || conrelid::regclass::text || '.' || conname || ' ' || pg_get_constraintdef(pg_constraint.oid)
        || CASE WHEN convalidated THEN '' ELSE ' not valid' END
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid WHERE contype <> 'n'"""

INDEXES = """
    SELECT 'index ' || pg_get_indexdef(indexrelid) || CASE WHEN indisvalid THEN '' ELSE ' invalid' END
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE TRUE"""

TRIGGERS = """
    SELECT 'trigger ' || pg_get_triggerdef(pg_trigger.oid) || ' ' || tgenabled::text
    FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal"""

FUNCTIONS = "SELECT pg_get_functiondef(pg_proc.oid) FROM pg_proc WHERE prokind = 'f'"

TYPES = """
    SELECT 'type ' || typname || ' ' || coalesce((SELECT string_agg(enumlabel, ', ' ORDER BY enumsortorder) FROM pg_enum
        WHERE enumtypid = pg_type.oid), '') FROM pg_type WHERE typtype IN ('c', 'd', 'e')"""

TEXT_SEARCH = """
    SELECT 'text search ' || cfgname || ' ' || maptokentype || ' ' || mapseqno || ' ' || mapdict::regdictionary::text
    FROM pg_ts_config JOIN pg_ts_config_map ON mapcfg = pg_ts_config.oid WHERE TRUE"""

EXTENSIONS = "SELECT 'extension ' || extname FROM pg_extension"

Lines = set[str]


def of_tables(connection: psycopg.Connection[Any]) -> Lines:
    """What tables are made of; what SQLAlchemy's models can say."""
    ours = OURS.format(oid="pg_class.oid", namespace="relnamespace")
    return _lines(connection, *(f"{query} AND {ours}" for query in (TABLES, COLUMNS, CONSTRAINTS, INDEXES)))


def of_everything(connection: psycopg.Connection[Any]) -> Lines:
    others = (
        f"{TRIGGERS} AND {OURS.format(oid='pg_class.oid', namespace='relnamespace')}",
        f"{FUNCTIONS} AND {OURS.format(oid='pg_proc.oid', namespace='pronamespace')}",
        f"{TYPES} AND {OURS.format(oid='pg_type.oid', namespace='typnamespace')}",
        f"{TEXT_SEARCH} AND {OURS.format(oid='pg_ts_config.oid', namespace='cfgnamespace')}",
        EXTENSIONS,
    )
    return of_tables(connection) | _lines(connection, *others)


def _lines(connection: psycopg.Connection[Any], *queries: str) -> Lines:
    return {line for query in queries for (line,) in connection.execute(query)}
