"""Who and what is in a workspace: people, channels, user groups, in the shapes Slack shows them. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

TEAM = "T0LOCAL"
TEAM_NAME = "Local workspace"
TEAM_URL = "https://local.slack.example/"
APP = "A0APP"
BOT_USER = "U0BOT"
BOT = "B0BOT"


@dataclass(frozen=True)
class Person:
    """Somebody with a user id; `offset` is seconds east of UTC, a guest is `is_restricted`; an
    admin may delete what others wrote."""

    id: str
    name: str
    real_name: str
    email: str = ""
    title: str = ""
    tz: str = "Europe/Berlin"
    tz_label: str = "Central European Time"
    tz_offset: int = 3600
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_admin: bool = False
    is_bot: bool = False
    is_stranger: bool = False
    deleted: bool = False
    team_id: str = TEAM

    def as_slack(self, *, with_email: bool = True) -> Json:
        """The `user` object of users.info."""
        profile = {
            "title": self.title,
            "real_name": self.real_name,
            "real_name_normalized": self.real_name,
            "display_name": self.real_name,
            "display_name_normalized": self.real_name,
            **({"email": self.email} if with_email else {}),
            "status_text": "",
            "status_emoji": "",
            "team": self.team_id,
        }
        if self.is_bot:
            profile |= {"api_app_id": APP, "bot_id": BOT}
        return {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "deleted": self.deleted,
            "color": "9f69e7",
            "real_name": self.real_name,
            "tz": self.tz,
            "tz_label": self.tz_label,
            "tz_offset": self.tz_offset,
            "profile": profile,
            "is_admin": self.is_admin,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": self.is_restricted,
            "is_ultra_restricted": self.is_ultra_restricted,
            "is_bot": self.is_bot,
            "is_stranger": self.is_stranger,
            "is_app_user": False,
            "updated": 1_700_000_000,
        }


@dataclass(frozen=True)
class Channel:
    """A channel, or a direct message with the bot when `user` names the person."""

    id: str
    name: str
    members: tuple[str, ...]
    user: str = ""
    is_private: bool = False

    @property
    def is_im(self) -> bool:
        """Whether it is a direct message."""
        return bool(self.user)

    @property
    def kind(self) -> str:
        """The first word of the scopes that this conversation needs."""
        if self.is_im:
            return "im"
        return "groups" if self.is_private else "channels"

    def as_slack(self) -> Json:
        """The `channel` object of conversations.info."""
        common = {
            "id": self.id,
            "created": 1_700_000_000,
            "is_archived": False,
            "is_im": self.is_im,
            "is_org_shared": False,
            "context_team_id": TEAM,
        }
        if self.is_im:
            return common | {"user": self.user, "is_open": True}
        return common | {
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": not self.is_private,
            "is_group": self.is_private,
            "is_mpim": False,
            "is_private": self.is_private,
            "is_general": False,
            "is_shared": False,
            "is_ext_shared": False,
            "is_member": BOT_USER in self.members,
            "topic": {"value": "", "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
        }


@dataclass(frozen=True)
class UserGroup:
    """A user group such as @hr-leads."""

    id: str
    handle: str
    name: str
    users: tuple[str, ...]

    def as_slack(self, *, with_users: bool) -> Json:
        """An entry of usergroups.list."""
        entry: Json = {
            "id": self.id,
            "team_id": TEAM,
            "is_usergroup": True,
            "name": self.name,
            "handle": self.handle,
            "description": "",
            "date_delete": 0,
            "user_count": len(self.users),
        }
        return entry | ({"users": list(self.users)} if with_users else {})


def default_members() -> tuple[list[Person], list[Channel], list[UserGroup]]:
    """Who and what is there at the start."""
    people = [
        Person("U0ANN", "ann", "Ann Lee", "ann@example.com", "HR partner"),
        Person("U0BEN", "ben", "Ben Ortiz", "ben@example.com", "HR lead", is_admin=True),
        Person("U0GUS", "gus", "Gus Guest", "gus@guest.example", "Contractor", is_restricted=True),
        Person(
            BOT_USER,
            "hr-bot",
            "hr-bot",
            tz="America/Los_Angeles",
            tz_label="Pacific Standard Time",
            tz_offset=-28800,
            is_bot=True,
        ),
    ]
    everybody = tuple(person.id for person in people)
    channels = [Channel("C0HR", "hr-bot", everybody), Channel("C0RANDOM", "random", everybody)]
    channels += [Channel(f"D0{p.id[2:]}", "", (p.id, BOT_USER), user=p.id) for p in people if not p.is_bot]
    return people, channels, [UserGroup("S0LEADS", "hr-leads", "HR leads", ("U0BEN",))]
