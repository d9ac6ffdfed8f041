"""The catalog, taken again while the bot serves: by SIGHUP, or since another process took a newer one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from base.logging_setup import hide_in_logs
from base.settings import Misconfigured, Settings
from catalog.catalog import Catalog
from catalog.credentials import secrets_of
from cli.shared import digest_of, read_catalog
from gate.gate import Gate
from identity.checks import untimely
from identity.connecting import check_lead
from identity.token_box import check_keys
from identity.wiring import Identity
from model.prompt.prompt import prepare
from slack_io.health import Readiness
from store.store import Store

log = structlog.get_logger("bot")
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
        """The catalog, where it was taken. A file with mistakes changes nothing, and one that did not change, unless somebody `insists`,
        nothing either."""
        try:
            new = digest_of(self._settings.apis_file)
            if new == self._store.catalog and not insists:
                return None
            catalog = self._read()
        except Misconfigured as error:
            self._refuse(str(error).splitlines())
            return None
        except Exception:  # the boundary of a reload: whatever the file holds, the bot goes on with the catalog it has
            self._readiness.catalog = "the file could not be loaded, see the log; the previous catalog stays in use"
            log.exception("catalog not taken", hint=_HINT)
            return None
        self._take(catalog)
        self._store.take_catalog(new, insists=insists)
        self._store.wake_connecting()
        return catalog

    def _refuse(self, mistakes: Sequence[str]) -> None:
        self._readiness.catalog = "the file has mistakes, see the log; the previous catalog stays in use"
        log.error("catalog not taken", mistakes=mistakes, hint=_HINT)

    def _read(self) -> Catalog:
        """The catalog of the file, ready for use. Raises `Misconfigured`."""
        catalog = read_catalog(self._settings.apis_file)
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
        log.info("catalog taken", operations=len(catalog.operations))


def tell_untimely(catalog: Catalog) -> None:
    """Logs which of the bot's own certificates do not hold now."""
    for reason in untimely(catalog, datetime.now(UTC)):
        log.warning("a certificate does not hold now", reason=reason)
