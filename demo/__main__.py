"""The demo in one command: `python -m demo`.

Starts a local Slack workspace, the sample HR API (with `--apis`: none, the catalog names its own), a scripted model (unless a
real one is configured) and the bot, takes the catalog again when it is saved, and ends them all again. Only starting, telling
and ending happen here; data and the bot's log lie in demo-data/.
"""

import base64
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import click
import httpx2
from pydantic_settings import BaseSettings, SettingsConfigDict

from base.settings import Misconfigured, environment
from catalog.catalog import Api, Catalog
from demo import catalog_files
from demo.catalog_files import CatalogFile
from demo.hr_api import HrApi
from demo.scripted_model import ScriptedModel
from demo.sign_in import CLIENT, SignIn
from emulator.app import own_app
from emulator.emulator import Workspace

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "demo-data"
HOST = "127.0.0.1"
START_SECONDS = 30.0  # for the bot to answer
END_SECONDS = 6.0  # for the bot to finish what it does, before it is killed
LOOK_SECONDS = 0.2  # between two looks at the bot and at the catalog's file
REACH_SECONDS = 2.0  # for a look whether an API is there
RETRY_DELAYS = (1.0, 5.0, 15.0)  # Slack waits up to five minutes, which nobody wants to watch
EMAIL_SCOPE = "users:read.email"  # left out of the manifest, but needed for accounts and for domains in `askers`
TYPING = 0.08  # seconds between two words of the scripted model, so that streaming can be seen


class RealModel(BaseSettings):
    """The model that the environment or .env names, if any; read as the bot reads it."""

    model_config = SettingsConfigDict(env_file=ROOT / ".env", env_ignore_empty=True, extra="ignore")

    openai_api_key: str | None = None
    openai_base_url: str | None = None
    openai_model: str | None = None

    @property
    def configured(self) -> bool:
        """Whether a model server of the user's own is to be asked."""
        return bool(self.openai_api_key or self.openai_base_url)


@dataclass(frozen=True)
class Plan:
    """What a run is to be. `apis` is the catalog's file, None for the sample one with its API."""

    port: int
    bot_port: int
    apis: Path | None = None
    accounts: bool = False

    @property
    def name(self) -> str:
        """What its data are called: what one catalog's bot keeps is nothing for another's."""
        if self.accounts:
            return "bot-accounts"
        return "bot" if self.apis is None else "bot-" + re.sub(r"[^A-Za-z0-9_-]+", "-", self.apis.stem)

    @property
    def log(self) -> Path:
        """Where the bot's log goes."""
        return DATA / f"{self.name}.log"

    @property
    def bot_url(self) -> str:
        """Where the bot listens."""
        return f"http://{HOST}:{self.bot_port}"

    @property
    def sign_in_url(self) -> str:
        """Where the demo's sign-in server listens, with `--accounts`."""
        return f"http://{HOST}:{self.port + 3}"

    @property
    def hr_url(self) -> str:
        """Where the sample API listens."""
        return f"http://{HOST}:{self.port + 1}"


@click.command()
@click.option("--port", type=click.IntRange(1, 65532), default=8800, envvar="DEMO_PORT", show_default=True,
              show_envvar=True, help="Where the page is; the HR API and the model take the next two.")  # fmt: skip
@click.option("--bot-port", type=click.IntRange(1, 65535), default=3000, envvar="DEMO_BOT_PORT", show_default=True,
              show_envvar=True, help="Where the bot listens.")  # fmt: skip
@click.option(
    "--apis", type=click.Path(path_type=Path), help="A catalog of your own, for the API that its variables name."
)
@click.option(
    "--accounts", is_flag=True, help="Each person connects an account of their own: Ann may read, Ben may write."
)
@click.option("--fresh", is_flag=True, help="Forget the data of earlier runs.")
def main(port: int, bot_port: int, apis: Path | None, accounts: bool, fresh: bool) -> None:
    """Runs the bot with a Slack workspace, an HR API and a model, all on this machine."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    if accounts and apis is not None:
        raise click.ClickException("--accounts is for the sample's API; leave out --apis.")
    plan = Plan(port, bot_port, apis and apis.resolve(), accounts)
    file = read_catalog(plan)
    check_ports(port, bot_port, sign_in=accounts)
    prepare_data(plan, fresh)
    with ExitStack() as running:
        demo = start(running, plan, file, stop)
        demo.watch(stop)
        click.echo("\nEnding ...")
    click.echo("Ended. What was changed is kept in demo-data/; --fresh forgets it.")


# --- before the start -------------------------------------------------------------------------------------------------


def read_catalog(plan: Plan) -> CatalogFile:
    """The catalog with the environment's variables, and those of .env, as the bot reads them."""
    environ = dict(environment()) | ({} if plan.apis else {"HR_API_URL": plan.hr_url})
    try:
        return CatalogFile(with_accounts(plan) if plan.accounts else plan.apis or ROOT / "apis.yaml", environ)
    except Misconfigured as error:
        raise click.ClickException(f"{error}\nThe demo starts with a catalog that has no mistakes.") from None


def with_accounts(plan: Plan) -> Path:
    """The sample catalog, asked with people's own accounts, as a file beside the demo's data."""
    DATA.mkdir(exist_ok=True)
    path = DATA / "apis-accounts.yaml"
    path.write_text(asked_with_accounts((ROOT / "apis.yaml").read_text("utf-8"), plan.sign_in_url), "utf-8")
    return path


def asked_with_accounts(sample: str, issuer: str) -> str:
    """The sample catalog's text, with the sign-in server in it."""
    base = "base_url: ${HR_API_URL}\n"
    auth = f"auth:\n  oauth2:\n    issuer: {issuer}\n    client_id: {CLIENT}\n    scopes: [openid, email, profile]\n"
    return sample.replace(base, base + auth)


def check_ports(port: int, bot_port: int, *, sign_in: bool = False) -> None:
    """Every port at once, so that nothing has to be ended again because the last one is taken."""
    served = ["the Slack workspace", "the HR API", "the scripted model", *(["the sign-in server"] if sign_in else [])]
    if bot_port in range(port, port + len(served)):
        raise click.ClickException(
            f"The bot's port {bot_port} is one of {port} to {port + len(served) - 1}; choose another --bot-port."
        )
    for number, what in enumerate(served):
        check_port(port + number, what, f"--port {port + 100}", f"DEMO_PORT={port + 100}")
    check_port(bot_port, "the bot", f"--bot-port {bot_port + 100}", f"DEMO_BOT_PORT={bot_port + 100}")


def check_port(port: int, what: str, option: str, variable: str) -> None:
    """Raises `ClickException` where a port is taken, with what to set instead."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise click.ClickException(
                f"Port {port}, where {what} should listen, is not available ({error.strerror}).\n"
                f'Choose another one: make demo ARGS="{option}", or set {variable} in the environment.'
            ) from None


def prepare_data(plan: Plan, fresh: bool) -> None:
    """Makes the folder for the demo's data; `fresh` removes what earlier runs of this plan left."""
    DATA.mkdir(exist_ok=True)
    (DATA / ".gitignore").write_text("*\n")
    if fresh:
        for path in [*DATA.glob("hr.json*"), *DATA.glob(f"{plan.name}.*")]:
            path.unlink()


# --- starting ---------------------------------------------------------------------------------------------------------


def start(running: ExitStack, plan: Plan, file: CatalogFile, stop: threading.Event) -> "Demo":
    """Starts them all, one line each; `running` ends them in the opposite order."""
    token, secret = f"xoxb-demo-{secrets.token_hex(12)}", secrets.token_hex(16)
    ask = Questions(file)
    workspace = Workspace(
        bot_token=token,
        signing_secret=secret,
        port=plan.port,
        retry_delays=RETRY_DELAYS,
        examples=ask.now,
        app=replace(own_app(), scopes=own_app().scopes | {EMAIL_SCOPE}),
    )
    workspace.start()
    running.callback(workspace.stop)
    progress("Slack workspace", workspace.url)
    fill(workspace, file.catalog)
    if plan.apis is None:
        ask.about_hr = start_hr_api(running, plan)
    else:
        for api in file.catalog.apis:
            progress("API", f"{api.name} at {api.base_url}{'' if is_there(api) else ' (nobody listens there yet)'}")
    model = start_model(running, plan)
    ask.in_words = "OPENAI_BASE_URL" not in model
    url = plan.bot_url
    workspace.connect(url)
    slack = {"SLACK_BOT_TOKEN": token, "SLACK_SIGNING_SECRET": secret, "SLACK_API_URL": workspace.api_url}
    demo = Demo(plan, start_bot(running, plan, slack | catalog_settings(plan, file) | model), workspace, file)
    if demo.wait_for(url, stop):
        progress("bot", f"{url} (its log: demo-data/{plan.log.name})")
        tell(plan.port, ask.now())
    return demo


def catalog_settings(plan: Plan, file: CatalogFile) -> dict[str, str]:
    """The settings that follow from the catalog: its file, its channels, and where the sample's API is."""
    channels = dict.fromkeys(["#hr-bot", *file.catalog.channels])
    settings = {"APIS_FILE": str(file.path), "SLACK_CHANNEL": ",".join(channels), "ALLOW_DM": "1"}
    if plan.accounts:
        settings |= {"PUBLIC_URL": plan.bot_url, "TOKEN_KEY": token_key()}
    return settings | ({} if plan.apis else {"HR_API_URL": plan.hr_url})


def token_key() -> str:
    """What the demo's bot encrypts tokens with, kept beside its data."""
    path = DATA / "bot-accounts.token-key"
    if not path.exists():
        path.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    return path.read_text()


class Questions:
    """What to try at a moment, on the page and in the terminal."""

    def __init__(self, file: CatalogFile) -> None:
        self.about_hr: Callable[[], Sequence[str]] | None = None
        self.in_words = True
        self._file = file

    def now(self) -> Sequence[str]:
        """What can be asked of the catalog as it is now."""
        if self.about_hr is not None:
            return self.about_hr()
        return catalog_files.questions(self._file.catalog, in_words=self.in_words)


def start_hr_api(running: ExitStack, plan: Plan) -> Callable[[], Sequence[str]]:
    """The sample API; gives what can be asked about those who are in it at a moment."""
    whose = start_sign_in(running, plan) if plan.accounts else None
    api = HrApi(DATA / "hr.json", plan.port + 1, whose)
    api.start()
    running.callback(api.stop)
    progress("HR API", f"{api.url}/api/users (its data: demo-data/hr.json)")
    return api.questions


def start_sign_in(running: ExitStack, plan: Plan) -> Callable[[str], str | None]:
    """The sign-in server; gives who has which token."""
    server = SignIn(plan.port + 3, f"{plan.bot_url}/oauth/callback")
    server.start()
    running.callback(server.stop)
    progress("sign-in server", f"{server.url} (Ann may read, Ben may write)")
    return server.whose


def fill(workspace: Workspace, catalog: Catalog) -> None:
    """Brings into the workspace whom and what the catalog names; who is there stays as they are."""
    for person in catalog_files.people(catalog):
        if person.id not in workspace.people:
            workspace.add_person(person)
    everybody = [person.id for person in workspace.people.values() if not person.is_bot]
    known = {group.handle for group in workspace.groups.values()}
    for group in catalog_files.groups(catalog):
        if group.handle not in known:
            workspace.add_group(group)
    names = {channel.name for channel in workspace.channels.values()} | set(workspace.channels)
    for channel in catalog_files.channels(catalog, everybody):
        if channel.name not in names and channel.id not in names:
            workspace.add_channel(channel)
    workspace.join_all()


def is_there(api: Api) -> bool:
    """Whether something listens at an API's address."""
    parts = urlsplit(api.base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((str(parts.hostname), port), REACH_SECONDS):
            return True
    except OSError:
        return False


def start_model(running: ExitStack, plan: Plan) -> dict[str, str]:
    """The OPENAI_* of the bot: nothing of ours where a real model is configured."""
    real = RealModel()
    if real.configured:
        progress(
            "model", f"{real.openai_model or 'the default one'} at {real.openai_base_url or 'OpenAI'}, as configured"
        )
        return {}
    model = ScriptedModel(plan.port + 2, pause=TYPING, knows_hr=plan.apis is None)
    model.start()
    running.callback(model.stop)
    knows = "" if plan.apis is None else " that makes calls which are spelled out"
    progress("model", f"{model.base_url}, a script{knows} (set OPENAI_API_KEY for a real model)")
    return {"OPENAI_API_KEY": "none-needed", "OPENAI_BASE_URL": model.base_url, "OPENAI_MODEL": "scripted"}


def start_bot(running: ExitStack, plan: Plan, given: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts the bot as its own process, which ends with `running`."""
    own = {
        "DATABASE_URL": f"sqlite:///demo-data/{plan.name}.db",
        "HOST": HOST,
        "PORT": str(plan.bot_port),
        "PYTHONUNBUFFERED": "1",
    }
    with plan.log.open("ab") as log:  # what went wrong yesterday can be read today
        # A session of its own: Ctrl-C reaches only the launcher, which then ends the bot before what the bot talks to.
        bot = subprocess.Popen(
            [sys.executable, "bot.py"],
            cwd=ROOT,
            env=inherited() | dict(given) | own,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running.callback(end, bot)
    return bot


def inherited() -> dict[str, str]:
    """This process's environment, changed so that the bot finds this machine although a company's proxy is configured.

    slack_sdk sends everything through HTTPS_PROXY or HTTP_PROXY and does not know NO_PROXY; the client of a real model,
    the only one with business outside, takes ALL_PROXY and NO_PROXY.
    """
    proxies = [os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY")]
    rest = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    proxy = next((proxy for proxy in proxies if proxy), None)
    return rest | ({"ALL_PROXY": proxy, "NO_PROXY": f"{HOST},localhost"} if proxy else {})


def healthy(client: httpx2.Client, url: str) -> bool:
    """Whether the bot says that it lives."""
    try:
        return client.get(f"{url}/healthz").status_code == 200
    except httpx2.TransportError:
        return False


# --- running and ending -----------------------------------------------------------------------------------------------


class Demo:
    """The running demo: looks after the bot, and brings it and the workspace what the catalog's file says now."""

    def __init__(self, plan: Plan, bot: subprocess.Popen[bytes], workspace: Workspace, file: CatalogFile) -> None:
        self._plan, self._bot, self._workspace, self._file = plan, bot, workspace, file
        self._log_from = plan.log.stat().st_size
        self._channels = set(file.catalog.channels)

    def wait_for(self, url: str, stop: threading.Event) -> bool:
        """Whether the bot answers before `stop`; a ClickException with its last words where it ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        with httpx2.Client(timeout=2, trust_env=False) as client:
            while not stop.wait(0.1):
                if healthy(client, url):
                    return True
                self._see_that_it_lives()
                if time.monotonic() > deadline:
                    raise click.ClickException(
                        f"The bot did not answer {url}/healthz within {START_SECONDS:.0f} s. {self._last_words()}"
                    )
        return False

    def watch(self, stop: threading.Event) -> None:
        """Until `stop`; a ClickException where the bot ends first."""
        while not stop.wait(LOOK_SECONDS):
            self._see_that_it_lives()
            if self._file.was_saved():
                self._take_catalog()

    def _take_catalog(self) -> None:
        try:
            catalog = self._file.take()
        except Misconfigured as error:
            click.echo(f"\n{error}\nThe demo goes on with the catalog as it was before.")
            return
        fill(self._workspace, catalog)
        self._workspace.show_again()
        self._bot.send_signal(signal.SIGHUP)
        count = len(catalog.operations)
        click.echo(f"\n{self._file.path.name} was saved and is taken: {count} operation{'s' if count != 1 else ''}.")
        if new := [name for name in catalog.channels if name not in self._channels]:
            click.echo(f"Start the demo again for {', '.join(new)}: a bot learns its channels at its start.")

    def _see_that_it_lives(self) -> None:
        if self._bot.poll() is not None:
            code = self._bot.returncode
            raise click.ClickException(f"The bot ended by itself (exit code {code}). {self._last_words()}")

    def _last_words(self) -> str:
        """The end of the bot's log, as far as it is of this run."""
        with self._plan.log.open("rb") as log:
            log.seek(self._log_from)
            lines = log.read().decode("utf-8", "replace").rstrip().splitlines()[-15:]
        name = f"demo-data/{self._plan.log.name}"
        return f"The end of {name}:\n" + "\n".join(f"  {line}" for line in lines or ["(nothing)"])


def end(bot: subprocess.Popen[bytes]) -> None:
    """Ends the bot, by force where it takes too long."""
    bot.terminate()
    try:
        bot.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        click.echo(f"The bot did not end within {END_SECONDS:.0f} s and is killed.")
        bot.kill()
        bot.wait()


# --- telling ----------------------------------------------------------------------------------------------------------


def progress(what: str, where: str) -> None:
    """Says what was started, and where it is."""
    click.echo(f"{what:<16} {where}")


def tell(port: int, questions: Sequence[str]) -> None:
    """Says where to look, and what can be asked there."""
    click.echo(f"\nOpen http://{HOST}:{port} and {'write, for example:' if questions else 'mention @hr-bot.'}")
    if questions:
        click.echo()
    for text in questions:
        click.echo(f"  @hr-bot {text}")
    click.echo("\nCtrl-C ends everything.")


if __name__ == "__main__":
    main(prog_name="python -m demo")
