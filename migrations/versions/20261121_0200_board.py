"""The public board: accounts, companies, bugs, search.

Migrations only go forward: what a downgrade would drop, nobody could bring back.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from bugrelay.migrate import create_functions

revision = "0001"
down_revision = None

# docs/adr/0005-search.md has the reasons.
_SEARCH_CONFIGURATION = """
CREATE TEXT SEARCH CONFIGURATION bugrelay (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION bugrelay
    ALTER MAPPING FOR word, numword, asciiword WITH unaccent, english_stem;
"""

# A bug is inserted before its text, so the text's trigger makes the first document.
_SEARCH_TRIGGERS = """
CREATE TRIGGER search_on_bug AFTER UPDATE OF title, application_id, removed_at, merged_into_id ON bugs
    FOR EACH ROW EXECUTE FUNCTION search_on_bug();
CREATE TRIGGER search_on_text AFTER INSERT OR UPDATE OF description ON bug_texts
    FOR EACH ROW EXECUTE FUNCTION search_on_text();
CREATE TRIGGER search_on_application AFTER UPDATE OF name ON applications
    FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION search_on_application();
"""


def upgrade() -> None:
    for extension in ("pg_trgm", "unaccent"):
        op.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    op.create_table(
        "captcha_tokens",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_captcha_tokens")),
    )
    op.create_table(
        "companies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("verified", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("url", sa.String(), nullable=True),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_companies")),
    )
    op.create_index(
        "ix_companies_name_trgm",
        "companies",
        [sa.literal_column("lower(name) gin_trgm_ops")],
        unique=False,
        postgresql_using="gin",
    )
    op.create_index("uq_companies_domain", "companies", ["domain"], unique=True)
    op.create_table(
        "idempotency_keys",
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("email_key", sa.String(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=True),
        sa.Column("avatar_url", sa.String(), nullable=True),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("auth_provider", sa.String(), server_default="password", nullable=False),
        sa.Column("is_email_verified", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("is_admin", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("banned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "last_active_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index("uq_users_email_key", "users", ["email_key"], unique=True)
    op.create_index("uq_users_username", "users", [sa.literal_column("lower(username)")], unique=True)
    op.create_table(
        "applications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), server_default="", nullable=False),
        sa.Column("url", sa.String(), nullable=True),
        sa.Column("company_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_applications_company_id_companies"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_applications")),
    )
    op.create_index("ix_applications_company_id", "applications", ["company_id"], unique=False)
    op.create_index(
        "ix_applications_name_key_trgm",
        "applications",
        [sa.literal_column("name_key gin_trgm_ops")],
        unique=False,
        postgresql_using="gin",
    )
    op.create_index("uq_applications_name_key_domain", "applications", ["name_key", "domain"], unique=True)
    op.create_table(
        "company_members",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("role IN ('admin', 'member')", name=op.f("ck_company_members_role_is_known")),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_company_members_company_id_companies"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_company_members_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company_members")),
    )
    op.create_index("ix_company_members_user_id", "company_members", ["user_id"], unique=False)
    op.create_index(
        "uq_company_members_company_id_user_id", "company_members", ["company_id", "user_id"], unique=True
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("ip_address", sa.String(), nullable=True),
        sa.Column("user_agent", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "last_used_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_sessions_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], unique=False)
    op.create_table(
        "bugs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("status", sa.String(), server_default="open", nullable=False),
        sa.Column("priority", sa.String(), server_default="medium", nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("assigned_company_id", sa.Uuid(), nullable=True),
        sa.Column("reporter_id", sa.Uuid(), nullable=True),
        sa.Column("vote_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("recent_vote_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("comment_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("merged_into_id", sa.Uuid(), nullable=True),
        sa.Column("external_id", sa.String(), nullable=True),
        sa.CheckConstraint(
            "priority IN ('low', 'medium', 'high', 'critical')", name=op.f("ck_bugs_priority_is_known")
        ),
        sa.CheckConstraint(
            "status IN ('open', 'reviewing', 'fixed', 'wont_fix')", name=op.f("ck_bugs_status_is_known")
        ),
        sa.CheckConstraint(
            "vote_count >= 0 AND recent_vote_count >= 0 AND comment_count >= 0",
            name=op.f("ck_bugs_counters_are_counts"),
        ),
        sa.ForeignKeyConstraint(
            ["application_id"], ["applications.id"], name=op.f("fk_bugs_application_id_applications")
        ),
        sa.ForeignKeyConstraint(
            ["assigned_company_id"], ["companies.id"], name=op.f("fk_bugs_assigned_company_id_companies")
        ),
        sa.ForeignKeyConstraint(["merged_into_id"], ["bugs.id"], name=op.f("fk_bugs_merged_into_id_bugs")),
        sa.ForeignKeyConstraint(["reporter_id"], ["users.id"], name=op.f("fk_bugs_reporter_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bugs")),
    )
    op.create_index(
        "ix_bugs_application_recent", "bugs", ["application_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_bugs_company_recent", "bugs", ["assigned_company_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_bugs_merged_into_id",
        "bugs",
        ["merged_into_id"],
        unique=False,
        postgresql_where=sa.text("merged_into_id IS NOT NULL"),
    )
    op.create_index(
        "ix_bugs_popular",
        "bugs",
        ["vote_count", "created_at", "id"],
        unique=False,
        postgresql_where=sa.text("removed_at IS NULL AND merged_into_id IS NULL"),
    )
    op.create_index(
        "ix_bugs_priority_recent",
        "bugs",
        ["priority", "created_at", "id"],
        unique=False,
        postgresql_where=sa.text("removed_at IS NULL AND merged_into_id IS NULL"),
    )
    op.create_index(
        "ix_bugs_recent",
        "bugs",
        ["created_at", "id"],
        unique=False,
        postgresql_where=sa.text("removed_at IS NULL AND merged_into_id IS NULL"),
    )
    op.create_index("ix_bugs_reporter_recent", "bugs", ["reporter_id", "created_at", "id"], unique=False)
    op.create_index(
        "ix_bugs_status_recent",
        "bugs",
        ["status", "created_at", "id"],
        unique=False,
        postgresql_where=sa.text("removed_at IS NULL AND merged_into_id IS NULL"),
    )
    op.create_index("ix_bugs_tags", "bugs", ["tags"], unique=False, postgresql_using="gin")
    op.create_index(
        "ix_bugs_trending",
        "bugs",
        ["recent_vote_count", "vote_count", "created_at", "id"],
        unique=False,
        postgresql_where=sa.text("removed_at IS NULL AND merged_into_id IS NULL"),
    )
    op.create_index(
        "uq_bugs_external_id",
        "bugs",
        ["external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("length(token_hash) = 32", name=op.f("ck_refresh_tokens_token_hash_is_sha256")),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name=op.f("fk_refresh_tokens_session_id_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_tokens")),
    )
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"], unique=False)
    op.create_index("uq_refresh_tokens_token_hash", "refresh_tokens", ["token_hash"], unique=True)
    op.create_table(
        "attachments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bug_id", sa.Uuid(), nullable=False),
        sa.Column("origin_bug_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("storage_key", sa.String(), nullable=False),
        sa.Column("file_size", sa.Integer(), nullable=False),
        sa.Column("mime_type", sa.String(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["bug_id"], ["bugs.id"], name=op.f("fk_attachments_bug_id_bugs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["origin_bug_id"], ["bugs.id"], name=op.f("fk_attachments_origin_bug_id_bugs")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_attachments_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachments")),
    )
    op.create_index("ix_attachments_bug_id", "attachments", ["bug_id", "uploaded_at", "id"], unique=False)
    op.create_index("uq_attachments_storage_key", "attachments", ["storage_key"], unique=True)
    op.create_table(
        "bug_edits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bug_id", sa.Uuid(), nullable=False),
        sa.Column("before", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["bug_id"], ["bugs.id"], name=op.f("fk_bug_edits_bug_id_bugs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_bug_edits_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bug_edits")),
    )
    op.create_index("ix_bug_edits_bug_id", "bug_edits", ["bug_id", "at", "id"], unique=False)
    op.create_table(
        "bug_search",
        sa.Column("bug_id", sa.Uuid(), nullable=False),
        sa.Column("document", postgresql.TSVECTOR(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bug_id"], ["bugs.id"], name=op.f("fk_bug_search_bug_id_bugs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("bug_id", name=op.f("pk_bug_search")),
    )
    op.create_index(
        "ix_bug_search_document", "bug_search", ["document"], unique=False, postgresql_using="gin"
    )
    op.create_table(
        "bug_texts",
        sa.Column("bug_id", sa.Uuid(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("description_html", sa.String(), nullable=False),
        sa.Column("operating_system", sa.String(), nullable=True),
        sa.Column("device_type", sa.String(), nullable=True),
        sa.Column("app_version", sa.String(), nullable=True),
        sa.Column("browser_version", sa.String(), nullable=True),
        sa.Column("contact_email", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["bug_id"], ["bugs.id"], name=op.f("fk_bug_texts_bug_id_bugs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("bug_id", name=op.f("pk_bug_texts")),
    )
    op.create_table(
        "bug_votes",
        sa.Column("bug_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("is_recent", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("counted", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("merged_from_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["bug_id"], ["bugs.id"], name=op.f("fk_bug_votes_bug_id_bugs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["merged_from_id"], ["bugs.id"], name=op.f("fk_bug_votes_merged_from_id_bugs")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_bug_votes_user_id_users")),
        sa.PrimaryKeyConstraint("bug_id", "user_id", name=op.f("pk_bug_votes")),
    )
    op.create_index(
        "ix_bug_votes_recent",
        "bug_votes",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("is_recent"),
    )
    op.create_index("ix_bug_votes_user_id", "bug_votes", ["user_id", "created_at"], unique=False)
    op.create_table(
        "comments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bug_id", sa.Uuid(), nullable=False),
        sa.Column("origin_bug_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("company_id", sa.Uuid(), nullable=True),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("content_html", sa.String(), nullable=False),
        sa.Column("is_company_response", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["bug_id"], ["bugs.id"], name=op.f("fk_comments_bug_id_bugs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_comments_company_id_companies")
        ),
        sa.ForeignKeyConstraint(["origin_bug_id"], ["bugs.id"], name=op.f("fk_comments_origin_bug_id_bugs")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_comments_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_index("ix_comments_bug_id", "comments", ["bug_id", "created_at", "id"], unique=False)
    op.create_index("ix_comments_user_id", "comments", ["user_id", "created_at"], unique=False)
    op.create_table(
        "status_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bug_id", sa.Uuid(), nullable=False),
        sa.Column("from_status", sa.String(), nullable=False),
        sa.Column("to_status", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("company_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["bug_id"], ["bugs.id"], name=op.f("fk_status_changes_bug_id_bugs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_status_changes_company_id_companies")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_status_changes_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_changes")),
    )
    op.create_index("ix_status_changes_bug_id", "status_changes", ["bug_id", "at", "id"], unique=False)
    _search_what_is_written()


def _search_what_is_written() -> None:
    op.execute(_SEARCH_CONFIGURATION)
    create_functions("search_plain", "search_words", "search_grams", "search_parts", "search_stop_words")
    create_functions("search_field", "search_on_bug", "search_on_text", "search_on_application")
    op.execute(_SEARCH_TRIGGERS)
