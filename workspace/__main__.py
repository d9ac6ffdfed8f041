"""The demo in one command: `python -m workspace`.

Starts a local Slack workspace, the sample HR API, a scripted model (unless a real one is configured) and the bot, and
ends them all again. Only starting, telling and ending happen here; data and the bot's log lie in demo-data/.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import click
import httpx2
from pydantic_settings import BaseSettings, SettingsConfigDict

from workspace.emulator import Workspace
from workspace.hr_api import HrApi
from workspace.scripted_model import ScriptedModel

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "demo-data"
LOG = DATA / "bot.log"
HOST = "127.0.0.1"
START_SECONDS = 30.0  # for the bot to answer
END_SECONDS = 6.0  # for the bot to finish what it does, before it is killed
RETRY_DELAYS = (1.0, 5.0, 15.0)  # Slack waits up to five minutes, which nobody wants to watch
TYPING = 0.08  # seconds between two words of the scripted model, so that streaming can be seen
TO_TRY = (
    "who joined in March?",
    "hire Zoe Park as designer",
    "rename Marta Silva to Marta Costa",
    "remove Tom Berg",
)


class RealModel(BaseSettings):
    """The model that the environment or .env names, if any; read as the bot reads it."""

    model_config = SettingsConfigDict(env_file=ROOT / ".env", env_ignore_empty=True, extra="ignore")

    openai_api_key: str | None = None
    openai_base_url: str | None = None
    openai_model: str | None = None

    @property
    def configured(self) -> bool:
        return bool(self.openai_api_key or self.openai_base_url)


@click.command()
@click.option("--port", type=click.IntRange(1, 65533), default=8800, envvar="DEMO_PORT", show_default=True,
              show_envvar=True, help="Where the page is; the HR API and the model take the next two.")  # fmt: skip
@click.option("--bot-port", type=click.IntRange(1, 65535), default=3000, envvar="DEMO_BOT_PORT", show_default=True,
              show_envvar=True, help="Where the bot listens.")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Forget the data of earlier runs.")
def main(port: int, bot_port: int, fresh: bool) -> None:
    """Runs the bot with a Slack workspace, an HR API and a model, all on this machine."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    check_ports(port, bot_port)
    prepare_data(fresh)
    with ExitStack() as running:
        bot = start(running, port, bot_port, stop)
        watch(bot, stop)
        click.echo("\nEnding ...")
    click.echo("Ended. What was changed is kept in demo-data/; --fresh forgets it.")


# --- before the start -------------------------------------------------------------------------------------------------


def check_ports(port: int, bot_port: int) -> None:
    """Every port at once, so that nothing has to be ended again because the last one is taken."""
    if bot_port in range(port, port + 3):
        raise click.ClickException(
            f"The bot's port {bot_port} is one of {port} to {port + 2}; choose another --bot-port."
        )
    for number, what in enumerate(("the Slack workspace", "the HR API", "the scripted model")):
        check_port(port + number, what, f"--port {port + 100}", f"DEMO_PORT={port + 100}")
    check_port(bot_port, "the bot", f"--bot-port {bot_port + 100}", f"DEMO_BOT_PORT={bot_port + 100}")


def check_port(port: int, what: str, option: str, variable: str) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise click.ClickException(
                f"Port {port}, where {what} is to listen, cannot be had ({error.strerror}).\n"
                f'Choose another one: make demo ARGS="{option}", or set {variable} in the environment.'
            ) from None


def prepare_data(fresh: bool) -> None:
    DATA.mkdir(exist_ok=True)
    (DATA / ".gitignore").write_text("*\n")
    if fresh:
        for path in [*DATA.glob("hr.json*"), *DATA.glob("bot.*")]:
            path.unlink()


# --- starting ---------------------------------------------------------------------------------------------------------


def start(running: ExitStack, port: int, bot_port: int, stop: threading.Event) -> subprocess.Popen[bytes]:
    """Starts the four, one line each; `running` ends them in the opposite order."""
    token, secret = f"xoxb-demo-{secrets.token_hex(12)}", secrets.token_hex(16)
    workspace = Workspace(
        bot_token=token,
        signing_secret=secret,
        port=port,
        retry_delays=RETRY_DELAYS,
        examples=TO_TRY,
    )
    workspace.start()
    running.callback(workspace.stop)
    progress("Slack workspace", workspace.url)
    api = HrApi(DATA / "hr.json", port + 1)
    api.start()
    running.callback(api.stop)
    progress("HR API", f"{api.url}/api/users (its data: demo-data/hr.json)")
    environment = {
        "SLACK_BOT_TOKEN": token,
        "SLACK_SIGNING_SECRET": secret,
        "SLACK_CHANNEL": "#hr-bot",
        "ALLOW_DM": "1",
        "SLACK_API_URL": workspace.api_url,
        "HR_API_URL": api.url,
        **start_model(running, port + 2),
    }
    url = f"http://{HOST}:{bot_port}"
    workspace.connect(url)
    bot = start_bot(running, environment, bot_port)
    if wait_for(bot, url, stop):
        progress("bot", f"{url} (its log: demo-data/bot.log)")
        tell(port)
    return bot


def start_model(running: ExitStack, port: int) -> dict[str, str]:
    """The OPENAI_* of the bot: nothing of ours where a real model is configured."""
    real = RealModel()
    if real.configured:
        progress(
            "model", f"{real.openai_model or 'the default one'} at {real.openai_base_url or 'OpenAI'}, as configured"
        )
        return {}
    model = ScriptedModel(port, pause=TYPING)
    model.start()
    running.callback(model.stop)
    progress("model", f"{model.base_url}, a script (set OPENAI_API_KEY for a real model)")
    return {"OPENAI_API_KEY": "none-needed", "OPENAI_BASE_URL": model.base_url, "OPENAI_MODEL": "scripted"}


def start_bot(running: ExitStack, environment: Mapping[str, str], port: int) -> subprocess.Popen[bytes]:
    own = {
        "APIS_FILE": "apis.yaml",
        "DATABASE_URL": "sqlite:///demo-data/bot.db",
        "HOST": HOST,
        "PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    with LOG.open("wb") as log:
        # A session of its own: Ctrl-C reaches only the launcher, which then ends the bot before what the bot talks to.
        bot = subprocess.Popen(
            [sys.executable, "bot.py"],
            cwd=ROOT,
            env=inherited() | dict(environment) | own,
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


def wait_for(bot: subprocess.Popen[bytes], url: str, stop: threading.Event) -> bool:
    """Whether the bot answers before `stop`; a ClickException with its last words where it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    with httpx2.Client(timeout=2, trust_env=False) as client:
        while not stop.wait(0.1):
            if healthy(client, url):
                return True
            if bot.poll() is not None:
                raise died(bot)
            if time.monotonic() > deadline:
                raise click.ClickException(
                    f"The bot did not answer {url}/healthz within {START_SECONDS:.0f} s. {tail()}"
                )
    return False


def healthy(client: httpx2.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/healthz").status_code == 200
    except httpx2.TransportError:
        return False


# --- running and ending -----------------------------------------------------------------------------------------------


def watch(bot: subprocess.Popen[bytes], stop: threading.Event) -> None:
    """Until `stop`; a ClickException where the bot ends first."""
    while not stop.wait(0.5):
        if bot.poll() is not None:
            raise died(bot)


def end(bot: subprocess.Popen[bytes]) -> None:
    bot.terminate()
    try:
        bot.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        click.echo(f"The bot did not end within {END_SECONDS:.0f} s and is killed.")
        bot.kill()
        bot.wait()


# --- telling ----------------------------------------------------------------------------------------------------------


def progress(what: str, where: str) -> None:
    click.echo(f"{what:<16} {where}")


def tell(port: int) -> None:
    click.echo(f"\nOpen http://{HOST}:{port} and write, for example:\n")
    for text in TO_TRY:
        click.echo(f"  @hr-bot {text}")
    click.echo("\nCtrl-C ends everything.")


def died(bot: subprocess.Popen[bytes]) -> click.ClickException:
    return click.ClickException(f"The bot ended by itself (exit code {bot.returncode}). {tail()}")


def tail() -> str:
    """The end of the bot's log."""
    lines = LOG.read_text("utf-8", "replace").rstrip().splitlines()[-15:]
    return "The end of demo-data/bot.log:\n" + "\n".join(f"  {line}" for line in lines or ["(nothing)"])


if __name__ == "__main__":
    main(prog_name="python -m workspace")
