"""The summary that `bugrelay demo` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """What was created, and how to sign in; all demo accounts have the same password."""

    bugs: int
    applications: int
    people: int
    votes: int
    comments: int
    tickets: int
    company: str
    reporter_email: str
    user_email: str
    member_email: str
    admin_email: str
    password: str

    def text(self, public_url: str) -> str:
        """A text for newcomers: what was created, how to look at it and how to sign in."""
        api = f"{public_url}/api/v1"
        return f"""\
{self.bugs} bugs of {self.applications} applications are on the board now, with {self.votes} votes
and {self.comments} comments by {self.people} people. {self.company} works on {self.tickets} tickets of its own, some
of them support reports, and has a workflow rule.

Look at it (`make run` starts the server):
  curl '{api}/bugs?sort=trending&limit=5'
  curl '{api}/bugs?search=lost+after+sync'
  curl '{api}/bugs?company=papertrail&status=fixed'

Sign in as
  a user            {self.user_email}
  a company's admin {self.member_email}
  its reporter      {self.reporter_email}
  an admin          {self.admin_email}
with the password   {self.password}   (generated now, for all demo accounts; it is stored nowhere)
  curl '{api}/auth/login' -H 'Content-Type: application/json' \\
       -d '{{"email": "{self.user_email}", "password": "{self.password}"}}'
and, as a user of the company, with the access token in the response,
  curl '{api}/tickets' -H 'Authorization: Bearer …'"""
