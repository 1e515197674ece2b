-- The last release's way to its schema, revision 0007: the statements that its migrations sent, one after the other.
-- Not a dump: what PostgreSQL prints of an expression is not always what it makes of it when it is read again.

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE EXTENSION IF NOT EXISTS unaccent;

CREATE TABLE captcha_tokens (
	token_hash BYTEA NOT NULL,
	used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_captcha_tokens PRIMARY KEY (token_hash)
);

CREATE TABLE companies (
	id UUID NOT NULL,
	name VARCHAR NOT NULL,
	domain VARCHAR NOT NULL,
	verified BOOLEAN DEFAULT 'false' NOT NULL,
	verified_at TIMESTAMP WITH TIME ZONE,
	url VARCHAR,
	description VARCHAR,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_companies PRIMARY KEY (id)
);

CREATE INDEX ix_companies_name_trgm ON companies USING gin (lower(name) gin_trgm_ops);

CREATE UNIQUE INDEX uq_companies_domain ON companies (domain);

CREATE TABLE idempotency_keys (
	key_hash BYTEA NOT NULL,
	request_hash BYTEA NOT NULL,
	status SMALLINT,
	answer BYTEA,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	claimed_until TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_idempotency_keys PRIMARY KEY (key_hash)
);

CREATE TABLE users (
	id UUID NOT NULL,
	email VARCHAR NOT NULL,
	email_key VARCHAR NOT NULL,
	username VARCHAR NOT NULL,
	display_name VARCHAR,
	avatar_url VARCHAR,
	password_hash VARCHAR,
	auth_provider VARCHAR DEFAULT 'password' NOT NULL,
	is_email_verified BOOLEAN DEFAULT 'false' NOT NULL,
	is_admin BOOLEAN DEFAULT 'false' NOT NULL,
	banned_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	last_active_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_users PRIMARY KEY (id)
);

CREATE UNIQUE INDEX uq_users_email_key ON users (email_key);

CREATE UNIQUE INDEX uq_users_username ON users (lower(username));

CREATE TABLE applications (
	id UUID NOT NULL,
	name VARCHAR NOT NULL,
	name_key VARCHAR NOT NULL,
	domain VARCHAR DEFAULT '' NOT NULL,
	url VARCHAR,
	company_id UUID,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_applications PRIMARY KEY (id),
	CONSTRAINT fk_applications_company_id_companies FOREIGN KEY(company_id) REFERENCES companies (id) ON DELETE SET NULL
);

CREATE INDEX ix_applications_company_id ON applications (company_id);

CREATE INDEX ix_applications_name_key_trgm ON applications USING gin (name_key gin_trgm_ops);

CREATE UNIQUE INDEX uq_applications_name_key_domain ON applications (name_key, domain);

CREATE TABLE company_members (
	id UUID NOT NULL,
	company_id UUID NOT NULL,
	user_id UUID NOT NULL,
	role VARCHAR NOT NULL,
	added_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_company_members PRIMARY KEY (id),
	CONSTRAINT ck_company_members_role_is_known CHECK (role IN ('admin', 'member')),
	CONSTRAINT fk_company_members_company_id_companies FOREIGN KEY(company_id) REFERENCES companies (id) ON DELETE CASCADE,
	CONSTRAINT fk_company_members_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX ix_company_members_user_id ON company_members (user_id);

CREATE UNIQUE INDEX uq_company_members_company_id_user_id ON company_members (company_id, user_id);

CREATE TABLE sessions (
	id UUID NOT NULL,
	user_id UUID NOT NULL,
	ip_address VARCHAR,
	user_agent VARCHAR,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	last_used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	ended_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_sessions PRIMARY KEY (id),
	CONSTRAINT fk_sessions_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX ix_sessions_user_id ON sessions (user_id);

CREATE TABLE bugs (
	id UUID NOT NULL,
	title VARCHAR NOT NULL,
	status VARCHAR DEFAULT 'open' NOT NULL,
	priority VARCHAR DEFAULT 'medium' NOT NULL,
	tags TEXT[] DEFAULT '{}' NOT NULL,
	application_id UUID NOT NULL,
	assigned_company_id UUID,
	reporter_id UUID,
	vote_count INTEGER DEFAULT '0' NOT NULL,
	recent_vote_count INTEGER DEFAULT '0' NOT NULL,
	comment_count INTEGER DEFAULT '0' NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	resolved_at TIMESTAMP WITH TIME ZONE,
	removed_at TIMESTAMP WITH TIME ZONE,
	merged_into_id UUID,
	external_id VARCHAR,
	CONSTRAINT pk_bugs PRIMARY KEY (id),
	CONSTRAINT ck_bugs_priority_is_known CHECK (priority IN ('low', 'medium', 'high', 'critical')),
	CONSTRAINT ck_bugs_status_is_known CHECK (status IN ('open', 'reviewing', 'fixed', 'wont_fix')),
	CONSTRAINT ck_bugs_counters_are_counts CHECK (vote_count >= 0 AND recent_vote_count >= 0 AND comment_count >= 0),
	CONSTRAINT fk_bugs_application_id_applications FOREIGN KEY(application_id) REFERENCES applications (id),
	CONSTRAINT fk_bugs_assigned_company_id_companies FOREIGN KEY(assigned_company_id) REFERENCES companies (id),
	CONSTRAINT fk_bugs_merged_into_id_bugs FOREIGN KEY(merged_into_id) REFERENCES bugs (id),
	CONSTRAINT fk_bugs_reporter_id_users FOREIGN KEY(reporter_id) REFERENCES users (id)
);

CREATE INDEX ix_bugs_application_recent ON bugs (application_id, created_at, id);

CREATE INDEX ix_bugs_company_recent ON bugs (assigned_company_id, created_at, id);

CREATE INDEX ix_bugs_merged_into_id ON bugs (merged_into_id) WHERE merged_into_id IS NOT NULL;

CREATE INDEX ix_bugs_popular ON bugs (vote_count, created_at, id) WHERE removed_at IS NULL AND merged_into_id IS NULL;

CREATE INDEX ix_bugs_priority_recent ON bugs (priority, created_at, id) WHERE removed_at IS NULL AND merged_into_id IS NULL;

CREATE INDEX ix_bugs_recent ON bugs (created_at, id) WHERE removed_at IS NULL AND merged_into_id IS NULL;

CREATE INDEX ix_bugs_reporter_recent ON bugs (reporter_id, created_at, id);

CREATE INDEX ix_bugs_status_recent ON bugs (status, created_at, id) WHERE removed_at IS NULL AND merged_into_id IS NULL;

CREATE INDEX ix_bugs_tags ON bugs USING gin (tags);

CREATE INDEX ix_bugs_trending ON bugs (recent_vote_count, vote_count, created_at, id) WHERE removed_at IS NULL AND merged_into_id IS NULL;

CREATE UNIQUE INDEX uq_bugs_external_id ON bugs (external_id) WHERE external_id IS NOT NULL;

CREATE TABLE refresh_tokens (
	id UUID NOT NULL,
	session_id UUID NOT NULL,
	token_hash BYTEA NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	used_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_refresh_tokens PRIMARY KEY (id),
	CONSTRAINT ck_refresh_tokens_token_hash_is_sha256 CHECK (length(token_hash) = 32),
	CONSTRAINT fk_refresh_tokens_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);

CREATE INDEX ix_refresh_tokens_session_id ON refresh_tokens (session_id);

CREATE UNIQUE INDEX uq_refresh_tokens_token_hash ON refresh_tokens (token_hash);

CREATE TABLE attachments (
	id UUID NOT NULL,
	bug_id UUID NOT NULL,
	origin_bug_id UUID,
	user_id UUID,
	filename VARCHAR NOT NULL,
	storage_key VARCHAR NOT NULL,
	file_size INTEGER NOT NULL,
	mime_type VARCHAR NOT NULL,
	uploaded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_attachments PRIMARY KEY (id),
	CONSTRAINT fk_attachments_bug_id_bugs FOREIGN KEY(bug_id) REFERENCES bugs (id) ON DELETE CASCADE,
	CONSTRAINT fk_attachments_origin_bug_id_bugs FOREIGN KEY(origin_bug_id) REFERENCES bugs (id),
	CONSTRAINT fk_attachments_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE INDEX ix_attachments_bug_id ON attachments (bug_id, uploaded_at, id);

CREATE UNIQUE INDEX uq_attachments_storage_key ON attachments (storage_key);

CREATE TABLE bug_edits (
	id UUID NOT NULL,
	bug_id UUID NOT NULL,
	before VARCHAR NOT NULL,
	user_id UUID,
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_bug_edits PRIMARY KEY (id),
	CONSTRAINT fk_bug_edits_bug_id_bugs FOREIGN KEY(bug_id) REFERENCES bugs (id) ON DELETE CASCADE,
	CONSTRAINT fk_bug_edits_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE INDEX ix_bug_edits_bug_id ON bug_edits (bug_id, at, id);

CREATE TABLE bug_search (
	bug_id UUID NOT NULL,
	document TSVECTOR NOT NULL,
	CONSTRAINT pk_bug_search PRIMARY KEY (bug_id),
	CONSTRAINT fk_bug_search_bug_id_bugs FOREIGN KEY(bug_id) REFERENCES bugs (id) ON DELETE CASCADE
);

CREATE INDEX ix_bug_search_document ON bug_search USING gin (document);

CREATE TABLE bug_texts (
	bug_id UUID NOT NULL,
	description VARCHAR NOT NULL,
	description_html VARCHAR NOT NULL,
	operating_system VARCHAR,
	device_type VARCHAR,
	app_version VARCHAR,
	browser_version VARCHAR,
	contact_email VARCHAR,
	CONSTRAINT pk_bug_texts PRIMARY KEY (bug_id),
	CONSTRAINT fk_bug_texts_bug_id_bugs FOREIGN KEY(bug_id) REFERENCES bugs (id) ON DELETE CASCADE
);

CREATE TABLE bug_votes (
	bug_id UUID NOT NULL,
	user_id UUID NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	is_recent BOOLEAN DEFAULT 'true' NOT NULL,
	counted BOOLEAN DEFAULT 'true' NOT NULL,
	merged_from_id UUID,
	CONSTRAINT pk_bug_votes PRIMARY KEY (bug_id, user_id),
	CONSTRAINT fk_bug_votes_bug_id_bugs FOREIGN KEY(bug_id) REFERENCES bugs (id) ON DELETE CASCADE,
	CONSTRAINT fk_bug_votes_merged_from_id_bugs FOREIGN KEY(merged_from_id) REFERENCES bugs (id),
	CONSTRAINT fk_bug_votes_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE INDEX ix_bug_votes_recent ON bug_votes (created_at) WHERE is_recent;

CREATE INDEX ix_bug_votes_user_id ON bug_votes (user_id, created_at);

CREATE TABLE comments (
	id UUID NOT NULL,
	bug_id UUID NOT NULL,
	origin_bug_id UUID,
	user_id UUID,
	company_id UUID,
	content VARCHAR NOT NULL,
	content_html VARCHAR NOT NULL,
	is_company_response BOOLEAN DEFAULT 'false' NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	edited_at TIMESTAMP WITH TIME ZONE,
	removed_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_comments PRIMARY KEY (id),
	CONSTRAINT fk_comments_bug_id_bugs FOREIGN KEY(bug_id) REFERENCES bugs (id) ON DELETE CASCADE,
	CONSTRAINT fk_comments_company_id_companies FOREIGN KEY(company_id) REFERENCES companies (id),
	CONSTRAINT fk_comments_origin_bug_id_bugs FOREIGN KEY(origin_bug_id) REFERENCES bugs (id),
	CONSTRAINT fk_comments_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE INDEX ix_comments_bug_id ON comments (bug_id, created_at, id);

CREATE INDEX ix_comments_user_id ON comments (user_id, created_at);

CREATE TABLE status_changes (
	id UUID NOT NULL,
	bug_id UUID NOT NULL,
	from_status VARCHAR NOT NULL,
	to_status VARCHAR NOT NULL,
	user_id UUID,
	company_id UUID,
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_status_changes PRIMARY KEY (id),
	CONSTRAINT fk_status_changes_bug_id_bugs FOREIGN KEY(bug_id) REFERENCES bugs (id) ON DELETE CASCADE,
	CONSTRAINT fk_status_changes_company_id_companies FOREIGN KEY(company_id) REFERENCES companies (id),
	CONSTRAINT fk_status_changes_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE INDEX ix_status_changes_bug_id ON status_changes (bug_id, at, id);

-- Full-text search: how a text becomes a search document, and the triggers that keep every document true, whoever
-- writes. docs/adr/0005-search.md has the reasons; domain/bugs/search/parser.py prepares a query by the same rules.

CREATE TEXT SEARCH CONFIGURATION bugrelay (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION bugrelay
    ALTER MAPPING FOR word, numword, asciiword WITH unaccent, english_stem;

-- Full-width letters and other compatibility forms become plain ones.
CREATE FUNCTION search_plain(t text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE WHEN octet_length(t) = char_length(t) THEN t ELSE normalize(t, NFKC) END;

-- The words of a text: the punctuation that would make host names, paths, numbers with signs and tags of it separates
-- words instead, so that `std::vector`, `foo_bar`, `a.b.c` and `<T>` are words; the rest separates for the parser
-- anyway. Scripts written without spaces are left to search_grams.
CREATE FUNCTION search_words(t text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE
    WHEN octet_length(t) = char_length(t) THEN regexp_replace(t, '[&+\-./:<>@_~]+', ' ', 'g')
    ELSE regexp_replace(t, '[&+\-./:<>@_~\u00A0\u2018\u2019\u201C\u201D\u201E\u00AB\u00BB\u2013\u2014\u2026\u00B7\u2060\u0E00-\u0EFF\u1000-\u109F\u1780-\u17FF\u3000-\u3002\u3005-\u3007\u300C\u300D\u3040-\u30FF\u31F0-\u31FF\u3400-\u4DBF\u4E00-\u9FFF\uAC00-\uD7AF\uF900-\uFAFF\U00020000-\U0003FFFF]+', ' ', 'g')
END;

-- Overlapping pairs of characters for each run of a script without spaces, then its single characters:
-- 登录失败 gives "登录 录失 失败 登 录 失 败". A phrase of pairs finds any part of a run.
CREATE FUNCTION search_grams(t text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    run text;
    pairs text := '';
    singles text := '';
BEGIN
    IF octet_length(t) = char_length(t) THEN
        RETURN '';
    END IF;
    FOR run IN SELECT m[1] FROM regexp_matches(t, '[\u0E00-\u0EFF\u1000-\u109F\u1780-\u17FF\u3005-\u3007\u3040-\u30FF\u31F0-\u31FF\u3400-\u4DBF\u4E00-\u9FFF\uAC00-\uD7AF\uF900-\uFAFF\U00020000-\U0003FFFF]+', 'g') AS m
    LOOP
        FOR i IN 1 .. char_length(run) - 1 LOOP
            pairs := pairs || ' ' || substr(run, i, 2);
        END LOOP;
        FOR i IN 1 .. char_length(run) LOOP
            singles := singles || ' ' || substr(run, i, 1);
        END LOOP;
    END LOOP;
    RETURN pairs || ' ' || singles;
END $$;

-- The parts of camel-case identifiers: NullPointerException gives "Null Pointer Exception".
CREATE FUNCTION search_parts(t text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (SELECT coalesce(string_agg(regexp_replace(regexp_replace(m[1], '([a-z0-9])([A-Z])', '\1 \2', 'g'), '([A-Z])([A-Z][a-z])', '\1 \2', 'g'), ' '), '')
        FROM regexp_matches(t, '([A-Za-z0-9]*[a-z0-9][A-Z][A-Za-z0-9]*)', 'g') AS m);

-- Words that the stemmer drops, as lexemes marked with '=': a query of stop words alone is looked up in titles.
CREATE FUNCTION search_stop_words(t text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (SELECT coalesce(array_to_tsvector(array_agg(DISTINCT '=' || w)), ''::tsvector)
        FROM unnest(string_to_array(lower(regexp_replace(search_words(t), '[!"#$%''()*,;=?\[\]\\^`{|}]+', ' ', 'g')), ' ')) AS w
        WHERE w <> '' AND ts_lexize('english_stem', w) = '{}');

CREATE FUNCTION search_field(t text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN to_tsvector('bugrelay', search_words(search_plain(t)) || ' ' || search_grams(search_plain(t)) || ' ' || search_parts(t));

-- Title (A), application name (B), description (D).
CREATE FUNCTION search_document(title text, application_name text, description text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN setweight(search_field(title), 'A') || setweight(search_field(application_name), 'B')
    || setweight(search_field(description), 'D') || search_stop_words(title);

-- One bug's document made anew; a bug that is removed or merged away has none.
CREATE FUNCTION search_refresh(refreshed uuid) RETURNS void
LANGUAGE sql AS $$
    WITH shown AS (
        SELECT b.id, search_document(b.title, a.name, t.description) AS document
        FROM bugs b JOIN applications a ON a.id = b.application_id JOIN bug_texts t ON t.bug_id = b.id
        WHERE b.id = refreshed AND b.removed_at IS NULL AND b.merged_into_id IS NULL
    ), gone AS (
        DELETE FROM bug_search WHERE bug_id = refreshed AND NOT EXISTS (SELECT FROM shown)
    )
    INSERT INTO bug_search (bug_id, document) SELECT id, document FROM shown
    ON CONFLICT (bug_id) DO UPDATE SET document = excluded.document
$$;

CREATE FUNCTION search_on_bug() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_refresh(NEW.id);
    RETURN NULL;
END $$;

CREATE FUNCTION search_on_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_refresh(NEW.bug_id);
    RETURN NULL;
END $$;

CREATE FUNCTION search_on_application() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_refresh(id) FROM bugs WHERE application_id = NEW.id;
    RETURN NULL;
END $$;

-- A bug is inserted before its text, so the text's trigger makes the first document.
CREATE TRIGGER search_on_bug AFTER UPDATE OF title, application_id, removed_at, merged_into_id ON bugs
    FOR EACH ROW EXECUTE FUNCTION search_on_bug();
CREATE TRIGGER search_on_text AFTER INSERT OR UPDATE OF description ON bug_texts
    FOR EACH ROW EXECUTE FUNCTION search_on_text();
CREATE TRIGGER search_on_application AFTER UPDATE OF name ON applications
    FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION search_on_application();

-- Procrastinate Schema

DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;
EXCEPTION
    WHEN OTHERS THEN
        -- On managed PostgreSQL services (e.g. Azure Database for PostgreSQL, Amazon RDS,
        -- Google Cloud SQL), CREATE EXTENSION may fail with various error codes:
        -- insufficient_privilege, feature_not_supported, or provider-specific errors.
        -- Before ignoring, verify the extension actually exists — if it does not exist
        -- and cannot be created, re-raise so the failure is explicit.
        IF EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'plpgsql') THEN
            RAISE NOTICE 'plpgsql extension already exists, skipping creation.';
        ELSE
            RAISE;
        END IF;
END;
$$;

-- Enums

CREATE TYPE procrastinate_job_status AS ENUM (
    'todo',  -- The job is queued
    'doing',  -- The job has been fetched by a worker
    'succeeded',  -- The job ended successfully
    'failed',  -- The job ended with an error
    'cancelled', -- The job was cancelled
    'aborting',  -- legacy, not used anymore since v3.0.0
    'aborted'  -- The job was aborted
);

CREATE TYPE procrastinate_job_event_type AS ENUM (
    'deferred',  -- Job created, in todo
    'started',  -- todo -> doing
    'deferred_for_retry',  -- doing -> todo
    'failed',  -- doing -> failed
    'succeeded',  -- doing -> succeeded
    'cancelled', -- todo -> cancelled
    'abort_requested', -- not a state transition, but set in a separate field
    'aborted', -- doing -> aborted (only allowed when abort_requested field is set)
    'scheduled', -- not a state transition, but recording when a task is scheduled for
    'retried' -- Manually retried failed job
);

-- Composite Types

CREATE TYPE procrastinate_job_to_defer_v1 AS (
    queue_name character varying,
    task_name character varying,
    priority integer,
    lock text,
    queueing_lock text,
    args jsonb,
    scheduled_at timestamp with time zone
);

-- Tables

CREATE TABLE procrastinate_workers(
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    last_heartbeat timestamp with time zone NOT NULL DEFAULT NOW()
);

CREATE TABLE procrastinate_jobs (
    id bigserial PRIMARY KEY,
    queue_name character varying(128) NOT NULL,
    task_name character varying(128) NOT NULL,
    priority integer DEFAULT 0 NOT NULL,
    lock text,
    queueing_lock text,
    args jsonb DEFAULT '{}' NOT NULL,
    status procrastinate_job_status DEFAULT 'todo'::procrastinate_job_status NOT NULL,
    scheduled_at timestamp with time zone NULL,
    attempts integer DEFAULT 0 NOT NULL,
    abort_requested boolean DEFAULT false NOT NULL,
    worker_id bigint REFERENCES procrastinate_workers(id) ON DELETE SET NULL,
    CONSTRAINT check_not_todo_abort_requested CHECK (NOT (status = 'todo' AND abort_requested = true))
);

CREATE TABLE procrastinate_periodic_defers (
    id bigserial PRIMARY KEY,
    task_name character varying(128) NOT NULL,
    defer_timestamp bigint,
    job_id bigint REFERENCES procrastinate_jobs(id) NULL,
    periodic_id character varying(128) NOT NULL DEFAULT '',
    CONSTRAINT procrastinate_periodic_defers_unique UNIQUE (task_name, periodic_id, defer_timestamp)
);

CREATE TABLE procrastinate_events (
    id bigserial PRIMARY KEY,
    job_id bigint NOT NULL REFERENCES procrastinate_jobs ON DELETE CASCADE,
    type procrastinate_job_event_type,
    at timestamp with time zone DEFAULT NOW() NULL
);

-- Constraints & Indices

-- this prevents from having several jobs with the same queueing lock in the "todo" state
CREATE UNIQUE INDEX procrastinate_jobs_queueing_lock_idx_v1 ON procrastinate_jobs (queueing_lock) WHERE status = 'todo';
-- this prevents from having several jobs with the same lock in the "doing" state
CREATE UNIQUE INDEX procrastinate_jobs_lock_idx_v1 ON procrastinate_jobs (lock) WHERE status = 'doing';

-- Index for select_stalled_jobs_by_heartbeat query
CREATE INDEX idx_procrastinate_jobs_worker_not_null ON procrastinate_jobs(worker_id) WHERE worker_id IS NOT NULL AND status = 'doing'::procrastinate_job_status;

CREATE INDEX procrastinate_jobs_queue_name_idx_v1 ON procrastinate_jobs(queue_name);
CREATE INDEX procrastinate_jobs_id_lock_idx_v1 ON procrastinate_jobs (id, lock) WHERE status = ANY (ARRAY['todo'::procrastinate_job_status, 'doing'::procrastinate_job_status]);
CREATE INDEX procrastinate_jobs_priority_idx_v1 ON procrastinate_jobs(priority desc, id asc) WHERE (status = 'todo'::procrastinate_job_status);

CREATE INDEX procrastinate_events_job_id_fkey_v1 ON procrastinate_events(job_id);

CREATE INDEX procrastinate_periodic_defers_job_id_fkey_v1 ON procrastinate_periodic_defers(job_id);

CREATE INDEX idx_procrastinate_workers_last_heartbeat ON procrastinate_workers(last_heartbeat);

-- Functions
CREATE FUNCTION procrastinate_defer_jobs_v1(
    jobs procrastinate_job_to_defer_v1[]
)
    RETURNS bigint[]
    LANGUAGE plpgsql
AS $$
DECLARE
    job_ids bigint[];
BEGIN
    WITH inserted_jobs AS (
        INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
        SELECT (job).queue_name,
               (job).task_name,
               (job).priority,
               (job).lock,
               (job).queueing_lock,
               (job).args,
               (job).scheduled_at
        FROM unnest(jobs) AS job
        RETURNING id
    )
    SELECT array_agg(id) FROM inserted_jobs INTO job_ids;

    RETURN job_ids;
END;
$$;

CREATE FUNCTION procrastinate_defer_periodic_job_v2(
    _queue_name character varying,
    _lock character varying,
    _queueing_lock character varying,
    _task_name character varying,
    _priority integer,
    _periodic_id character varying,
    _defer_timestamp bigint,
    _args jsonb
)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
	_job_id bigint;
	_defer_id bigint;
BEGIN
    INSERT
        INTO procrastinate_periodic_defers (task_name, periodic_id, defer_timestamp)
        VALUES (_task_name, _periodic_id, _defer_timestamp)
        ON CONFLICT DO NOTHING
        RETURNING id into _defer_id;

    IF _defer_id IS NULL THEN
        RETURN NULL;
    END IF;

    UPDATE procrastinate_periodic_defers
        SET job_id = (
            SELECT COALESCE((
                SELECT unnest(procrastinate_defer_jobs_v1(
                    ARRAY[
                        ROW(
                            _queue_name,
                            _task_name,
                            _priority,
                            _lock,
                            _queueing_lock,
                            _args,
                            NULL::timestamptz
                        )
                    ]::procrastinate_job_to_defer_v1[]
                ))
            ), NULL)
        )
        WHERE id = _defer_id
        RETURNING job_id INTO _job_id;

    DELETE
        FROM procrastinate_periodic_defers
        USING (
            SELECT id
            FROM procrastinate_periodic_defers
            WHERE procrastinate_periodic_defers.task_name = _task_name
            AND procrastinate_periodic_defers.periodic_id = _periodic_id
            AND procrastinate_periodic_defers.defer_timestamp < _defer_timestamp
            ORDER BY id
            FOR UPDATE
        ) to_delete
        WHERE procrastinate_periodic_defers.id = to_delete.id;

    RETURN _job_id;
END;
$$;

CREATE FUNCTION procrastinate_fetch_job_v2(
    target_queue_names character varying[],
    p_worker_id bigint
)
    RETURNS procrastinate_jobs
    LANGUAGE plpgsql
AS $$
DECLARE
	found_jobs procrastinate_jobs;
BEGIN
    WITH candidate AS (
        SELECT jobs.*
            FROM procrastinate_jobs AS jobs
            WHERE
                -- reject the job if its lock has earlier or higher priority jobs
                NOT EXISTS (
                    SELECT 1
                        FROM procrastinate_jobs AS other_jobs
                        WHERE
                            jobs.lock IS NOT NULL
                            AND other_jobs.lock = jobs.lock
                            AND (
                                -- job with same lock is already running
                                other_jobs.status = 'doing'
                                OR
                                -- job with same lock is waiting and has higher priority (or same priority but was queued first)
                                (
                                    other_jobs.status = 'todo'
                                    AND (
                                        other_jobs.priority > jobs.priority
                                        OR (
                                        other_jobs.priority = jobs.priority
                                        AND other_jobs.id < jobs.id
                                        )
                                    )
                                )
                            )
                )
                AND jobs.status = 'todo'
                AND (target_queue_names IS NULL OR jobs.queue_name = ANY( target_queue_names ))
                AND (jobs.scheduled_at IS NULL OR jobs.scheduled_at <= now())
            ORDER BY jobs.priority DESC, jobs.id ASC LIMIT 1
            FOR UPDATE OF jobs SKIP LOCKED
    )
    UPDATE procrastinate_jobs
        SET status = 'doing', worker_id = p_worker_id
        FROM candidate
        WHERE procrastinate_jobs.id = candidate.id
        RETURNING procrastinate_jobs.* INTO found_jobs;

 RETURN found_jobs;
END;
$$;

CREATE FUNCTION procrastinate_finish_job_v1(job_id bigint, end_status procrastinate_job_status, delete_job boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    _job_id bigint;
BEGIN
    IF end_status NOT IN ('succeeded', 'failed', 'aborted') THEN
        RAISE 'End status should be either "succeeded", "failed" or "aborted" (job id: %)', job_id;
    END IF;
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status IN ('todo', 'doing')
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = end_status,
            abort_requested = false,
            attempts = CASE status
                WHEN 'doing' THEN attempts + 1 ELSE attempts
            END
        WHERE id = job_id AND status IN ('todo', 'doing')
        RETURNING id INTO _job_id;
    END IF;
    IF _job_id IS NULL THEN
        RAISE 'Job was not found or not in "doing" or "todo" status (job id: %)', job_id;
    END IF;
END;
$$;

CREATE FUNCTION procrastinate_cancel_job_v1(job_id bigint, abort boolean, delete_job boolean)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    _job_id bigint;
BEGIN
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status = 'todo'
        RETURNING id INTO _job_id;
    END IF;
    IF _job_id IS NULL THEN
        IF abort THEN
            UPDATE procrastinate_jobs
            SET abort_requested = true,
                status = CASE status
                    WHEN 'todo' THEN 'cancelled'::procrastinate_job_status ELSE status
                END
            WHERE id = job_id AND status IN ('todo', 'doing')
            RETURNING id INTO _job_id;
        ELSE
            UPDATE procrastinate_jobs
            SET status = 'cancelled'::procrastinate_job_status
            WHERE id = job_id AND status = 'todo'
            RETURNING id INTO _job_id;
        END IF;
    END IF;
    RETURN _job_id;
END;
$$;

CREATE FUNCTION procrastinate_retry_job_v1(
    job_id bigint,
    retry_at timestamp with time zone,
    new_priority integer,
    new_queue_name character varying,
    new_lock character varying
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    _job_id bigint;
    _abort_requested boolean;
BEGIN
    SELECT abort_requested FROM procrastinate_jobs
    WHERE id = job_id AND status = 'doing'
    FOR UPDATE
    INTO _abort_requested;
    IF _abort_requested THEN
        UPDATE procrastinate_jobs
        SET status = 'failed'::procrastinate_job_status
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = 'todo'::procrastinate_job_status,
            attempts = attempts + 1,
            scheduled_at = retry_at,
            priority = COALESCE(new_priority, priority),
            queue_name = COALESCE(new_queue_name, queue_name),
            lock = COALESCE(new_lock, lock)
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    END IF;

    IF _job_id IS NULL THEN
        RAISE 'Job was not found or not in "doing" status (job id: %)', job_id;
    END IF;
END;
$$;

CREATE FUNCTION procrastinate_retry_job_v2(
    job_id bigint,
    retry_at timestamp with time zone,
    new_priority integer,
    new_queue_name character varying,
    new_lock character varying
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    _job_id bigint;
    _abort_requested boolean;
    _current_status procrastinate_job_status;
BEGIN
    SELECT status, abort_requested FROM procrastinate_jobs
    WHERE id = job_id AND status IN ('doing', 'failed')
    FOR UPDATE
    INTO _current_status, _abort_requested;
    IF _current_status = 'doing' AND _abort_requested THEN
        UPDATE procrastinate_jobs
        SET status = 'failed'::procrastinate_job_status
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = 'todo'::procrastinate_job_status,
            attempts = attempts + 1,
            scheduled_at = retry_at,
            priority = COALESCE(new_priority, priority),
            queue_name = COALESCE(new_queue_name, queue_name),
            lock = COALESCE(new_lock, lock)
        WHERE id = job_id AND status IN ('doing', 'failed')
        RETURNING id INTO _job_id;
    END IF;

    IF _job_id IS NULL THEN
        RAISE 'Job was not found or has an invalid status to retry (job id: %)', job_id;
    END IF;

END;
$$;

CREATE FUNCTION procrastinate_notify_queue_job_inserted_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
DECLARE
    payload TEXT;
BEGIN
    SELECT json_build_object('type', 'job_inserted', 'job_id', NEW.id)::text INTO payload;
	PERFORM pg_notify('procrastinate_queue_v1#' || NEW.queue_name, payload);
	PERFORM pg_notify('procrastinate_any_queue_v1', payload);
	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_notify_queue_abort_job_v1()
RETURNS trigger
    LANGUAGE plpgsql
AS $$
DECLARE
    payload TEXT;
BEGIN
    SELECT json_build_object('type', 'abort_job_requested', 'job_id', NEW.id)::text INTO payload;
	PERFORM pg_notify('procrastinate_queue_v1#' || NEW.queue_name, payload);
	PERFORM pg_notify('procrastinate_any_queue_v1', payload);
	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_trigger_function_status_events_insert_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type)
        VALUES (NEW.id, 'deferred'::procrastinate_job_event_type);
	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_trigger_function_status_events_update_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    WITH t AS (
        SELECT CASE
            WHEN OLD.status = 'todo'::procrastinate_job_status
                AND NEW.status = 'doing'::procrastinate_job_status
                THEN 'started'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'todo'::procrastinate_job_status
                THEN 'deferred_for_retry'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'failed'::procrastinate_job_status
                THEN 'failed'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'succeeded'::procrastinate_job_status
                THEN 'succeeded'::procrastinate_job_event_type
            WHEN OLD.status = 'todo'::procrastinate_job_status
                AND (
                    NEW.status = 'cancelled'::procrastinate_job_status
                    OR NEW.status = 'failed'::procrastinate_job_status
                    OR NEW.status = 'succeeded'::procrastinate_job_status
                )
                THEN 'cancelled'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'aborted'::procrastinate_job_status
                THEN 'aborted'::procrastinate_job_event_type
            WHEN OLD.status = 'failed'::procrastinate_job_status
                AND NEW.status = 'todo'::procrastinate_job_status
                THEN 'retried'::procrastinate_job_event_type
            ELSE NULL
        END as event_type
    )
    INSERT INTO procrastinate_events(job_id, type)
        SELECT NEW.id, t.event_type
        FROM t
        WHERE t.event_type IS NOT NULL;
	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_trigger_function_scheduled_events_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type, at)
        VALUES (NEW.id, 'scheduled'::procrastinate_job_event_type, NEW.scheduled_at);

	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_trigger_abort_requested_events_procedure_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type)
        VALUES (NEW.id, 'abort_requested'::procrastinate_job_event_type);
    RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_unlink_periodic_defers_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE procrastinate_periodic_defers
    SET job_id = NULL
    WHERE job_id = OLD.id;
    RETURN OLD;
END;
$$;

CREATE FUNCTION procrastinate_register_worker_v1()
    RETURNS TABLE(worker_id bigint)
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN QUERY
    INSERT INTO procrastinate_workers DEFAULT VALUES
    RETURNING procrastinate_workers.id;
END;
$$;

CREATE FUNCTION procrastinate_unregister_worker_v1(worker_id bigint)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM procrastinate_workers
    WHERE id = worker_id;
END;
$$;

CREATE FUNCTION procrastinate_update_heartbeat_v1(worker_id bigint)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE procrastinate_workers
    SET last_heartbeat = NOW()
    WHERE id = worker_id;
END;
$$;

CREATE FUNCTION procrastinate_prune_stalled_workers_v1(seconds_since_heartbeat float)
    RETURNS TABLE(worker_id bigint)
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN QUERY
    DELETE FROM procrastinate_workers
    WHERE last_heartbeat < NOW() - (seconds_since_heartbeat || 'SECOND')::INTERVAL
    RETURNING procrastinate_workers.id;
END;
$$;

-- Triggers

CREATE TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1
    AFTER INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN ((new.status = 'todo'::procrastinate_job_status))
    EXECUTE PROCEDURE procrastinate_notify_queue_job_inserted_v1();

CREATE TRIGGER procrastinate_jobs_notify_queue_job_aborted_v1
    AFTER UPDATE OF abort_requested ON procrastinate_jobs
    FOR EACH ROW WHEN ((old.abort_requested = false AND new.abort_requested = true AND new.status = 'doing'::procrastinate_job_status))
    EXECUTE PROCEDURE procrastinate_notify_queue_abort_job_v1();

CREATE TRIGGER procrastinate_trigger_status_events_update_v1
    AFTER UPDATE OF status ON procrastinate_jobs
    FOR EACH ROW
    EXECUTE PROCEDURE procrastinate_trigger_function_status_events_update_v1();

CREATE TRIGGER procrastinate_trigger_status_events_insert_v1
    AFTER INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN ((new.status = 'todo'::procrastinate_job_status))
    EXECUTE PROCEDURE procrastinate_trigger_function_status_events_insert_v1();

CREATE TRIGGER procrastinate_trigger_scheduled_events_v1
    AFTER UPDATE OR INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN ((new.scheduled_at IS NOT NULL AND new.status = 'todo'::procrastinate_job_status))
    EXECUTE PROCEDURE procrastinate_trigger_function_scheduled_events_v1();

CREATE TRIGGER procrastinate_trigger_abort_requested_events_v1
    AFTER UPDATE OF abort_requested ON procrastinate_jobs
    FOR EACH ROW WHEN ((new.abort_requested = true))
    EXECUTE PROCEDURE procrastinate_trigger_abort_requested_events_procedure_v1();

CREATE TRIGGER procrastinate_trigger_delete_jobs_v1
    BEFORE DELETE ON procrastinate_jobs
    FOR EACH ROW EXECUTE PROCEDURE procrastinate_unlink_periodic_defers_v1();

ALTER TABLE users ADD COLUMN password_set_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL;

ALTER TABLE users ADD COLUMN banned_until TIMESTAMP WITH TIME ZONE;

ALTER TABLE users ADD COLUMN erased_at TIMESTAMP WITH TIME ZONE;

DROP INDEX uq_users_email_key;

DROP INDEX uq_users_username;

CREATE UNIQUE INDEX uq_users_email_key ON users (email_key) WHERE erased_at IS NULL;

CREATE UNIQUE INDEX uq_users_username ON users (lower(username)) WHERE erased_at IS NULL;

CREATE TABLE one_time_links (
	id UUID NOT NULL,
	user_id UUID NOT NULL,
	purpose VARCHAR NOT NULL,
	email VARCHAR NOT NULL,
	token_hash BYTEA NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	used_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_one_time_links PRIMARY KEY (id),
	CONSTRAINT fk_one_time_links_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX uq_one_time_links_user_id_purpose ON one_time_links (user_id, purpose);

CREATE UNIQUE INDEX uq_one_time_links_token_hash ON one_time_links (token_hash);

CREATE TABLE sign_in_failures (
	id UUID NOT NULL,
	account_hash BYTEA NOT NULL,
	ip_address VARCHAR NOT NULL,
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_sign_in_failures PRIMARY KEY (id)
);

CREATE INDEX ix_sign_in_failures_account_hash ON sign_in_failures (account_hash, at);

CREATE TABLE company_claims (
	id UUID NOT NULL,
	company_id UUID NOT NULL,
	user_id UUID NOT NULL,
	method VARCHAR NOT NULL,
	email VARCHAR,
	token_hash BYTEA NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	checked_at TIMESTAMP WITH TIME ZONE,
	used_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_company_claims PRIMARY KEY (id),
	CONSTRAINT ck_company_claims_method_is_known CHECK (method IN ('mail', 'dns', 'file')),
	CONSTRAINT ck_company_claims_mail_has_an_address CHECK ((method = 'mail') = (email IS NOT NULL)),
	CONSTRAINT ck_company_claims_token_hash_is_sha256 CHECK (length(token_hash) = 32),
	CONSTRAINT fk_company_claims_company_id_companies FOREIGN KEY(company_id) REFERENCES companies (id) ON DELETE CASCADE,
	CONSTRAINT fk_company_claims_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX uq_company_claims_company_id_user_id ON company_claims (company_id, user_id);

CREATE INDEX ix_company_claims_user_id ON company_claims (user_id);

CREATE INDEX ix_company_claims_expires_at ON company_claims (expires_at);

ALTER TABLE companies ADD COLUMN description_html VARCHAR;

CREATE INDEX ix_companies_domain_trgm ON companies USING gin (domain gin_trgm_ops);

CREATE INDEX ix_companies_by_name ON companies (lower(name), id);

CREATE INDEX ix_comments_company_responses ON comments (bug_id, created_at) WHERE is_company_response AND removed_at IS NULL;

ALTER TABLE bugs ADD COLUMN removed_reason VARCHAR;

ALTER TABLE bugs ADD COLUMN merged_at TIMESTAMP WITH TIME ZONE;

ALTER TABLE comments ADD COLUMN moderated_at TIMESTAMP WITH TIME ZONE;

CREATE INDEX ix_comments_origin_bug_id ON comments (origin_bug_id) WHERE origin_bug_id IS NOT NULL;

CREATE INDEX ix_attachments_origin_bug_id ON attachments (origin_bug_id) WHERE origin_bug_id IS NOT NULL;

CREATE TABLE bug_merges (
	id UUID NOT NULL,
	kind VARCHAR NOT NULL,
	source_bug_id UUID NOT NULL,
	target_bug_id UUID NOT NULL,
	note_id UUID,
	reason VARCHAR NOT NULL,
	user_id UUID,
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_bug_merges PRIMARY KEY (id),
	CONSTRAINT ck_bug_merges_kind_is_known CHECK (kind IN ('merge', 'unmerge')),
	CONSTRAINT ck_bug_merges_bugs_differ CHECK (source_bug_id <> target_bug_id),
	CONSTRAINT fk_bug_merges_source_bug_id_bugs FOREIGN KEY(source_bug_id) REFERENCES bugs (id) ON DELETE CASCADE,
	CONSTRAINT fk_bug_merges_target_bug_id_bugs FOREIGN KEY(target_bug_id) REFERENCES bugs (id) ON DELETE CASCADE,
	CONSTRAINT fk_bug_merges_note_id_comments FOREIGN KEY(note_id) REFERENCES comments (id) ON DELETE SET NULL,
	CONSTRAINT fk_bug_merges_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE INDEX ix_bug_merges_source_bug_id ON bug_merges (source_bug_id, at);

CREATE INDEX ix_bug_merges_target_bug_id ON bug_merges (target_bug_id, at);

CREATE TABLE flags (
	id UUID NOT NULL,
	bug_id UUID,
	comment_id UUID,
	user_id UUID NOT NULL,
	by_admin BOOLEAN DEFAULT 'false' NOT NULL,
	reason VARCHAR NOT NULL,
	note VARCHAR,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_flags PRIMARY KEY (id),
	CONSTRAINT ck_flags_names_one_thing CHECK (num_nonnulls(bug_id, comment_id) = 1),
	CONSTRAINT ck_flags_reason_is_known CHECK (by_admin OR reason IN ('spam', 'abuse', 'private_data', 'duplicate', 'other')),
	CONSTRAINT fk_flags_bug_id_bugs FOREIGN KEY(bug_id) REFERENCES bugs (id) ON DELETE CASCADE,
	CONSTRAINT fk_flags_comment_id_comments FOREIGN KEY(comment_id) REFERENCES comments (id) ON DELETE CASCADE,
	CONSTRAINT fk_flags_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE UNIQUE INDEX uq_flags_bug_id_user_id ON flags (bug_id, user_id);

CREATE UNIQUE INDEX uq_flags_comment_id_user_id ON flags (comment_id, user_id);

CREATE INDEX ix_flags_user_id ON flags (user_id);

CREATE TABLE audit_logs (
	id UUID NOT NULL,
	action VARCHAR NOT NULL,
	resource VARCHAR NOT NULL,
	resource_id UUID NOT NULL,
	details VARCHAR,
	before JSONB,
	after JSONB,
	user_id UUID,
	ip_address VARCHAR,
	user_agent VARCHAR,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT pk_audit_logs PRIMARY KEY (id),
	CONSTRAINT fk_audit_logs_user_id_users FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE INDEX ix_audit_logs_created_at ON audit_logs (created_at, id);

CREATE INDEX ix_audit_logs_resource_id ON audit_logs (resource_id, created_at);

CREATE INDEX ix_audit_logs_user_id ON audit_logs (user_id, created_at);

CREATE FUNCTION audit_logs_are_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit rows are never changed or deleted' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_logs_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_are_kept();

CREATE EXTENSION IF NOT EXISTS btree_gin;

-- Lists and searches at a million bugs: what a list filters by lies beside the search document, ranking has layers,
-- and every change is logged for as long as a counted total may be carried forward. docs/adr/0016 has the reasons.

ALTER TABLE bug_search
    ADD COLUMN status varchar,
    ADD COLUMN priority varchar,
    ADD COLUMN tags text[],
    ADD COLUMN application_id uuid,
    ADD COLUMN assigned_company_id uuid,
    ADD COLUMN reporter_id uuid,
    ADD COLUMN created_at timestamptz,
    -- Months since the year 0, in the index of the documents: the newest of many hits are found without the others.
    ADD COLUMN created_month integer GENERATED ALWAYS AS (
        (extract(year FROM created_at AT TIME ZONE 'UTC') * 12 + extract(month FROM created_at AT TIME ZONE 'UTC'))::integer
    ) STORED;

-- A word's own score in a document is 10 for the title, 4 for the application's name, 1 for the description, each once.
-- A word that scores 10, 11 or 14 is there again under '^1', '^2' or '^3' before it, so that the index alone finds the
-- bugs that can stand on top. No text can forge these: the parser drops '^'.
CREATE FUNCTION search_layers(document tsvector) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (SELECT coalesce(array_to_tsvector(array_agg('^' || layer.name || scored.lexeme)), ''::tsvector)
        FROM (SELECT lexeme, (10 * ('A' = ANY(weights))::int + 4 * ('B' = ANY(weights))::int + ('D' = ANY(weights))::int) AS score
              FROM unnest(document) WHERE 'A' = ANY(weights)) AS scored,
             (VALUES ('1', 10), ('2', 11), ('3', 14)) AS layer(name, least)
        WHERE scored.score >= layer.least);

CREATE OR REPLACE FUNCTION search_document(title text, application_name text, description text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
DECLARE
    words tsvector := setweight(search_field(title), 'A') || setweight(search_field(application_name), 'B')
        || setweight(search_field(description), 'D');
BEGIN
    RETURN words || search_layers(words) || search_stop_words(title);
END $$;

CREATE OR REPLACE FUNCTION search_refresh(refreshed uuid) RETURNS void
LANGUAGE sql AS $$
    WITH shown AS (
        SELECT b.*, search_document(b.title, a.name, t.description) AS document
        FROM bugs b JOIN applications a ON a.id = b.application_id JOIN bug_texts t ON t.bug_id = b.id
        WHERE b.id = refreshed AND b.removed_at IS NULL AND b.merged_into_id IS NULL
    ), gone AS (
        DELETE FROM bug_search WHERE bug_id = refreshed AND NOT EXISTS (SELECT FROM shown)
    )
    INSERT INTO bug_search (bug_id, document, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at)
    SELECT id, document, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at FROM shown
    ON CONFLICT (bug_id) DO UPDATE SET
        document = excluded.document, status = excluded.status, priority = excluded.priority, tags = excluded.tags,
        application_id = excluded.application_id, assigned_company_id = excluded.assigned_company_id,
        reporter_id = excluded.reporter_id, created_at = excluded.created_at
$$;

DROP TRIGGER search_on_bug ON bugs;
CREATE TRIGGER search_on_bug
    AFTER UPDATE OF title, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at,
                    removed_at, merged_into_id ON bugs
    FOR EACH ROW
    WHEN ((OLD.title, OLD.status, OLD.priority, OLD.tags, OLD.application_id, OLD.assigned_company_id, OLD.reporter_id,
           OLD.created_at, OLD.removed_at, OLD.merged_into_id)
          IS DISTINCT FROM
          (NEW.title, NEW.status, NEW.priority, NEW.tags, NEW.application_id, NEW.assigned_company_id, NEW.reporter_id,
           NEW.created_at, NEW.removed_at, NEW.merged_into_id))
    EXECUTE FUNCTION search_on_bug();

-- The log of changes. A total that was counted under one snapshot is true under a later one when the rows are added
-- that the former could not see: exact under any interleaving, because PostgreSQL itself decides what was visible.
CREATE TABLE bug_search_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT now(),
    sign smallint NOT NULL,
    document tsvector,
    status varchar,
    priority varchar,
    tags text[],
    application_id uuid,
    assigned_company_id uuid,
    reporter_id uuid,
    created_at timestamptz
);
CREATE INDEX ix_bug_search_changes_transaction_id ON bug_search_changes (transaction_id);
CREATE INDEX ix_bug_search_changes_at ON bug_search_changes (at);

-- A total from another era counts for nothing: TRUNCATE and a rebuild do not log rows.
CREATE TABLE bug_search_era (era uuid NOT NULL);
INSERT INTO bug_search_era VALUES (gen_random_uuid());

CREATE FUNCTION search_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        INSERT INTO bug_search_changes (sign, document, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at)
        VALUES (-1, OLD.document, OLD.status, OLD.priority, OLD.tags, OLD.application_id, OLD.assigned_company_id, OLD.reporter_id,
                OLD.created_at);
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN
        INSERT INTO bug_search_changes (sign, document, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at)
        VALUES (1, NEW.document, NEW.status, NEW.priority, NEW.tags, NEW.application_id, NEW.assigned_company_id, NEW.reporter_id,
                NEW.created_at);
    END IF;
    RETURN NULL;
END $$;

-- How many visible bugs have a tag: what was counted, and what has changed since. A report adds rows of its own here and
-- locks nobody's; a job folds them in (domain/bugs/tasks.py). Both tables together are exact at any moment.
CREATE TABLE tag_counts (name text PRIMARY KEY, count bigint NOT NULL);
CREATE TABLE tag_changes (name text NOT NULL, sign smallint NOT NULL);

CREATE FUNCTION tags_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.tags = NEW.tags THEN
        RETURN NULL;
    END IF;
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        INSERT INTO tag_changes SELECT name, -1 FROM unnest(OLD.tags) AS name;
    END IF;
    IF TG_OP IN ('UPDATE', 'INSERT') THEN
        INSERT INTO tag_changes SELECT name, 1 FROM unnest(NEW.tags) AS name;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION tags_fold() RETURNS void LANGUAGE sql AS $$
    WITH taken AS (DELETE FROM tag_changes RETURNING name, sign),
    moved AS (SELECT name, sum(sign) AS by FROM taken GROUP BY name HAVING sum(sign) <> 0 ORDER BY name)
    INSERT INTO tag_counts SELECT name, by FROM moved
    ON CONFLICT (name) DO UPDATE SET count = tag_counts.count + excluded.count;
    DELETE FROM tag_counts WHERE count = 0;
$$;

CREATE FUNCTION search_new_era() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE tag_counts, tag_changes;
    DELETE FROM bug_search_era;
    INSERT INTO bug_search_era VALUES (gen_random_uuid());
    RETURN NULL;
END $$;

-- Every document made anew, in one statement and without the log: after a bulk load, or a change of the rules above.
CREATE FUNCTION search_rebuild() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE bug_search;
    ALTER TABLE bug_search DISABLE TRIGGER USER;
    INSERT INTO bug_search (bug_id, document, status, priority, tags, application_id, assigned_company_id, reporter_id, created_at)
    SELECT b.id, search_document(b.title, a.name, t.description), b.status, b.priority, b.tags, b.application_id,
           b.assigned_company_id, b.reporter_id, b.created_at
    FROM bugs b JOIN applications a ON a.id = b.application_id JOIN bug_texts t ON t.bug_id = b.id
    WHERE b.removed_at IS NULL AND b.merged_into_id IS NULL
    ORDER BY b.created_at, b.id;
    ALTER TABLE bug_search ENABLE TRIGGER USER;
    INSERT INTO tag_counts SELECT name, count(*) FROM bug_search, unnest(tags) AS name GROUP BY name;
END $$;

CREATE TRIGGER search_log AFTER INSERT OR UPDATE OR DELETE ON bug_search
    FOR EACH ROW EXECUTE FUNCTION search_log();
CREATE TRIGGER tags_log AFTER INSERT OR UPDATE OR DELETE ON bug_search
    FOR EACH ROW EXECUTE FUNCTION tags_log();
CREATE TRIGGER search_new_era AFTER TRUNCATE ON bug_search
    FOR EACH STATEMENT EXECUTE FUNCTION search_new_era();

DROP INDEX ix_bug_search_document;
SELECT search_rebuild();
ALTER TABLE bug_search
    ALTER COLUMN status SET NOT NULL, ALTER COLUMN priority SET NOT NULL, ALTER COLUMN tags SET NOT NULL,
    ALTER COLUMN application_id SET NOT NULL, ALTER COLUMN created_at SET NOT NULL;
CREATE INDEX ix_bug_search_document ON bug_search USING gin (document, tags, status, priority, created_month);
CREATE INDEX ix_bug_search_recent ON bug_search (created_at, bug_id);
CREATE INDEX ix_bug_search_application ON bug_search (application_id, created_at, bug_id);
CREATE INDEX ix_bug_search_company ON bug_search (assigned_company_id, created_at, bug_id);

-- A vote counts as recent for 30 days; bugs.recent_vote_count, which `trending` sorts by, follows the vote's date.
-- A job touches the votes that have aged (domain/bugs/tasks.py).
CREATE FUNCTION vote_dated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.is_recent := NEW.created_at > now() - interval '30 days';
    IF NEW.is_recent <> OLD.is_recent AND NEW.counted THEN
        UPDATE bugs SET recent_vote_count = recent_vote_count + CASE WHEN NEW.is_recent THEN 1 ELSE -1 END
        WHERE id = NEW.bug_id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER vote_dated BEFORE UPDATE OF created_at ON bug_votes
    FOR EACH ROW EXECUTE FUNCTION vote_dated();

ALTER TABLE idempotency_keys ADD COLUMN sender_id UUID;

CREATE INDEX ix_idempotency_keys_sender_id ON idempotency_keys (sender_id) WHERE sender_id IS NOT NULL;

-- Votes for one bug in one statement: one, or those that came while the bug's row was locked for others.
--
-- Every change of a vote locks the voter's row first, so the votes of one user come one after the other, and then the
-- bug's, so that a merge or a ban finds no vote half-way. The votes are done in the order given, and the counters move
-- once, by what the rows did.
--
-- wanted: for each voter 'cast', 'withdraw', or 'toggle' for whichever is not so.
-- Gives a row for each vote, in order. refused: null, or 'banned', or 'account' for one that is erased, or 'busy' for one
-- of several whose row somebody else has locked, to be asked again alone; votes: the count as it stands with this vote.
-- Error BR404: no such bug, or one that is removed or merged away; nothing is changed.
CREATE FUNCTION vote(the_bug uuid, voters uuid[], wanted text[])
RETURNS TABLE (refused text, voted boolean, changed boolean, votes integer) LANGUAGE plpgsql AS $$
DECLARE
    locked uuid[];
    eligible uuid[];
    step integer;
    recent_step integer;
    steps integer := 0;
    recent_steps integer := 0;
BEGIN
    -- Whoever holds several rows waits for none: nobody waits in a circle.
    IF cardinality(voters) = 1 THEN
        PERFORM FROM users WHERE id = voters[1] FOR NO KEY UPDATE;
        locked := voters;
    ELSE
        WITH free AS (SELECT id FROM users WHERE id = ANY (voters) FOR NO KEY UPDATE SKIP LOCKED)
        SELECT array_agg(id) INTO locked FROM free;
    END IF;
    WITH touched AS (
        UPDATE users SET last_active_at = now()
        WHERE id = ANY (locked) AND erased_at IS NULL AND (banned_at IS NULL OR banned_until < now())
        RETURNING id
    )
    SELECT array_agg(id) INTO eligible FROM touched;
    -- From here to the COMMIT everybody else who votes for the bug waits.
    SELECT vote_count INTO votes FROM bugs
        WHERE id = the_bug AND removed_at IS NULL AND merged_into_id IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such bug' USING ERRCODE = 'BR404';
    END IF;

    FOR i IN 1 .. cardinality(voters) LOOP
        refused := NULL;
        voted := false;
        changed := false;
        IF voters[i] = ANY (eligible) THEN
            step := 0;
            recent_step := 0;
            voted := wanted[i] = 'cast';
            IF NOT voted THEN
                -- A vote that a ban no longer counts, of a ban that is over but not lifted yet, moves no counter.
                DELETE FROM bug_votes WHERE bug_id = the_bug AND user_id = voters[i]
                    RETURNING -counted::integer, -(counted AND is_recent)::integer INTO step, recent_step;
                IF NOT FOUND THEN
                    step := 0;
                    recent_step := 0;
                    voted := wanted[i] = 'toggle';
                END IF;
            END IF;
            IF voted THEN
                INSERT INTO bug_votes (bug_id, user_id) VALUES (the_bug, voters[i]) ON CONFLICT DO NOTHING;
                IF FOUND THEN
                    step := 1;
                    recent_step := 1;
                ELSE
                    -- One that a merge brought is this bug's own from now on.
                    UPDATE bug_votes SET merged_from_id = NULL
                        WHERE bug_id = the_bug AND user_id = voters[i] AND merged_from_id IS NOT NULL;
                END IF;
            END IF;
            changed := step <> 0;
            votes := votes + step;
            steps := steps + step;
            recent_steps := recent_steps + recent_step;
        ELSIF EXISTS (SELECT FROM users WHERE id = voters[i] AND erased_at IS NULL) THEN
            refused := CASE WHEN voters[i] = ANY (locked) THEN 'banned' ELSE 'busy' END;
        ELSE
            refused := 'account';
        END IF;
        RETURN NEXT;
    END LOOP;
    IF steps <> 0 OR recent_steps <> 0 THEN
        UPDATE bugs SET vote_count = vote_count + steps, recent_vote_count = recent_vote_count + recent_steps
            WHERE id = the_bug;
    END IF;
END $$;

INSERT INTO alembic_version (version_num) VALUES ('0007');
