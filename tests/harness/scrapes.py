"""What Prometheus would get: a scrape over HTTP, read by prometheus_client's own parser."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families


class Scrape:
    """One scrape of a metrics port."""

    def __init__(self, port: int, path: str = "/metrics") -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            text = answer.read().decode()
        self.families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    @property
    def names(self) -> set[str]:
        """Every name that a rule may ask for: those of the samples, and of families that have none yet."""
        histograms = {family.name for family in self.families if family.type == "histogram"}
        parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}
        counters = {f"{family.name}_total" for family in self.families if family.type == "counter"}
        gauges = {family.name for family in self.families if family.type == "gauge"}
        return {sample.name for sample in self.samples} | parts | counters | gauges

    def value(self, name: str, **labels: str) -> float:
        """The sum of the series with these labels, and perhaps more."""
        return sum(one.value for one in self.samples if one.name == name and _has(one.labels, labels))

    def labels(self) -> dict[str, set[str]]:
        """The values that each label has, of all samples, buckets left out."""
        found: dict[str, set[str]] = {}
        for sample in self.samples:
            for label, value in sample.labels.items():
                if label != "le":
                    found.setdefault(label, set()).add(value)
        return found


def _has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())
