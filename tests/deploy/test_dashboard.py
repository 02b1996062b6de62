"""Grafana's dashboard: provisioned, laid out without overlaps, and every query known to Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

from service.monitor.metrics import MonitorMetrics
from service.telemetry.metrics import Metrics
from tests.deploy.test_alert_rules import EXPRESSIONS
from tests.support.repository import ROOT, program, read_yaml

GRAFANA = "deploy/grafana"
DASHBOARD: dict[str, Any] = json.loads((ROOT / GRAFANA / "dashboards" / "stillroom.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]


def test_dashboards_and_datasource_are_provisioned_where_compose_mounts_them() -> None:
    volumes = read_yaml("docker-compose.yml")["services"]["grafana"]["volumes"]
    assert f"./{GRAFANA}/provisioning:/etc/grafana/provisioning:ro" in volumes
    [provider] = read_yaml(f"{GRAFANA}/provisioning/dashboards/stillroom.yml")["providers"]
    assert f"./{GRAFANA}/dashboards:{provider['options']['path']}:ro" in volumes


def test_every_panel_asks_the_provisioned_datasource() -> None:
    [source] = read_yaml(f"{GRAFANA}/provisioning/datasources/prometheus.yml")["datasources"]
    asked = {panel["datasource"]["uid"] for panel in PANELS if panel["type"] != "row"}
    assert asked == {source["uid"]}


def test_ids_are_unique_and_panels_do_not_overlap() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        assert (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)


def test_every_panel_asks_something() -> None:
    assert all(panel["type"] == "row" or panel["targets"] for panel in PANELS)


def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"panel:query:{row}", "expr": query} for row, query in enumerate(QUERIES)]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([program("promtool"), "check", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{len(QUERIES)} rules found" in done.stdout


def test_dashboard_and_rules_ask_for_metrics_that_exist() -> None:
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_count")}
    exposed = {
        family.name + ending
        for registry in (Metrics().registry, MonitorMetrics().registry)
        for family in registry.collect()
        for ending in endings.get(family.type, ("",))
    }
    asked = {
        name for query in (*QUERIES, *EXPRESSIONS) for name in re.findall(r"\bstillroom_[a-z0-9_]+", query)
    }
    assert asked <= exposed
