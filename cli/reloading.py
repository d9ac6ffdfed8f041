"""The catalog, taken again while the bot serves: by SIGHUP, or since another process took a newer one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from base.logging_setup import hide_in_logs
from base.settings import Misconfigured, Settings
from catalog.catalog import Catalog, digest_of
from catalog.credentials import secrets_of
from cli.shared import catalog_of, text_of
from gate.gate import Gate
from identity.checks import untimely
from identity.connecting import check_lead
from identity.token_box import check_keys
from identity.wiring import Identity
from model.prompt.prompt import prepare
from slack_io.health import Readiness
from store.store import Store

log = structlog.get_logger("bot")
_WRITTEN = 0.2  # seconds in which whoever writes a file has written it
_HINT = "the previous catalog stays in use"


class Reloading:
    """Takes the catalog as its file is by now, for all who use it."""

    def __init__(self, settings: Settings, store: Store, gate: Gate, identity: Identity, readiness: Readiness) -> None:
        self._settings = settings
        self._store = store
        self._gate = gate
        self._identity = identity
        self._readiness = readiness

    def reload(self, *, insists: bool) -> Catalog | None:
        """The catalog, where it was taken. A file with mistakes changes nothing, and one that did not change, or changes at this moment,
        unless somebody `insists`, nothing either; but an earlier one to which people went back may hold again. Raises what the database
        raises, and then the one before it stays in use."""
        try:
            text = text_of(self._settings.apis_file, "APIS_FILE")
            is_same = digest_of(text) == self._store.catalog and not insists
            if not (is_same or insists or self._stays(text)):
                return None
            catalog = None if is_same else self._made_of(text)
        except Misconfigured as error:
            self._refuse(str(error).splitlines())
            return None
        except Exception:  # the boundary of a reload: whatever the file holds, the bot goes on with the catalog it has
            self._readiness.catalog = "the file could not be loaded, see the log; the previous catalog stays in use"
            log.exception("catalog not taken", hint=_HINT)
            return None
        if catalog is None:
            self._regain()
            return None
        self._store.take_catalog(catalog.digest, insists=insists, use=lambda: self._take(catalog))
        log.info("catalog taken", operations=len(catalog.operations))
        self._store.wake_connecting()
        return catalog

    def _regain(self) -> None:
        if self._store.regain_catalog():
            log.info("catalog holds again", hint="nobody has the newer one any more")

    def _stays(self, text: str) -> bool:
        """Whether the file has this text a moment later, too. Half of a file that is being written may be a catalog as well, and would be
        the newest of all; who asked for this asks again in seconds."""
        time.sleep(_WRITTEN)
        return text_of(self._settings.apis_file, "APIS_FILE") == text

    def _refuse(self, mistakes: Sequence[str]) -> None:
        self._readiness.catalog = "the file has mistakes, see the log; the previous catalog stays in use"
        log.error("catalog not taken", mistakes=mistakes, hint=_HINT)

    def _made_of(self, text: str) -> Catalog:
        """The catalog of the file's text, ready for use. Raises `Misconfigured`."""
        catalog = catalog_of(text, self._settings.apis_file)
        check_keys(catalog, self._settings.token_keys)
        check_lead(catalog, self._identity.servers, self._settings.public_url)
        prepare(catalog, self._settings.prompt_budget)
        return catalog

    def _take(self, catalog: Catalog) -> None:
        hide_in_logs([*self._settings.secrets, *self._gate.secrets, *secrets_of(catalog)])
        self._identity.accounts.use(catalog)
        self._gate.use(catalog)
        self._readiness.catalog = "ok"
        tell_untimely(catalog)


def tell_untimely(catalog: Catalog) -> None:
    """Logs which of the bot's own certificates do not hold now."""
    for reason in untimely(catalog, datetime.now(UTC)):
        log.warning("a certificate does not hold now", reason=reason)
