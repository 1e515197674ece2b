"""Subscriptions to bugs, notices to those who have them, and their mails."""

from __future__ import annotations

from alembic import op

from bugrelay.migrate import create_functions

revision = "0015"
down_revision = "0014"

_TABLES = """
CREATE TABLE bug_subscriptions (
    bug_id uuid NOT NULL, user_id uuid NOT NULL, level varchar NOT NULL,
    chosen_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_bug_subscriptions PRIMARY KEY (bug_id, user_id),
    CONSTRAINT ck_bug_subscriptions_level_is_known CHECK (level IN ('all', 'official', 'resolved', 'none')),
    CONSTRAINT fk_bug_subscriptions_bug_id_bugs FOREIGN KEY (bug_id) REFERENCES bugs (id) ON DELETE CASCADE,
    CONSTRAINT fk_bug_subscriptions_user_id_users FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_bug_subscriptions_user_id ON bug_subscriptions (user_id);
CREATE TABLE notice_settings (
    user_id uuid NOT NULL, mail varchar DEFAULT 'each' NOT NULL, default_level varchar DEFAULT 'all' NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_notice_settings PRIMARY KEY (user_id),
    CONSTRAINT ck_notice_settings_mail_is_known CHECK (mail IN ('each', 'digest', 'none')),
    CONSTRAINT ck_notice_settings_default_level_is_known CHECK (default_level IN ('all', 'official', 'resolved')),
    CONSTRAINT fk_notice_settings_user_id_users FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE notice_fan_outs (
    id uuid NOT NULL, stream uuid NOT NULL, seq bigint NOT NULL, type varchar NOT NULL, at timestamptz NOT NULL,
    actor_id uuid, bug_id uuid NOT NULL, comment_id uuid, from_status varchar, to_status varchar,
    levels text[] NOT NULL, position uuid, finished_at timestamptz,
    CONSTRAINT pk_notice_fan_outs PRIMARY KEY (id),
    CONSTRAINT uq_notice_fan_outs_stream_seq UNIQUE (stream, seq)
);
CREATE INDEX ix_notice_fan_outs_at ON notice_fan_outs (at);
CREATE TABLE notice_mails (
    id uuid NOT NULL, user_id uuid, contact_id uuid,
    recipient_id uuid GENERATED ALWAYS AS (coalesce(user_id, contact_id)) STORED,
    kind varchar NOT NULL, made_at timestamptz DEFAULT now() NOT NULL, due_at timestamptz NOT NULL,
    sealed_at timestamptz, attempts integer DEFAULT 0 NOT NULL, closed_at timestamptz,
    CONSTRAINT pk_notice_mails PRIMARY KEY (id),
    CONSTRAINT ck_notice_mails_kind_is_known CHECK (kind IN ('notice', 'digest')),
    CONSTRAINT ck_notice_mails_one_recipient CHECK (num_nonnulls(user_id, contact_id) = 1),
    CONSTRAINT fk_notice_mails_user_id_users FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_notice_mails_open_digest ON notice_mails (recipient_id)
    WHERE kind = 'digest' AND sealed_at IS NULL;
CREATE INDEX ix_notice_mails_due ON notice_mails (due_at, id) WHERE closed_at IS NULL;
CREATE INDEX ix_notice_mails_recipient_id ON notice_mails (recipient_id, made_at);
CREATE TABLE notices (
    id uuid NOT NULL, fan_out_id uuid NOT NULL, user_id uuid, contact_id uuid,
    recipient_id uuid GENERATED ALWAYS AS (coalesce(user_id, contact_id)) STORED,
    mail_id uuid, created_at timestamptz DEFAULT now() NOT NULL, read_at timestamptz,
    CONSTRAINT pk_notices PRIMARY KEY (id),
    CONSTRAINT ck_notices_one_recipient CHECK (num_nonnulls(user_id, contact_id) = 1),
    CONSTRAINT uq_notices_fan_out_id_recipient_id UNIQUE (fan_out_id, recipient_id),
    CONSTRAINT fk_notices_fan_out_id_notice_fan_outs
        FOREIGN KEY (fan_out_id) REFERENCES notice_fan_outs (id) ON DELETE CASCADE,
    CONSTRAINT fk_notices_user_id_users FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT fk_notices_mail_id_notice_mails FOREIGN KEY (mail_id) REFERENCES notice_mails (id) ON DELETE SET NULL
);
CREATE INDEX ix_notices_user_id ON notices (user_id, id);
CREATE INDEX ix_notices_mail_id ON notices (mail_id) WHERE mail_id IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(_TABLES)
    create_functions(
        "uuid7",
        "subscription_level",
        "bug_survivor",
        "merged_bugs",
        "bug_subscription",
    )
