"""What is done about people's accounts while nobody waits for it: sign-ins on other devices are asked about, accounts and grants are given
back."""

from __future__ import annotations

import structlog

from identity.accounts import Accounts
from identity.devices import Devices
from identity.unkept_grants import UnkeptGrants
from slack_io.app_home import AppHome
from slack_io.connect_offers import ConnectWords

log = structlog.get_logger("connecting")


class SignIns:
    """The sign-ins of one bot."""

    def __init__(
        self, accounts: Accounts, devices: Devices, unkept: UnkeptGrants, says: ConnectWords, home: AppHome
    ) -> None:
        self._accounts = accounts
        self._devices = devices
        self._unkept = unkept
        self._says = says
        self._home = home

    def disconnect(self, key: str) -> None:
        """Gives an account (workspace/person/API) back at its sign-in server and deletes it."""
        team, user, api = key.split("/", 2)
        if self._accounts.disconnect(api, team, user):
            log.info("disconnected", api=api, who=user)
        self._home.account_changed(user, team)

    def poll(self, device: str) -> None:
        """Asks what came of a sign-in on another device."""
        ended = self._devices.poll(device, self._says.connected, self._says.not_connected)
        if ended is not None:
            self._home.account_changed(ended.who, ended.team)

    def give_back(self, key: str) -> None:
        """Gives a grant back that nobody keeps."""
        self._unkept.give_back(key)
