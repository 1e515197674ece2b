"""A board that had no index of similar bugs gets one by the job, and answers meanwhile."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from bugrelay.bootstrap import build
from bugrelay.domain.bugs.similar.schemas import FindSimilar
from bugrelay.domain.bugs.similar.service import similar_to_text
from bugrelay.domain.bugs.similar.tasks import fold_similar
from bugrelay.migrate import migrate
from bugrelay.settings import Settings, load_settings
from tests.factories import merge_into, put_application, put_bug
from tests.migrations.conftest import NewDatabase, migrate_to


async def test_an_existing_board_is_indexed_by_the_job(new_database: NewDatabase, settings: Settings) -> None:
    url = new_database()
    migrate_to("0010", url)
    with psycopg.connect(url, autocommit=True) as sql:
        application_id = put_application(sql)
        survivor = put_bug(sql, application_id, title="The quasar flickers")
        merged = put_bug(sql, application_id, title="A pulsar is silent")
        put_bug(sql, application_id, title="A removed nebula", removed_at="2026-02-03")
        merge_into(sql, merged, survivor)
    migrate(load_settings({"DATABASE_URL": url}))
    platform = build(replace(settings, database_url=url))
    try:
        for _ in range(2):
            for title, found in {"silent pulsars": [survivor], "nebula": [], "quasar": [survivor]}.items():
                async with platform.database.reading() as reader:
                    answer = await similar_to_text(reader, platform.computing, FindSimilar(title=title))
                assert [str(one.bug.id) for one in answer.similar] == found
            await fold_similar(platform)
        with psycopg.connect(url) as sql:
            assert sql.execute("SELECT count(*) FROM similar_pending").fetchone() == (0,)
            assert sql.execute("SELECT count(*) FROM similar_docs").fetchone() == (2,)
    finally:
        await platform.close()
