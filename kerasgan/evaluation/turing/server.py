"""The web pages of a Visual Turing Test, on this machine alone.

    GET  /                          who are you?
    GET  /start?rater=NAME          to the rater's page, or back with the reason
    GET  /rate/NAME                 the page of one image at a time
    GET  /rate/NAME/state           how far the rater has come: {total, answered, image, last, finished}
    POST /rate/NAME/act             {act: answer | undo | finish, image, answer}; 409 if another window was quicker
    GET  /rate/NAME/break           all is saved
    GET  /rate/NAME/summary         counts and tests, of a rater who has finished
    GET  /image/ID                  the pixels, uint8, row by row

Nothing that is sent before the end depends on which images are real. There are no cookies: the rater stands
in the address, so that raters may share a browser. Requests for another host (DNS rebinding) and posts from another
page are refused.
"""

import os
import socket
from collections.abc import Callable

import waitress.server
from flask import Flask, Response, abort, jsonify, redirect, render_template, request, url_for

from kerasgan.errors import UserError
from kerasgan.evaluation.turing import answers
from kerasgan.evaluation.turing.summary import HEADER, NOTES, counts_of, counts_row, summarise
from kerasgan.evaluation.turing.trial import Trial

HOST = "127.0.0.1"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def create_app(trial: Trial) -> Flask:
    """The test as a Flask application."""
    app = Flask(__name__)
    app.config.update(TRUSTED_HOSTS=[HOST, "localhost"], MAX_CONTENT_LENGTH=10_000)
    app.before_request(_refuse_other_pages)
    app.after_request(_with_headers)
    app.register_error_handler(UserError, _sentence)
    _add_pages(app, trial)
    _add_acts(app, trial)
    return app


def serve(trial: Trial, port: int, announce: Callable[[str], object]) -> None:
    """Serve until interrupted; `announce` is called with the address once it listens. Port 0: any that is free."""
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        raise UserError(
            f"port {port} of {HOST} cannot be had ({os.strerror(error.errno)}); give another --port, or 0 for "
            "any free one"
        ) from None
    with listener:
        server = waitress.server.create_server(create_app(trial), sockets=[listener])
        try:
            announce(f"http://{HOST}:{listener.getsockname()[1]}/")
            server.run()
        finally:
            server.close()


def _add_pages(app: Flask, trial: Trial) -> None:
    @app.get("/")
    def index() -> str:
        return render_template("start.html", total=len(trial.items))

    @app.get("/start")
    def start() -> Response:
        return redirect(url_for("rate", rater=answers.checked_name(request.args.get("rater", ""))), 303)

    @app.get("/rate/<rater>")
    def rate(rater: str) -> Response | str:
        session = answers.session_of(trial, rater)
        if session.finished:
            return redirect(url_for("summary", rater=session.rater), 303)
        height, width = trial.pixels.shape[1:]
        return render_template("rate.html", session=session, height=height, width=width)

    @app.get("/rate/<rater>/break")
    def pause(rater: str) -> str:
        return render_template("break.html", session=answers.session_of(trial, rater))

    @app.get("/rate/<rater>/summary")
    def summary(rater: str) -> Response | str:
        session = answers.session_of(trial, rater)
        if not session.finished:
            return redirect(url_for("rate", rater=session.rater), 303)
        counts, found = counts_of(trial, session), summarise(trial)
        row = dict(zip(HEADER, counts_row(session.rater, counts), strict=True))
        shown = {"counts": counts, "row": row, "found": found, "header": HEADER, "notes": NOTES}
        return render_template("summary.html", session=session, **shown)


def _add_acts(app: Flask, trial: Trial) -> None:
    @app.get("/image/<image>")
    def image(image: str) -> Response:
        if image not in trial.number:
            abort(404)
        return Response(trial.pixels[trial.number[image]].tobytes(), mimetype="application/octet-stream")

    @app.get("/rate/<rater>/state")
    def state(rater: str) -> Response:
        return _state(answers.session_of(trial, rater))

    @app.post("/rate/<rater>/act")
    def act(rater: str) -> tuple[Response, int]:
        sent = request.get_json()
        given = [sent.get(name) for name in ("act", "image", "answer")] if isinstance(sent, dict) else []
        if not given or not all(value is None or isinstance(value, str) for value in given):
            abort(400)
        session, counted = answers.record(trial, rater, *given)
        return _state(session), 200 if counted else 409


def _state(session: answers.Session) -> Response:
    return jsonify(
        total=len(session.order),
        answered=len(session.answers),
        image=session.current,
        last=session.last,
        finished=session.finished,
    )


def _refuse_other_pages() -> None:
    if request.method == "POST" and request.headers.get("Origin") != request.host_url.rstrip("/"):
        abort(403)


def _with_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response


def _sentence(error: UserError) -> tuple[Response | str, int]:
    """What cannot be used, told to the page's script or on the page."""
    if request.accept_mimetypes.best == "application/json":
        return jsonify(error=str(error)), 400
    return render_template("start.html", error=str(error)), 400
