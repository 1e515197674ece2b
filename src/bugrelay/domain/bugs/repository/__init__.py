"""The SELECTs of the board, one module for each entity. They return structs, not ORM objects."""

from bugrelay.domain.bugs.repository.attachments import (
    count_attachments,
    find_attachment,
    list_attachments,
    type_of_file,
)
from bugrelay.domain.bugs.repository.bugs import (
    ITEM_COLUMNS,
    BugRecord,
    ItemRow,
    bug_state,
    correctable_fields,
    find_bug,
    item_of,
    joined,
    listed_bugs,
    lock_bug,
    visible_bug,
    wait_for_tables,
)
from bugrelay.domain.bugs.repository.comments import (
    comment_state,
    find_comment,
    list_comments,
    lock_bug_of_comment,
)
from bugrelay.domain.bugs.repository.details import DetailRecord, find_detail
from bugrelay.domain.bugs.repository.history import list_history
from bugrelay.domain.bugs.repository.reassignment import lock_company_of_application, lock_misassigned
from bugrelay.domain.bugs.repository.receipts import (
    bug_of_receipt,
    lock_owner,
    lock_receipt,
    merge_chain_of,
    official_responses,
)
from bugrelay.domain.bugs.repository.tags import list_tags
from bugrelay.domain.bugs.repository.votes import aged_votes, lock_bugs_for_votes, vote_counts

__all__ = [
    "ITEM_COLUMNS",
    "BugRecord",
    "DetailRecord",
    "ItemRow",
    "aged_votes",
    "bug_of_receipt",
    "bug_state",
    "comment_state",
    "correctable_fields",
    "count_attachments",
    "find_attachment",
    "find_bug",
    "find_comment",
    "find_detail",
    "item_of",
    "joined",
    "list_attachments",
    "list_comments",
    "list_history",
    "list_tags",
    "listed_bugs",
    "lock_bug",
    "lock_bug_of_comment",
    "lock_bugs_for_votes",
    "lock_company_of_application",
    "lock_misassigned",
    "lock_owner",
    "lock_receipt",
    "merge_chain_of",
    "official_responses",
    "type_of_file",
    "visible_bug",
    "vote_counts",
    "wait_for_tables",
]
