"""The sample internal API: employees over REST, kept in one JSON file.

Here lives an HR API as a company might run it (paging, ETags, idempotency keys, errors in words), and the small
server that puts a WSGI application on a loopback port. For the demo and for tests. It knows nothing of Slack, of
models or of the bot.
"""

import contextlib
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, request
from waitress import wasyncore
from waitress.server import create_server
from werkzeug.exceptions import HTTPException

Employee = dict[str, Any]
Answer = tuple[int, Any, dict[str, str]]  # status, JSON value, headers

FIELDS = ("first_name", "last_name", "email", "job", "department", "joined", "manager_id")
REQUIRED = ("first_name", "last_name")
PER_PAGE = 6
PER_PAGE_MAX = 100
NEWCOMERS = ("Zoe Park", "Ida Lund", "Leo Marin", "Noor Aziz", *(f"Zoe Park{number}" for number in range(2, 100)))
KEYS_KEPT = 1000  # answers remembered for idempotency keys; the oldest goes first

SEED = [
    (1, "Grace", "Mbeki", "Chief Executive", "Management", "2015-02-02", None),
    (2, "Marta", "Silva", "Head of Engineering", "Engineering", "2017-09-18", 1),
    (3, "Ann", "Lee", "Software Engineer", "Engineering", "2026-03-02", 2),
    (4, "Jonas", "Weber", "Site Reliability Engineer", "Engineering", "2021-06-14", 2),
    (5, "Daniel", "Kim", "Software Engineer", "Engineering", "2022-11-07", 2),
    (6, "Helena", "Kowalska", "Head of Sales", "Sales", "2018-04-09", 1),
    (7, "Tom", "Berg", "Account Manager", "Sales", "2023-08-21", 6),
    (8, "Daniel", "Novak", "Account Manager", "Sales", "2026-03-16", 6),
    (9, "Chiara", "Rossi", "Head of People", "People", "2019-01-28", 1),
    (10, "Kofi", "Asante", "Recruiter", "People", "2024-05-13", 9),
    (11, "Yuki", "Tanaka", "Head of Finance", "Finance", "2016-10-03", 1),
    (12, "Omar", "Haddad", "Accountant", "Finance", "2020-02-17", 11),
    (13, "Priya", "Nair", "Product Designer", "Design", "2026-03-23", 2),
    (14, "Siobhan", "O'Connor", "Content Designer", "Design", "2024-12-02", 2),
]


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived: `path` with its query, header names in lower case, `body` as text."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str


# --- the file -------------------------------------------------------------------------------------------------------


class Directory:
    """The employees and the remembered answers, in one JSON file that is never half written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        if not path.exists():
            self._state: dict[str, Any] = {"next_id": len(SEED) + 1, "users": seed(), "answers": {}}
            path.parent.mkdir(parents=True, exist_ok=True)
            self._save()
        self._load()

    @property
    def users(self) -> list[Employee]:
        """All employees, in the order in which they were added."""
        return list(self._state["users"])

    @property
    def answers(self) -> dict[str, Any]:
        """Idempotency key -> the request's fingerprint and the answer it got; oldest first."""
        answers: dict[str, Any] = self._state["answers"]
        return answers

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One write at a time: saved once at the end, and not at all if it is refused on the way."""
        with self._lock:
            try:
                yield
                self._save()
            except BaseException:
                self._load()
                raise

    def find(self, user_id: int) -> Employee:
        """A copy of that employee, or 404."""
        user = next((user for user in self.users if user["id"] == user_id), None)
        if user is None:
            abort(404, f"There is no employee with id {user_id}.")
        return dict(user)

    def put(self, user: Employee) -> None:
        """Replaces an employee's record."""
        self._state["users"] = [user if other["id"] == user["id"] else other for other in self.users]

    def add(self, values: Employee) -> Employee:
        """Adds an employee under the next free id."""
        user = {"id": self._state["next_id"]} | dict.fromkeys(FIELDS) | values
        self._state["next_id"] += 1
        self._state["users"].append(user)
        return user

    def remove(self, user_id: int) -> None:
        """Takes the employee out; those who reported to them report to nobody until someone says otherwise."""
        rest = [user for user in self.users if user["id"] != user_id]
        self._state["users"] = [u | {"manager_id": None} if u["manager_id"] == user_id else u for u in rest]

    def remember(self, key: str, fingerprint: str, answer: Answer) -> None:
        """Keeps the answer to a request with a key; the oldest are forgotten."""
        self.answers[key] = {"request": fingerprint, "answer": list(answer)}
        while len(self.answers) > KEYS_KEPT:
            del self.answers[next(iter(self.answers))]

    def _load(self) -> None:
        self._state = json.loads(self._path.read_text("utf-8"))

    def _save(self) -> None:
        part = self._path.with_name(self._path.name + ".part")
        with part.open("w", encoding="utf-8") as file:
            json.dump(self._state, file, indent=1, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self._path)


def seed() -> list[Employee]:
    """The fourteen people of a new file; two of them are called Daniel, three joined in March 2026."""
    return [
        {
            "id": number,
            "first_name": first,
            "last_name": last,
            "email": f"{first}.{last}@example.com".lower().replace("'", ""),
            "job": job,
            "department": department,
            "joined": joined,
            "manager_id": manager,
        }
        for number, first, last, job, department, joined, manager in SEED
    ]


# --- what a request may say -----------------------------------------------------------------------------------------


def json_object() -> dict[str, Any]:
    """The request's body as an object; 400 where it is no JSON, 422 where it is JSON of another kind."""
    try:
        value = json.loads(request.get_data())
    except ValueError as error:
        abort(400, f"The body is not valid JSON: {error}.")
    if not isinstance(value, dict):
        abort(422, "The body has to be a JSON object.")
    return value


def checked(values: Employee, users: list[Employee], required: tuple[str, ...] = ()) -> Employee:
    """The values as they came, or 422 with every mistake in words."""
    problems = [f'Unknown field "{name}"; the fields are {", ".join(FIELDS)}.' for name in values if name not in FIELDS]
    problems += [f'"{name}" is required.' for name in required if name not in values]
    for name in FIELDS:
        if name in values and (problem := complaint(name, values[name], users)):
            problems.append(problem)
    if problems:
        abort(422, " ".join(problems))
    return values


def complaint(name: str, value: Any, users: list[Employee]) -> str | None:
    """What is wrong with a field's value, or None."""
    if value is None:
        return f'"{name}" may not be empty.' if name in REQUIRED else None
    if name == "manager_id":
        known = type(value) is int and any(user["id"] == value for user in users)
        return None if known else f'"manager_id" has to be the id of an employee, not {json.dumps(value)}.'
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        return f'"{name}" has to be text of 1 to 200 characters.'
    if name == "email" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        return f'"email" has to look like name@example.com, not {json.dumps(value)}.'
    if name == "joined" and not is_date(value):
        return f'"joined" has to be a date, for example 2026-03-16, not {json.dumps(value)}.'
    return None


def is_date(text: str) -> bool:
    """Whether a text is a date as ISO 8601 writes it."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def number(name: str, default: int, at_most: int | None = None) -> int:
    """A positive whole number from the query, or 422."""
    text = request.args.get(name, str(default))
    value = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0
    if value < 1 or (at_most is not None and value > at_most):
        limit = f" to {at_most}" if at_most else " or more"
        abort(422, f'"{name}" has to be a number from 1{limit}, not "{text}".')
    return value


def etag(user: Employee) -> str:
    """What an employee's record is told apart from its other states by."""
    return hashlib.sha256(json.dumps(user, sort_keys=True).encode()).hexdigest()[:16]


def unchanged(user: Employee) -> Employee:
    """The employee, or 412 where the request's If-Match names another state of it."""
    if "If-Match" in request.headers and not request.if_match.contains(etag(user)):
        abort(412, f"Employee {user['id']} has changed since; read it again.")
    return user


# --- the routes -----------------------------------------------------------------------------------------------------


Whose = Callable[[str], str | None]  # who has the token of an Authorization header
WRITER = "ben"  # who alone may write, where people are known


def create_api(path: Path, log: list[Recorded] | None = None, whose: Whose | None = None) -> Flask:
    """The application over the file at `path` (written with sample employees if absent). With `whose` it knows people by their tokens:
    each may read, one may write.

    Every request is appended to `log`, in the order of arrival.
    """
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # on the default provider, which is the one in use
    directory = Directory(path)
    requests = log if log is not None else []

    @app.before_request
    def record() -> None:
        query = request.query_string.decode("latin-1")
        path = request.path + ("?" + query if query else "")
        headers = {name.lower(): value for name, value in request.headers.items()}
        requests.append(Recorded(request.method, path, headers, request.get_data(as_text=True)))

    @app.errorhandler(HTTPException)
    def in_words(error: HTTPException) -> Response:
        response = Response(json.dumps({"error": error.description}), error.code, content_type="application/json")
        if allowed := getattr(error, "valid_methods", None):
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    if whose is not None:
        app.before_request(lambda: check_right(whose))
    reading_routes(app, directory)
    writing_routes(app, directory)
    return app


def check_right(whose: Whose) -> None:
    """401 where a request is nobody's, 403 where it writes and is not that of who may."""
    who = whose(request.headers.get("Authorization", ""))
    if who is None:
        abort(401, "Who are you? There is no token, or it has ended.")
    if request.method not in ("GET", "HEAD") and who != WRITER:
        abort(403, f"{who} may read, but not change anything; {WRITER} may.")


def reading_routes(app: Flask, directory: Directory) -> None:
    """The routes that read."""

    @app.get("/api/users")
    def list_users() -> dict[str, Any]:
        if unknown := set(request.args) - {"page", "per_page", "department"}:
            abort(422, f'Unknown query "{min(unknown)}"; there are page, per_page and department.')
        return page_of(directory.users, request.args.get("department"))

    @app.get("/api/users/<int:user_id>")
    def get_user(user_id: int) -> Response:
        response = response_to((200, *shown(directory.find(user_id))))
        response.make_conditional(request)
        return response


def page_of(users: list[Employee], department: str | None) -> dict[str, Any]:
    """One page of a list, with its totals, as the query asks for it."""
    page, size = number("page", 1), number("per_page", PER_PAGE, PER_PAGE_MAX)
    if department is not None:
        users = [u for u in users if (u["department"] or "").casefold() == department.casefold()]
    return {
        "page": page,
        "per_page": size,
        "total": len(users),
        "total_pages": -(-len(users) // size),
        "data": users[(page - 1) * size : page * size],
    }


def writing_routes(app: Flask, directory: Directory) -> None:
    """The routes that write."""

    @app.post("/api/users")
    def create_user() -> Response:
        return once(directory, lambda: create(directory))

    @app.put("/api/users/<int:user_id>")
    def replace_user(user_id: int) -> Response:
        return once(directory, lambda: change(directory, user_id, dict.fromkeys(FIELDS), REQUIRED))

    @app.patch("/api/users/<int:user_id>")
    def change_user(user_id: int) -> Response:
        return once(directory, lambda: change(directory, user_id, {}))

    @app.delete("/api/users/<int:user_id>")
    def delete_user(user_id: int) -> Response:
        return once(directory, lambda: delete(directory, user_id))


def create(directory: Directory) -> Answer:
    """Adds an employee."""
    user = directory.add(checked(json_object(), directory.users, REQUIRED))
    body, headers = shown(user)
    return 201, body, headers | {"Location": f"/api/users/{user['id']}"}


def change(directory: Directory, user_id: int, absent: Employee, required: tuple[str, ...] = ()) -> Answer:
    """Writes the request's fields over the employee; `absent` is what a field becomes that the request leaves out."""
    user = unchanged(directory.find(user_id))
    user = user | absent | checked(json_object(), directory.users, required)
    directory.put(user)
    return 200, *shown(user)


def delete(directory: Directory, user_id: int) -> Answer:
    """Removes an employee."""
    unchanged(directory.find(user_id))
    directory.remove(user_id)
    return 204, None, {}


def once(directory: Directory, write: Callable[[], Answer]) -> Response:
    """Does the write, or answers again what a request with the same Idempotency-Key was answered.

    422 where the key was used for another request. A refused write is not remembered: it changed nothing, so it can be
    judged afresh.
    """
    key = request.headers.get("Idempotency-Key")
    with directory.writing():
        if key in directory.answers:
            return repeated(directory.answers[key])
        answer = write()
        if key:
            directory.remember(key, fingerprint(), answer)
    return response_to(answer)


def repeated(earlier: dict[str, Any]) -> Response:
    """The answer that a key had before; 422 where it came with another request."""
    if earlier["request"] != fingerprint():
        abort(422, "This Idempotency-Key was used for another request.")
    response = response_to(tuple(earlier["answer"]))
    response.headers["Idempotent-Replayed"] = "true"
    return response


def fingerprint() -> str:
    """What a request is told apart from others by."""
    said = b"\0".join((request.method.encode(), request.full_path.encode(), request.get_data()))
    return hashlib.sha256(said).hexdigest()


def shown(user: Employee) -> tuple[Employee, dict[str, str]]:
    """An employee as the body of an answer, with its headers."""
    return user, {"ETag": f'"{etag(user)}"'}


def response_to(answer: Answer) -> Response:
    """An answer as HTTP has it."""
    status, value, headers = answer
    if value is None:
        return Response(status=status, headers=headers)
    text = json.dumps(value, ensure_ascii=False)
    return Response(text, status, headers, content_type="application/json")


# --- serving --------------------------------------------------------------------------------------------------------


class LocalServer:
    """A WSGI application on a loopback port, served by waitress in a thread of its own; port 0 takes a free one."""

    def __init__(self, app: Callable[..., Any], port: int = 0) -> None:
        self._app = app
        self._port = port
        self._map: dict[int, Any] = {}
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """OSError where the port is taken."""
        server: Any = create_server(self._app, map=self._map, host="127.0.0.1", port=self._port, threads=4)
        self._server = server
        self._port = server.effective_port
        self._ending.clear()
        self._thread = threading.Thread(target=self._run, name=f"port {self._port}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.is_set():
            wasyncore.loop(timeout=30, map=self._map, count=1)
        wasyncore.close_all(self._map)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def stop(self) -> None:
        """Closes the port and every connection; may be called twice."""
        if self._thread is None:
            return
        # The sockets belong to the loop's thread: closed from here, its select() would meet dead descriptors.
        self._ending.set()
        with contextlib.suppress(OSError):  # the loop may have seen it already and be gone
            self._server.pull_trigger()
        self._thread.join(timeout=5)
        self._server.task_dispatcher.shutdown(timeout=1)
        self._thread = None


class HrApi(LocalServer):
    """The HR API over the file at `path`, and what it was asked (`requests`, in order)."""

    def __init__(self, path: Path, port: int = 0, whose: Whose | None = None) -> None:
        self.requests: list[Recorded] = []
        self._path = path
        super().__init__(create_api(path, self.requests, whose), port)

    def questions(self) -> list[str]:
        """What to ask and to change, about those who are employed at this moment."""
        people = Directory(self._path).users
        joined = max(sorted({str(one["joined"])[:7] for one in people if one["joined"]}), default="")
        month = date.fromisoformat(f"{joined}-01").strftime("%B") if joined else ""
        asked = [f"who joined in {month}?" if month else "who works here?"]
        new = next(name for name in NEWCOMERS if name not in {_name(one) for one in people})
        asked.append(f"hire {new} as designer")
        once = [one for one in people if sum(_name(one) == _name(other) for other in people) == 1]
        for one in once[1:2]:
            first, last = one["first_name"], one["last_name"]
            asked.append(f"rename {first} {last} to {first} {'Costa' if last != 'Costa' else 'Silva'}")
        leaver = next((one for one in once if one["last_name"] == "Berg"), once[-1] if len(once) > 2 else None)
        return [*asked, *([f"remove {_name(leaver)}"] if leaver else [])]


def _name(person: Employee) -> str:
    return f"{person['first_name']} {person['last_name']}"
