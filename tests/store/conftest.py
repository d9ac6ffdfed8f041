"""The tests of the store have one on each engine, with a clock that stands."""

from tests.harness.store_fixtures import clock as clock
from tests.harness.store_fixtures import empty as empty
from tests.harness.store_fixtures import store as store
from tests.harness.store_fixtures import url as url
