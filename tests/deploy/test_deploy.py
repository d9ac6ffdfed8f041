"""What lies in deploy/: the image, what starts it, what watches over it. No engine of containers and no cluster is needed.

Linters of others look at it, each where it is there: hadolint, kubectl, kubernetes-validate (which carries Kubernetes' schemas),
compose-spec, promtool, systemd-analyze. `.ci/run` installs what it can, and names it in HADOLINT, KUBERNETES_VALIDATE,
COMPOSE_PYTHON and PROMTOOL.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from base.settings import Settings
from tests.harness.forked_bot import Fork
from tests.harness.ports import free_port
from tests.harness.scrapes import Scrape
from tests.test_crash import Program
from tests.test_layout import FOLDERS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text("utf-8"))
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text("utf-8"))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
SETTINGS = {
    "PATH": os.environ.get("PATH", ""),
    "SLACK_BOT_TOKEN": "xoxb-t",
    "SLACK_SIGNING_SECRET": "s",
    "SLACK_CHANNEL": "C0HR",
    "SLACK_API_URL": "http://127.0.0.1:1/",
    "OPENAI_API_KEY": "sk-t",
    "HR_API_URL": "http://127.0.0.1:1",
    "HOST": "127.0.0.1",
}


def tool(variable: str, name: str) -> str:
    """The program, or a skipped test that says why."""
    found = os.environ.get(variable) or shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} here; name it in {variable}")
    return found


def run(*command: str | Path, **more: Any) -> str:
    """Runs a command that has to end well; gives what it said."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120, **more
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return f"{done.stdout}{done.stderr}"


# --- the image --------------------------------------------------------------------------------------------------------


def copied() -> dict[str, str]:
    """What the image's last stage copies out of the project: from, to."""
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    found: dict[str, str] = {}
    for words in re.findall(r"^COPY (?!--from)(.+)$", last, re.MULTILINE):
        *sources, target = words.split()
        for source in sources:
            found |= {one.name: target for one in ROOT.glob(source)}
    return found


def environment() -> dict[str, str]:
    (words,) = re.findall(r"^ENV (.+)$", DOCKERFILE, re.MULTILINE)
    return dict(one.split("=", 1) for one in shlex.split(words))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Dockerfile's steps by hand: what it copies, in a folder of its own, compiled (as far as the original is)."""
    folder = tmp_path_factory.mktemp("image")
    for name, target in copied().items():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / target)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def test_the_image_has_every_room_and_nothing_else(image: Path) -> None:
    assert {one.name for one in image.iterdir() if one.is_dir()} == set(FOLDERS)
    assert {one.name for one in image.iterdir() if one.is_file()} == {"bot.py", "ai.py", "apis.yaml"}


def test_the_build_sees_what_it_copies_and_no_more() -> None:
    lines = [one for one in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not one.startswith("#")]
    assert lines[0] == "*"
    let_in = {one.removeprefix("!") for one in lines if one.startswith("!")}
    assert let_in == {"requirements.lock", "*.py", "apis.yaml", *FOLDERS}


def test_the_image_is_pinned_installs_the_lock_file_and_runs_as_nobody_special() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:[\w.-]+@sha256:[0-9a-f]{64}", bases[0])
    assert "--require-hashes -r /requirements.lock" in DOCKERFILE
    (user,) = re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    assert int(user) > 0
    assert f"--uid {user}" in DOCKERFILE


def test_the_bot_serves_from_the_image_with_a_read_only_root(image: Path, tmp_path: Path) -> None:
    """With the image's environment, its health check and its command; what stands for the root is mounted read-only."""
    unshare = tool("UNSHARE", "unshare")
    readonly = f"mount --bind {image} {image} && mount -o remount,bind,ro {image}"
    if subprocess.run([unshare, "-m", "sh", "-c", readonly], capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    port, metrics = free_port(), free_port()
    settings = SETTINGS | environment() | {"PATH": os.environ.get("PATH", ""), "HOST": "127.0.0.1"}
    settings |= {"PORT": str(port), "METRICS_PORT": str(metrics), "DATABASE_URL": f"sqlite:///{tmp_path}/bot.db"}
    (command,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    (check,) = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    start = f"{readonly} && cd {image} && ! touch made 2>/dev/null && exec {python(command)}"
    process = subprocess.Popen([unshare, "-m", "sh", "-c", start], env=settings, stderr=subprocess.PIPE, text=True)
    try:
        Program(process, lambda: process.stderr or ()).wait_for("serving")
        run(*shlex.split(python(check)), env=settings)
        assert Scrape(metrics).value("part_up", part="database") == 1
    finally:
        process.terminate()
        assert process.wait(60) == 0
    failed = subprocess.run(shlex.split(python(check)), env=settings, capture_output=True, check=False)
    assert failed.returncode != 0
    assert not (image / "made").exists()


def python(words: str) -> str:
    """A command of the Dockerfile, by this Python."""
    return shlex.join([sys.executable, *json.loads(words)[1:]])


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    run(tool("HADOLINT", "hadolint"), "--failure-threshold", "style", DEPLOY / "Dockerfile")


# --- compose, Kubernetes, systemd -------------------------------------------------------------------------------------


def test_compose_is_by_its_specification() -> None:
    check = "import sys; from compose_spec import PyCompose as P; c = P.from_yaml(sys.stdin.read()); c.validate(); c.to_spec()"
    python_with_it = os.environ.get("COMPOSE_PYTHON")
    if not python_with_it:
        pytest.skip("no compose-spec here; name a Python that has it in COMPOSE_PYTHON")
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    subprocess.run([python_with_it, "-c", check], input=text, text=True, check=True, timeout=120)


def test_docker_itself_reads_compose(tmp_path: Path) -> None:
    docker = tool("DOCKER", "docker")
    if subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker has no compose here")
    given = os.environ | {"SLACK_CHANNEL": "#hr-bot", "HR_API_URL": "https://hr.internal"}
    run(docker, "compose", "-f", DEPLOY / "compose.yaml", "config", "--quiet", env=given)


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    """What kustomize makes of deploy/kubernetes, by kind."""
    made = run(tool("KUBECTL", "kubectl"), "kustomize", DEPLOY / "kubernetes")
    return {one["kind"]: one for one in yaml.safe_load_all(made)}


def test_kubernetes_takes_what_kustomize_makes(resources: dict[str, Any], tmp_path: Path) -> None:
    assert set(resources) == {"ConfigMap", "Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy"}
    validate = tool("KUBERNETES_VALIDATE", "kubernetes-validate")
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(resources.values()))
    run(validate, "--strict", tmp_path / "all.yaml")


def test_the_pods_are_found_by_what_is_to_find_them(resources: dict[str, Any]) -> None:
    labels = resources["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels
    assert resources["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert resources["Service"]["spec"]["selector"] == labels
    assert resources["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert resources["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels


def test_a_rolling_update_takes_none_away_before_another_is_there(resources: dict[str, Any]) -> None:
    spec = resources["Deployment"]["spec"]
    (bot,) = spec["template"]["spec"]["containers"]
    assert spec["replicas"] == 3
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    paths = {kind: bot[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= 5 + 10


def test_ports_and_paths_of_the_pod_are_those_of_its_settings(resources: dict[str, Any]) -> None:
    given = resources["ConfigMap"]["data"]
    pod = resources["Deployment"]["spec"]["template"]
    (bot,) = pod["spec"]["containers"]
    ports = {one["name"]: str(one["containerPort"]) for one in bot["ports"]}
    mounts = {one["name"]: one["mountPath"] for one in bot["volumeMounts"]}
    assert ports == {"http": given["PORT"], "metrics": given["METRICS_PORT"]}
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == given["METRICS_PORT"]
    assert mounts["secrets"] == given["SECRETS_DIR"]
    assert given["APIS_FILE"] == f"{mounts['catalog']}/apis.yaml"
    assert pod["spec"]["securityContext"]["runAsUser"] == int(re.findall(r"^USER (\d+)$", DOCKERFILE, re.M)[0])
    assert [one["port"] for one in resources["Service"]["spec"]["ports"]] == [80]
    assert resources["Service"]["spec"]["ports"][0]["targetPort"] == "http"


def test_every_setting_that_is_set_in_deploy_exists() -> None:
    names = {name.upper() for name in Settings.model_fields} | {"HR_API_URL"}
    in_kubernetes = re.findall(r"^(\w+)=", (DEPLOY / "kubernetes" / "settings.env").read_text("utf-8"), re.MULTILINE)
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    bot = compose["services"]["bot"]
    unit = (DEPLOY / "rest-in-slack.service").read_text("utf-8")
    in_unit = [
        one.split("=")[0] for line in re.findall(r"^Environment=(.+)$", unit, re.MULTILINE) for one in line.split()
    ]
    python_own = {"PATH", "PYTHONDONTWRITEBYTECODE"}
    for found in (in_kubernetes, bot["environment"], bot["secrets"], in_unit, environment()):
        assert set(found) - names - python_own == set()
    assert all("METRICS_PORT" in found for found in (in_kubernetes, bot["environment"], in_unit, environment()))


def test_the_unit_is_one_and_is_shut_in(tmp_path: Path) -> None:
    analyze = tool("SYSTEMD_ANALYZE", "systemd-analyze")
    text = (DEPLOY / "rest-in-slack.service").read_text("utf-8")
    unit = tmp_path / "rest-in-slack.service"
    unit.write_text(text.replace("/opt/rest-in-slack/.venv/bin/python", shutil.which("python3") or sys.executable))
    assert "rest-in-slack" not in run(analyze, "verify", unit)
    run(analyze, "security", "--offline=true", "--threshold=20", unit)


def test_the_unit_is_patient() -> None:
    text = (DEPLOY / "rest-in-slack.service").read_text("utf-8")
    for line in ("Restart=always", "RestartSec=5", "StartLimitIntervalSec=0", "NoNewPrivileges=yes"):
        assert re.search(rf"^{line}$", text, re.MULTILINE), line


# --- who watches over it ----------------------------------------------------------------------------------------------

RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
OF_PROMETHEUS = {"up"}
BY_CALL = {"api_calls_total", "slack_calls_total"}  # their series come with the first call
_WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"}


def asked_for(expression: str) -> dict[str, list[tuple[str, str, str]]]:
    """The metrics that an expression names, each with its matchers: label, operator, value."""
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", expression)
    found: dict[str, list[tuple[str, str, str]]] = {}
    for name, matchers in re.findall(r"\b([a-z_]\w*)\b(?!\s*\()\s*(\{[^}]*\})?", re.sub(r"\[[^]]*\]", "", bare)):
        if name not in _WORDS and not _is_in_matcher(bare, name):
            found.setdefault(name, []).extend(re.findall(r"(\w+)(=~|!~|!=|=)\"([^\"]*)\"", matchers))
    return found


def _is_in_matcher(expression: str, name: str) -> bool:
    """Whether a word stands only within braces or quotes, as a label or its value."""
    outside = re.sub(r"\{[^}]*\}|\"[^\"]*\"", "", expression)
    return not re.search(rf"\b{name}\b", outside)


def expressions() -> list[str]:
    in_panels = [one["expr"] for panel in DASHBOARD["panels"] for one in panel.get("targets", ())]
    return [*(rule["expr"] for rule in RULES), *in_panels]


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrape]:
    """What /metrics of a program shows that has just begun."""
    folder = tmp_path_factory.mktemp("scrape")
    shutil.copy(ROOT / "apis.yaml", folder)
    port = free_port()
    fork = Fork(SETTINGS | {"PORT": str(free_port()), "METRICS_PORT": str(port)}, folder)
    program = Program(fork, fork.open_log).wait_for("serving")
    yield Scrape(port)
    program.kill()


def test_names_in_an_expression_are_found() -> None:
    found = asked_for('sum by (le, until) (rate(a_bucket{job="$job",x=~"b|c"}[5m])) > 0.2 * max(d_e) and on (f) g')
    assert found == {"a_bucket": [("job", "=", "$job"), ("x", "=~", "b|c")], "d_e": [], "g": []}


def test_every_metric_of_alerts_and_dashboard_exists(scrape: Scrape) -> None:
    asked = {name for one in expressions() for name in asked_for(one)}
    assert len(asked) > 25
    assert asked - scrape.names - OF_PROMETHEUS == set()


def test_every_metric_of_ours_is_on_the_dashboard(scrape: Scrape) -> None:
    """One that nobody looks at is not worth its series."""
    ours = {name for name in scrape.names if not name.startswith(("process_", "python_"))}
    shown = {name for one in expressions() for name in asked_for(one)}
    ours -= {name for name in ours if name.endswith(("_created", "_sum", "_count"))}
    assert ours - shown == set()


def test_every_label_of_alerts_and_dashboard_exists_with_this_value(scrape: Scrape) -> None:
    for expression in expressions():
        for name, matchers in asked_for(expression).items():
            for label, _, value in matchers:
                values = {one.labels[label] for one in scrape.samples if one.name == name and label in one.labels}
                if label != "job" and name not in BY_CALL:
                    assert set(value.split("|")) - values - {"socket"} == set(), expression


def test_every_alert_says_what_to_do_and_when_to_wake_somebody() -> None:
    told = re.findall(r"^### (\w+)$", OPERATIONS.partition("## Alerts")[2], re.MULTILINE)
    assert told == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"


def test_promtool_takes_the_alerts_and_their_tests() -> None:
    promtool = tool("PROMTOOL", "promtool")
    assert f"{len(RULES)} rules found" in run(promtool, "check", "rules", DEPLOY / "prometheus" / "alerts.yaml")
    run(promtool, "test", "rules", DEPLOY / "prometheus" / "alerts_test.yaml")


def test_promtool_takes_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    promtool = tool("PROMTOOL", "promtool")
    plain = [one.replace("$__rate_interval", "5m").replace("$job", "rest-in-slack") for one in expressions()]
    rules = [{"record": f"panel_{number}", "expr": one} for number, one in enumerate(plain)]
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    run(promtool, "check", "rules", tmp_path / "panels.yaml")


def test_panels_of_the_dashboard_lie_beside_each_other() -> None:
    places: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & places, panel["title"]
        assert at["x"] + at["w"] <= 24
        places |= own
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
