"""The bot's version, in one place: pyproject.toml, GET /version, --version, the metrics and the spans take it from here."""

VERSION = (
    "0.2.0.dev0"  # the next one, in development; a release takes the suffix off and dates its part of CHANGELOG.md
)
