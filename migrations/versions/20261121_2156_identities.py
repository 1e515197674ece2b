"""Identities of providers, sign-ins that are under way at one, and the codes that clients exchange."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"

_TABLES = """
CREATE TABLE user_identities (
    id uuid NOT NULL, user_id uuid NOT NULL, provider varchar NOT NULL, issuer varchar NOT NULL,
    subject varchar NOT NULL, email varchar, created_at timestamptz DEFAULT now() NOT NULL,
    last_used_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_user_identities PRIMARY KEY (id),
    CONSTRAINT fk_user_identities_user_id_users FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_user_identities_issuer_subject ON user_identities (issuer, subject);
CREATE UNIQUE INDEX uq_user_identities_user_id_provider ON user_identities (user_id, provider);
CREATE TABLE oauth_requests (
    id uuid NOT NULL, state_hash bytea NOT NULL, browser_hash bytea, provider varchar NOT NULL,
    return_to varchar NOT NULL, code_challenge varchar NOT NULL, session_id uuid,
    created_at timestamptz DEFAULT now() NOT NULL, expires_at timestamptz NOT NULL,
    CONSTRAINT pk_oauth_requests PRIMARY KEY (id),
    CONSTRAINT fk_oauth_requests_session_id_sessions FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_oauth_requests_state_hash ON oauth_requests (state_hash);
CREATE INDEX ix_oauth_requests_session_id ON oauth_requests (session_id);
CREATE TABLE oauth_codes (
    id uuid NOT NULL, code_hash bytea NOT NULL, code_challenge varchar NOT NULL, identity_id uuid, session_id uuid,
    provider varchar NOT NULL, issuer varchar, subject varchar, email varchar,
    created_at timestamptz DEFAULT now() NOT NULL, expires_at timestamptz NOT NULL,
    CONSTRAINT pk_oauth_codes PRIMARY KEY (id),
    CONSTRAINT ck_oauth_codes_one_purpose CHECK ((identity_id IS NULL) <> (session_id IS NULL)),
    CONSTRAINT fk_oauth_codes_identity_id_user_identities FOREIGN KEY (identity_id) REFERENCES user_identities (id)
        ON DELETE CASCADE,
    CONSTRAINT fk_oauth_codes_session_id_sessions FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_oauth_codes_code_hash ON oauth_codes (code_hash);
CREATE INDEX ix_oauth_codes_identity_id ON oauth_codes (identity_id);
CREATE INDEX ix_oauth_codes_session_id ON oauth_codes (session_id);
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '200ms'")
    op.execute(_TABLES)
